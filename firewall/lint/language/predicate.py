"""From a condition to the automaton that reads one value, and to what must and must not be seen of all values."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from firewall.lint.language.automaton import (
    Automaton,
    Containing,
    Intervals,
    Joint,
    LengthIn,
    Mapped,
    OneOf,
    Ordered,
    SlicedFromEnd,
    SlicedFromStart,
    not_empty,
    ordered_by_length,
)
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.matching import Matching
from firewall.ruleset.expression import (
    Atom,
    Call,
    Comparator,
    Comparison,
    Contains,
    Exists,
    Field,
    Matches,
    Membership,
    Operand,
    Range,
    SetMembers,
    Slice,
    base_field,
)
from firewall.ruleset.literal import text_bytes

_HOLDS: dict[Comparator, Callable[[int, int], bool]] = {
    "==": operator.eq,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LOWER = bytes(byte + 32 if 0x41 <= byte <= 0x5A else byte for byte in range(256))
_UPPER = bytes(byte - 32 if 0x61 <= byte <= 0x7A else byte for byte in range(256))


@dataclass(frozen=True, slots=True)
class Demand:
    """Conditions of which each must hold of some value (``some``), and of which none may hold of any (``none``)."""

    some: tuple[Atom, ...] = ()
    none: tuple[Atom, ...] = ()


def demands(atom: Atom, *, holds: bool) -> tuple[Demand, ...]:
    """Return the ways in which an atom can hold, or not hold: one of the demands must be met.

    Only ``!=`` says two things at once: that there is a value, and that none is equal.
    """
    if isinstance(atom, Comparison) and atom.comparator == "!=":
        equal = Comparison(atom.operand, "==", atom.value)
        present = Comparison(atom.operand, ">=", 0) if counts(atom) else _any_value(atom.operand)
        if holds:
            return (Demand(some=(present,), none=(equal,)),)
        return Demand(some=(equal,)), Demand(none=(present,))
    return (Demand(some=(atom,)),) if holds else (Demand(none=(atom,)),)


def counts(atom: Atom) -> bool:
    """Tell whether an atom is about the number of values, not about one of them."""
    return isinstance(atom.operand, Call) and atom.operand.function == "count"


def count_of(atom: Atom) -> Intervals:
    """Return the numbers of values for which an atom about ``count()`` holds."""
    if isinstance(atom, Comparison) and isinstance(atom.value, int):
        return interval(atom.comparator, atom.value)
    raise UnmodelledError("count() in a condition of this form")


def is_longer_than(longest: int, atom: Atom) -> bool:
    """Tell whether an atom asks for a value of more bytes."""
    match atom:
        case Comparison(Call("len"), comparator, int() as number):
            return all(low > longest for low, _ in interval(comparator, number))
        case _:
            return False


@lru_cache(maxsize=8192)
def automaton(atom: Atom) -> Automaton:
    """Return the automaton of an atom on one value of its field, as the text it has on the wire (numbers in decimal).

    Raises:
        UnmodelledError: a regex or slice that is not modelled.
    """
    operand = atom.operand
    match atom:
        case Exists():
            inner: Automaton = not_empty(Containing(b"")) if isinstance(operand, Slice) else Containing(b"")
        case Contains(text=text):
            inner = Containing(text_bytes(text))
        case Matches(regex=regex):
            inner = not_empty(Matching(regex)) if isinstance(operand, Slice) else Matching(regex)
        case Comparison(comparator=comparator, value=value):
            inner = _compared(operand, comparator, value)
        case Membership(items=items):
            inner = _membership(items)
        case _:
            assert_never(atom)
    return _on_value(operand, inner)


@lru_cache(maxsize=64)
def one_of(operand: Operand, texts: frozenset[str]) -> Automaton:
    """Return the automaton of many equalities at once."""
    return _on_value(operand, OneOf([text_bytes(text) for text in texts]))


def _any_value(operand: Operand) -> Atom:
    """A condition that every value meets; unlike ``Exists`` also the empty slice of a value that is too short."""
    return Exists(base_field(operand))


def _on_value(operand: Operand, inner: Automaton) -> Automaton:
    """Let an automaton read what an operand makes of the value."""
    while not isinstance(operand, Field):
        match operand:
            case Slice(_, start, length):
                inner = SlicedFromStart(inner, start, length) if start >= 0 else SlicedFromEnd(inner, -start, length)
            case Call(function="lower"):
                inner = Mapped(inner, _LOWER)
            case Call(function="upper"):
                inner = Mapped(inner, _UPPER)
            case Call(function="len"):
                pass
            case Call():
                raise UnmodelledError("count() inside another operand")
        operand = operand.operand
    return inner


def _compared(operand: Operand, comparator: Comparator, value: object) -> Automaton:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise UnmodelledError("a comparison with neither text nor number")
    if isinstance(value, int):
        numbers = interval(comparator, value)
        return LengthIn(numbers) if isinstance(operand, Call) else numbers_in(numbers)
    text = text_bytes(value)
    if comparator == "!=":
        raise UnmodelledError("!= of one value")
    is_by_length = isinstance(operand, Slice) and comparator != "=="
    return (ordered_by_length if is_by_length else Ordered)(text, _HOLDS[comparator])


def _membership(items: Sequence[object]) -> Automaton:
    texts: list[bytes] = []
    numbers: list[tuple[int, int | None]] = []
    ranges: list[Automaton] = []
    for item in items:
        match item:
            case str():
                texts.append(text_bytes(item))
            case int() if not isinstance(item, bool):
                numbers.append((item, item))
            case Range(int() as low, int() as high):
                numbers.append((low, high))
            case Range(low, high):
                ends = Ordered(text_bytes(str(low)), operator.ge), Ordered(text_bytes(str(high)), operator.le)
                ranges.append(Joint(ends, every=True))
            case SetMembers(_, frozenset() as members):
                texts += [text_bytes(member) for member in members]
            case _:
                raise UnmodelledError("a set of neither texts nor numbers")
    if numbers:
        return numbers_in(numbers)
    if texts:
        ranges.insert(0, OneOf(texts))
    return ranges[0] if len(ranges) == 1 else Joint(ranges, every=False)


def numbers_in(numbers: Sequence[tuple[int, int | None]]) -> Automaton:
    """Return what accepts numbers of some intervals in decimal without leading zeros: the shorter is the lesser."""
    ways: list[Automaton] = [OneOf([str(low).encode() for low, high in numbers if low == high])]
    for low, high in numbers:
        ends = [ordered_by_length(str(low).encode(), operator.ge)]
        if high is not None:
            ends.append(ordered_by_length(str(max(high, 0)).encode(), operator.le))
        if low != high:
            ways.append(Joint((Matching("^[0-9]+$"), *ends), every=True))
    return ways[0] if len(ways) == 1 else Joint(ways, every=False)


def interval(comparator: Comparator, value: int) -> Intervals:
    """Return the numbers from 0 on that compare so with a value."""
    match comparator:
        case "==":
            return ((value, value),)
        case "!=":
            return (*interval("<", value), (value + 1, None))
        case ">":
            return ((value + 1, None),)
        case ">=":
            return ((value, None),)
        case "<":
            return ((0, value - 1),) if value > 0 else ()
        case "<=":
            return ((0, value),) if value >= 0 else ()
    assert_never(comparator)
