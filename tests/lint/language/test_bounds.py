import pytest

from firewall.lint.language import bounds
from firewall.lint.language.settle import Conflict, Settled, settle
from tests.lint.language.conditions import literals
from tests.lint.language.messages import TEMPLATE


@pytest.mark.parametrize(
    ("condition", "limit"),
    [
        ("len(sip.r-uri) > {}", bounds.MAX_REQUEST_URI_BYTES),
        ("len(sip.User-Agent) > {}", bounds.MAX_HEADER_LINE_BYTES),
        ("count(sip.Via) > {}", bounds.MAX_VALUES),
        ("sip.Content-Length > {}", bounds.MAX_BODY_BYTES),
    ],
)
def test_no_message_of_the_model_is_larger(condition: str, limit: int) -> None:
    assert isinstance(settle(TEMPLATE, literals(condition.format(limit))), Conflict)


@pytest.mark.parametrize(
    "condition",
    ["len(sip.r-uri) > 1000", "len(sip.User-Agent) > 1000", "count(sip.Via) > 9", "sip.Content-Length > 60000"],
)
def test_one_of_unusual_size_is_written(condition: str) -> None:
    assert isinstance(settle(TEMPLATE, literals(condition)), Settled)
