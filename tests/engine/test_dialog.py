"""Dialog states: RFC 3261 §12."""

import pytest

from firewall.engine.dialog import TRANSITIONS, next_state, trigger_of
from firewall.sip.message import parse_message
from tests.messages import request, response


@pytest.mark.parametrize(
    ("raw", "trigger"),
    [
        (response(request(), 100), None),
        (response(request(), 183), "provisional"),
        (response(request(), 200), "success"),
        (response(request(), 404), "failure"),
        (response(request("OPTIONS"), 200), None),
        (response(request("SUBSCRIBE"), 202), "success"),
        (request("BYE", to_tag="b"), "end"),
        (request("INFO", to_tag="b"), None),
    ],
)
def test_what_moves_a_dialog(raw: bytes, trigger: str | None) -> None:
    assert trigger_of(parse_message(raw)) == trigger


def test_nothing_leaves_terminated_and_nothing_returns_to_none() -> None:
    assert not [state for state, _ in TRANSITIONS if state == "terminated"]
    assert "none" not in TRANSITIONS.values()
    assert next_state("terminated", "success") == "terminated"


def test_a_final_failure_ends_early_but_not_confirmed_dialogs() -> None:
    assert next_state("early", "failure") == "terminated"
    assert next_state("confirmed", "failure") == "confirmed", "a refused re-INVITE leaves the call up (§14.1)"
