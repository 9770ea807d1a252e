import pytest

from firewall.lint.language.ask import Ask, NoAnswerError, answer_or_unknown
from firewall.lint.language.carrier import places
from firewall.lint.language.search import Bound
from firewall.ruleset.expression import base_field
from tests.lint.language.conditions import literals


def _ask(*texts: str) -> Ask:
    asked = literals(*texts)
    place = places(base_field(asked[0].condition.operand))[0]
    ask = Ask(place.carrier)
    for literal in asked:
        here = places(base_field(literal.condition.operand))[0]
        (ask.some if literal.holds else ask.none)[Bound(literal.condition, here.groups)] = literal
    return ask


def test_a_core_leaves_out_what_has_no_part_in_the_conflict() -> None:
    texts = ('sip.from.user == "a"', 'not sip.from.user contains "a"', 'sip.from.host == "h"', 'sip.From contains "q"')
    ask = _ask(*texts)
    assert ask.answer() is None
    assert set(ask.core()) == set(literals(*texts[:2]))


@pytest.mark.parametrize("text", ["len(sip.r-uri.user) > 4096", "len(sip.Subject) > 8192"])
def test_values_longer_than_the_model_have_no_answer(text: str) -> None:
    assert _ask(text).answer() is None


def test_what_cannot_be_found_in_time_is_not_taken_for_nothing() -> None:
    ask = _ask(*(f'sip.Subject matches "{letter}.{{40}}{letter}.{{30}}[^x]$"' for letter in "abcd"))
    assert answer_or_unknown(ask.question()) is not None


def test_an_error_carries_its_core() -> None:
    core = tuple(literals("sdp"))
    assert NoAnswerError(core).core == core
