import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.lint.language.automaton import holds_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.jury import holds_of_message
from firewall.lint.language.predicate import Demand, automaton, count_of, demands, numbers_in, one_of
from firewall.net.datagram import Datagram
from firewall.ruleset.expression import Call, Comparison, Exists, Field, Matches, Slice
from firewall.ruleset.facts import Facts
from firewall.sip.message import parse_message
from tests.lint.language.conditions import literals

_X = Field("sip.header", "x")
_CONDITIONS = [
    *('{} == "aB"', '{} in {{"aB", "b".."c"}}', '{} contains "ab"', '{} matches "^a+B?$"', '{} > "aB"', '{} <= "aB"'),
    *('{}[0:1] == "a"', '{}[-2:] > "ab"', "{}[1:2]", '{}[1:] matches "b"', '{}[0:3] < "aab"', '{}[2:] == ""'),
    *("len({}) > 1", "len({}) <= 2", 'lower({}) == "ab"', 'upper({}) == "AB"'),
]


def _facts(value: str) -> Facts:
    payload = f"OPTIONS sip:a SIP/2.0\r\nX: {value}\r\n\r\n".encode("utf-8", "surrogateescape")
    return Facts(Datagram("192.0.2.1", 1, "192.0.2.2", 2, payload), parse_message(payload))


@pytest.mark.parametrize("condition", _CONDITIONS)
def test_an_automaton_says_of_a_value_what_the_evaluator_says(condition: str) -> None:
    atom = literals(condition.format('sip.header["X"]'))[0].condition
    rnd = random.Random(condition)
    for _ in range(200):
        value = "".join(rnd.choice("aAbBcé") for _ in range(rnd.randint(0, 5)))
        data = value.encode()
        assert holds_of(automaton(atom), data) is holds_of_message(atom, _facts(value)), (condition, value)


def test_not_equal_is_present_and_different() -> None:
    differs, equal = Comparison(_X, "!=", "a"), Comparison(_X, "==", "a")
    assert demands(differs, holds=True) == (Demand(some=(Exists(_X),), none=(equal,)),)
    assert demands(differs, holds=False) == (Demand(some=(equal,)), Demand(none=(Exists(_X),)))


def test_many_equalities_are_one_automaton() -> None:
    together = one_of(Call("lower", _X), frozenset({"ab", "b"}))
    assert [holds_of(together, value) for value in (b"AB", b"b", b"a")] == [True, True, False]


def test_a_count_is_an_interval_of_numbers() -> None:
    assert count_of(Comparison(Call("count", _X), ">", 3)) == ((4, None),)
    assert count_of(Comparison(Call("count", _X), "<", 1)) == ((0, 0),)


def test_an_empty_slice_neither_exists_nor_matches() -> None:
    assert not holds_of(automaton(Exists(Slice(_X, 5, None))), b"abc")
    assert not holds_of(automaton(Matches(Slice(_X, 5, None), "^$")), b"abc")


def test_an_address_is_no_text() -> None:
    with pytest.raises(UnmodelledError):
        automaton(literals("net.src == 192.0.2.0/24")[0].condition)


@given(
    st.lists(st.tuples(st.integers(0, 300), st.one_of(st.none(), st.integers(0, 300))), max_size=3),
    st.integers(0, 1200),
)
def test_numbers_are_compared_by_their_digits(intervals: list[tuple[int, int | None]], number: int) -> None:
    expected = any(low <= number and (high is None or number <= high) for low, high in intervals)
    assert holds_of(numbers_in(intervals), str(number).encode()) is expected


def test_what_is_no_number_is_in_no_interval() -> None:
    for text in (b"", b"-1", b"1a", b"a"):
        assert not holds_of(numbers_in([(0, None)]), text)
