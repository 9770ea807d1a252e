"""The page of the state tables."""

from firewall.cli.tracking_page import tracking_page
from firewall.engine.dialog import TRANSITIONS
from firewall.engine.transaction import INVITE_TRANSITIONS, NON_INVITE_TRANSITIONS


def test_every_transition_of_every_table_is_drawn() -> None:
    page = tracking_page()
    for table in (TRANSITIONS, INVITE_TRANSITIONS, NON_INVITE_TRANSITIONS):
        for (state, trigger), following in table.items():
            assert f"    {state} --> {following}: {trigger}\n" in page
    arrows = len(TRANSITIONS) + len(INVITE_TRANSITIONS) + len(NON_INVITE_TRANSITIONS)
    assert page.count(" --> ") == arrows
