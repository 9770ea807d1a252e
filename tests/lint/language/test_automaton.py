import operator
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.lint.language.automaton import (
    CERTAIN,
    Automaton,
    Containing,
    LengthIn,
    Mapped,
    OneOf,
    Ordered,
    SlicedFromEnd,
    SlicedFromStart,
    holds_of,
    not_empty,
    ordered_by_length,
)
from firewall.lint.language.bounds import UnmodelledError
from firewall.ruleset.evaluate import slice_bytes

_TEXTS = st.lists(st.sampled_from(b"abB"), max_size=6).map(bytes)
_ORDERS = [operator.eq, operator.lt, operator.le, operator.gt, operator.ge]


@given(_TEXTS, _TEXTS)
def test_equality_containment_and_order_are_those_of_python(wanted: bytes, value: bytes) -> None:
    for order in _ORDERS:
        assert holds_of(Ordered(wanted, order), value) is order(value, wanted)
        by_length = order((len(value), value), (len(wanted), wanted))
        assert holds_of(ordered_by_length(wanted, order), value) is by_length
    assert holds_of(Containing(wanted), value) is (wanted in value)


@given(st.sets(_TEXTS, min_size=1), _TEXTS)
def test_a_list_accepts_its_members(members: set[bytes], value: bytes) -> None:
    assert holds_of(OneOf(list(members)), value) is (value in members)


@given(_TEXTS, _TEXTS, st.integers(-4, 4), st.one_of(st.none(), st.integers(0, 4)))
def test_a_slice_is_the_one_the_evaluator_takes(wanted: bytes, value: bytes, start: int, length: int | None) -> None:
    inner = Ordered(wanted, operator.eq)
    automaton: Automaton = SlicedFromStart(inner, start, length) if start >= 0 else SlicedFromEnd(inner, -start, length)
    assert holds_of(automaton, value) is (slice_bytes(value, start, length) == wanted)


@given(_TEXTS, _TEXTS, st.integers(-4, 4), st.one_of(st.none(), st.integers(0, 4)))
def test_a_slice_takes_at_least_the_bytes_it_says(wanted: bytes, value: bytes, start: int, length: int | None) -> None:
    inner = Ordered(wanted, operator.eq)
    automaton = SlicedFromStart(inner, start, length) if start >= 0 else SlicedFromEnd(inner, -start, length)
    if holds_of(automaton, value):
        state = automaton.start
        for index, byte in enumerate(value):
            assert automaton.least_bytes(state) <= len(value) - index
            state = automaton.step(state, byte)


@given(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 5)), _TEXTS)
def test_a_length_is_counted_in_bytes(low: int, high: int | None, value: bytes) -> None:
    assert holds_of(LengthIn(((low, high),)), value) is (low <= len(value) and (high is None or len(value) <= high))


def test_a_mapping_is_applied_before_reading() -> None:
    lower = bytes(byte + 32 if 65 <= byte <= 90 else byte for byte in range(256))
    assert holds_of(Mapped(Ordered(b"abc", operator.eq), lower), b"aBC")
    assert not holds_of(Mapped(Ordered(b"ABC", operator.eq), lower), b"ABC")


def test_not_empty_refuses_the_empty_text_alone() -> None:
    assert not holds_of(not_empty(Containing(b"")), b"")
    assert holds_of(not_empty(Containing(b"")), b"a")


def test_what_cannot_change_any_more_is_certain() -> None:
    automaton = Containing(b"a")
    assert automaton.step(automaton.start, ord("a")) == CERTAIN


@given(
    st.sampled_from(
        [Ordered(b"abB", operator.eq), Containing(b"ab"), Ordered(b"aB", operator.lt), OneOf([b"a", b"bb"])]
    ),
    _TEXTS,
)
def test_bytes_of_one_class_lead_to_one_state(automaton: Automaton, value: bytes) -> None:
    state = automaton.start
    for byte in value:
        state = automaton.step(state, byte)
    after: dict[int, object] = {}
    for byte in range(256):
        assert after.setdefault(automaton.classes[byte], automaton.step(state, byte)) == automaton.step(state, byte)


@pytest.mark.parametrize("back", [25, 1000])
def test_a_slice_far_from_the_end_is_not_answered(back: int) -> None:
    build: Callable[[], Automaton] = lambda: SlicedFromEnd(Ordered(b"a", operator.eq), back, None)  # noqa: E731
    with pytest.raises(UnmodelledError):
        build()
