"""Conditions in words for people."""

import pytest
from hypothesis import given

from firewall.ruleset.describe import describe
from firewall.ruleset.expression import And, Comparison, Condition, Field, Not, Or
from firewall.ruleset.parse import parse_expression
from tests.ruleset.strategies import PLACE, SETS, conditions


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ('sip.Method == "INVITE" and not net.src in $blocked',
            "the method is INVITE and the source is not in set blocked"),
        ("not emergency", "it is not an emergency call"),
        ("emergency", "it is an emergency call"),
        ('(sip.Method == "BYE" or sip.Method == "ACK") and not emergency',
         "(the method is BYE or the method is ACK) and it is not an emergency call"),
        ('not (sip.Method == "BYE" and emergency)', "not (the method is BYE and it is an emergency call)"),
        ("udp.srcport in {5061..5070, 7}", "the UDP source port is one of 5061 to 5070 or 7"),
        ("net.src == 192.0.2.0/24", "the source is in 192.0.2.0/24"),
        ("net.src == 192.0.2.1", "the source is 192.0.2.1"),
        ("net.src != 192.0.2.0/24", "the source is something other than in 192.0.2.0/24"),
        ('sip.header["X-Y"] contains "a b"', 'the header x-y contains "a b"'),
        ("not sip.User-Agent matches \"scan\"", 'the User-Agent does not match the regex "scan"'),
        ("count(sip.Via) > 5", "the number of sip.Via is above 5"),
        ('lower(sip.from.user) == "bob"', "the caller's user part in lower case is bob"),
        ('sip.Method[0:3] == "INV"', "3 bytes from byte 0 of the method is INV"),
        ("not sip.Subject", "sip.Subject is absent"),
        ("malformed", "it is malformed"),
    ],
)  # fmt: skip
def test_a_condition_reads_as_a_sentence(expression: str, sentence: str) -> None:
    assert describe(parse_expression(expression, sets=SETS, place=PLACE)) == sentence


@given(conditions())
def test_every_condition_has_words_on_one_line(condition: Condition) -> None:
    words = describe(condition)
    assert words
    assert "\n" not in words


@given(conditions(), conditions())
def test_a_condition_and_its_denial_read_differently(condition: Condition, other: Condition) -> None:
    assert describe(condition) != describe(Not(condition))
    assert describe(Or((condition, other))) != describe(Not(Or((condition, other))))


def test_groupings_read_differently() -> None:
    a, b, c = (Comparison(Field("sip.Method"), "==", method) for method in ("ACK", "BYE", "INVITE"))
    groupings: list[Condition] = [
        And((a, b, c)), Or((a, b, c)), And((a, Or((b, c)))), And((Or((a, b)), c)), Or((a, And((b, c)))),
        Or((And((a, b)), c)), Not(And((a, b, c))), And((Not(a), b, c)), Not(Or((a, b, c))), And((Not(And((a, b))), c)),
    ]  # fmt: skip
    assert len({describe(grouping) for grouping in groupings}) == len(groupings)
