from firewall.lint.language.jury import Jury, facts_of
from tests.lint.language.conditions import literals
from tests.lint.language.messages import TEMPLATE


def test_the_literals_that_do_not_hold_are_found() -> None:
    asked = literals(
        'sip.Method == "BYE"', "sdp", "sip.Subject", 'not sip.from.user == "+16175550142"', 'not sip.To == "x"'
    )
    facts = facts_of(TEMPLATE)
    assert facts is not None
    assert set(Jury(asked).failing(facts)) == {asked[0], asked[2], asked[3]}


def test_what_is_no_message_has_no_facts() -> None:
    assert facts_of(b"nonsense") is None
