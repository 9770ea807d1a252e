"""What texts there are, against the engine's own evaluation of random texts."""

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from firewall.errors import Place
from firewall.lint.language.value import Said, conflict, listed_texts, text_matching, text_meeting
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, atoms
from firewall.ruleset.facts import Facts
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.regex import compile_regex
from firewall.sip.message import parse_message

CONDITIONS = (
    'sip.Subject == "ab"', 'sip.Subject in {"a", "abc", "B"}', 'sip.Subject contains "b"', 'sip.Subject matches "^a+$"',
    'sip.Subject matches "bc"', "len(sip.Subject) > 2", 'lower(sip.Subject) == "b"', 'sip.Subject[0:1] == "a"',
    'sip.Subject > "ab"', "sip.Subject", 'sip.Subject != "a"', 'sip.Subject[-1:1] == "c"',
)  # fmt: skip


def atom(text: str) -> Atom:
    (found,) = atoms(parse_expression(text, sets={}, place=Place("test")))
    return found


ATOMS = [atom(text) for text in CONDITIONS]


@cache
def holds(tested: Atom, values: tuple[str, ...]) -> bool:
    lines = "".join(f"Subject: {value}\r\n" for value in values)
    message = parse_message(f"INVITE sip:a@h SIP/2.0\r\n{lines}\r\n".encode())
    return compile_condition(tested)(Facts(Datagram("192.0.2.1", 1, "192.0.2.2", 1, b""), message))


@given(st.lists(st.tuples(st.sampled_from(ATOMS), st.booleans()), max_size=4), st.lists(st.text("abcB", max_size=4)))
def test_what_some_message_has_is_no_conflict(asked: list[tuple[Atom, bool]], values: list[str]) -> None:
    """Whatever the values, the conditions are as true as they are: said so, they cannot conflict."""
    said = [Said(each, holds(each, tuple(values)), number + 1) for number, (each, _) in enumerate(asked)]
    assert conflict(said, is_single=False) is None
    if len(values) <= 1:
        assert conflict(said, is_single=True) is None


@given(st.lists(st.tuples(st.sampled_from(ATOMS), st.booleans()), min_size=1, max_size=4))
@settings(deadline=None)
def test_a_conflict_is_found_where_no_short_value_meets_the_conditions(asked: list[tuple[Atom, bool]]) -> None:
    """These conditions cannot tell longer values, or ones of other letters, from those listed."""
    said = [Said(each, wanted, number + 1) for number, (each, wanted) in enumerate(asked)]
    met = any(all(holds(each, values) == wanted for each, wanted in asked) for values in VALUES)
    assert (conflict(said, is_single=True) is None) == met


LETTERS = "aAbBcz"
VALUES: list[tuple[str, ...]] = [()] + [
    (first + second + third + fourth,)
    for first in ("", *LETTERS)
    for second in ("", *LETTERS)
    for third in ("", *LETTERS)
    for fourth in ("", *LETTERS)
]


def test_a_core_names_no_more_than_what_conflicts() -> None:
    said = [Said(atom('sip.Subject contains "b"'), True, 1), Said(ATOMS[0], False, -2), Said(ATOMS[3], True, 3)]
    assert conflict(said, is_single=True) == [1, 3]
    assert conflict(said, is_single=False) is None


def test_a_text_is_found_that_meets_what_is_wanted_and_nothing_else() -> None:
    assert text_meeting([ATOMS[1]], [atom('sip.Subject contains "a"')]) == b"B"
    assert text_meeting([ATOMS[0]], [ATOMS[2]]) is None
    assert text_matching("^1900[0-9]$") == b"19000"
    assert text_matching("$a") is None


def test_the_texts_of_a_list_are_known() -> None:
    assert listed_texts(ATOMS[1]) == {"a", "abc", "B"}
    assert listed_texts(ATOMS[2]) is None


@given(st.from_regex(r"\A\^?(ab?|[x-z]+|\(a\|b\)\*|c\{2,3\}|\\b|\$)*\Z"))
def test_a_text_found_for_a_regex_fits_it_and_none_is_found_only_where_there_is_none(regex: str) -> None:
    found = text_matching(regex)
    assert found is None or compile_regex(regex).search(found) is not None
    assert (found is None) == (text_meeting([atom(f'sip.Subject matches r"{regex}"')], []) is None)
