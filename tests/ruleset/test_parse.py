"""Mistakes in an expression are named with their place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import Place, PolicyError
from firewall.ruleset.parse import MAX_DEPTH, MAX_EXPRESSION_CHARS, parse_expression
from tests.ruleset.strategies import PLACE, SETS


def mistake(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_expression(text, sets=SETS, place=PLACE)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "policy.yaml:1:1: error: the expression is empty; write one, as sip"),
        ("sip.Method =", 'policy.yaml:1:12: error: "=" is not expected here; compare with "==" or "!="'),
        ('sip.Method ~= "A"', 'policy.yaml:1:13: error: "=" is not expected here; compare with "==" or "!="'),
        ("sip AND udp", 'policy.yaml:1:5: error: "AND" is no operator; write "and"'),
        ("sip and (NOT  udp)", 'policy.yaml:1:10: error: "NOT" is no operator; write "not"'),
        ('sip.Method IN {"A"}', 'policy.yaml:1:12: error: "IN" is no operator; write "in"'),
        ("len(sip.Method == 3", 'policy.yaml:1:16: error: "==" is not expected here; expected ")"'),
        ("sip & udp", 'policy.yaml:1:5: error: "&" is not expected here; write "and" or "&&"'),
        ("sip | udp", 'policy.yaml:1:5: error: "|" is not expected here; write "or" or "||"'),
        ("sip.Method ==", "policy.yaml:1:14: error: the expression ends too early; expected a value"),
        ("sip and", "policy.yaml:1:8: error: the expression ends too early; expected a field"),
        ("sip.Method in", "policy.yaml:1:14: error: the expression ends too early; expected a set: {…} or $name"),
        ("(sip", 'policy.yaml:1:5: error: a parenthesis is not closed; add ")"'),
        ("sip)", 'policy.yaml:1:4: error: ")" closes nothing; remove it'),
        (
            'sip.Method == "A',
            'policy.yaml:1:15: error: the string is not closed; add the closing "; '
            'in YAML a " #" ends an expression that is not in quotes itself',
        ),
        ("sip udp", 'policy.yaml:1:5: error: "udp" is not expected here; expected and, or, or the end'),
        (
            "5060 == udp.port",
            "policy.yaml:1:1: error: 5060 stands where a field is expected; write the field on the left",
        ),
        ("$blocked", "policy.yaml:1:1: error: $blocked can stand only after in; write field in $blocked"),
        (
            'sip.Method in {"A" "B"}',
            'policy.yaml:1:20: error: "B" is not expected here; expected "," or "}"',
        ),
        ("sip.Method in {}", 'policy.yaml:1:16: error: "}" is not expected here; expected a value'),
        ("not", "policy.yaml:1:4: error: the expression ends too early; expected a field"),
    ],
)
def test_a_syntax_error_has_its_column_and_a_next_step(text: str, error: str) -> None:
    assert mistake(text) == error


def test_the_place_is_counted_from_where_the_expression_begins() -> None:
    with pytest.raises(PolicyError) as caught:
        parse_expression("sip.Foo == 1", sets={}, place=Place("p.yaml", 7, 11))
    assert str(caught.value.place) == "p.yaml:7:11"


def test_a_deep_expression_is_refused_where_it_would_recurse() -> None:
    assert "nested deeper" in mistake("not " * (MAX_DEPTH + 1) + "sip")
    parse_expression("(" * 500 + "sip" + ")" * 500, sets={}, place=PLACE)
    parse_expression(" and ".join(["sip"] * 2000), sets={}, place=PLACE)


def test_an_endless_expression_is_refused() -> None:
    assert "put long lists of values into a set" in mistake("sip or " * (MAX_EXPRESSION_CHARS // 7) + "sip or sip")


WORDS = r"""
sip sip.Method net.src == != in { } ( ) not and or "x" 5 .. , 192.0.2.0/24 2001:db8::1 $agents $nosuch matches contains
[0:3] len emergency 'c' ~ ! é = [ " r"\d" 0x -1 [1-
"""


def outcome(text: str) -> PolicyError | None:
    try:
        parse_expression(text, sets=SETS, place=PLACE)
    except PolicyError as error:
        return error
    return None


@given(st.lists(st.sampled_from(WORDS.split()), max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_gives_a_condition_or_one_sentence_with_a_place(text: str) -> None:
    error = outcome(text)
    assert error is None or (error.place and error.place.column and 1 <= error.place.column <= len(text) + 1)
