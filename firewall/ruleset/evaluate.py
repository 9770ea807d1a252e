"""Evaluate: the interpreter for the packet path. A condition becomes one closure, specialised at each node."""

import operator
from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache
from typing import Any, assert_never, cast

from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Call,
    Comparator,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
    Slice,
    Value,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import OneReader, Reader, Values
from firewall.ruleset.fields import one_reader_of, reader_of
from firewall.ruleset.literal import bytes_text, text_bytes
from firewall.ruleset.network_set import merged
from firewall.ruleset.regex import compile_regex

Predicate = Callable[[Facts], bool]
_Numbers = Callable[[Facts], tuple[int, ...]]
_Texts = Callable[[Facts], tuple[str, ...]]

_CACHED_ADDRESSES = 65_536
_ORDERINGS: dict[Comparator, Callable[[Any, Any], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


def compile_condition(condition: Condition) -> Predicate:
    """Return the function that tells whether a message, given as facts, meets the condition."""
    match condition:
        case Comparison(operand, comparator, value):
            return _comparison(operand, comparator, value)
        case Membership(operand, items):
            return _membership(operand, items)
        case Contains(operand, text):
            return _contains(_texts(operand), text)
        case Matches(operand, regex):
            return _matches(_seen(operand), regex)
        case Exists(operand):
            read = _seen(operand)
            return lambda facts: bool(read(facts))
        case Not(inner):
            negated = compile_condition(inner)
            return lambda facts: not negated(facts)
        case And(conditions):
            return _all_of([compile_condition(each) for each in conditions])
        case Or(conditions):
            return _any_of([compile_condition(each) for each in conditions])
    assert_never(condition)


def _all_of(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 2:
        first, second = predicates
        return lambda facts: first(facts) and second(facts)
    if len(predicates) == 3:
        first, second, third = predicates
        return lambda facts: first(facts) and second(facts) and third(facts)

    def all_of(facts: Facts) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator for all() doubles the cost per packet
            if not predicate(facts):
                return False
        return True

    return all_of


def _any_of(predicates: list[Predicate]) -> Predicate:
    if len(predicates) == 2:
        first, second = predicates
        return lambda facts: first(facts) or second(facts)

    def any_of(facts: Facts) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator for any() doubles the cost per packet
            if predicate(facts):
                return True
        return False

    return any_of


def operand_reader(operand: Operand) -> Reader:
    """Return the reader of a field, or of what a slice or a function makes of its values."""
    match operand:
        case Field():
            return reader_of(operand)
        case Slice(inner, start, length):
            return _slice_reader(_texts(inner), start, length)
        case Call(function, inner):
            if function == "count":
                read_all = operand_reader(inner)
                # As in Wireshark, count() of an absent field has no value: "count(x) == 0" never holds.
                return lambda facts: (len(values),) if (values := read_all(facts)) else ()
            texts = _texts(inner)
            match function:
                case "len":
                    return lambda facts: tuple([byte_length(text) for text in texts(facts)])
                case "lower":
                    return lambda facts: tuple([ascii_lower(text) for text in texts(facts)])
                case "upper":
                    return lambda facts: tuple([ascii_upper(text) for text in texts(facts)])
            assert_never(function)
    assert_never(operand)


def _one(operand: Operand) -> OneReader | None:
    """The reader of an operand that has one value at most, where the field table has one."""
    return one_reader_of(operand) if isinstance(operand, Field) else None


def _texts(operand: Operand) -> _Texts:
    """The reader of an operand that ``resolve`` has found to be text."""
    return cast("_Texts", operand_reader(operand))


def _seen(operand: Operand) -> _Texts:
    """The values that exist and can match: in Wireshark not the empty slice of a value that is too short."""
    texts = _texts(operand)
    if not isinstance(operand, Slice):
        return texts
    return lambda facts: tuple(text for text in texts(facts) if text)


def _slice_reader(texts: _Texts, start: int, length: int | None) -> Reader:
    def slices(facts: Facts) -> Values:
        return tuple(bytes_text(slice_bytes(text_bytes(text), start, length)) for text in texts(facts))

    return slices


def slice_bytes(data: bytes, start: int, length: int | None) -> bytes:
    """Return the slice of one value; nothing when the value is too short to hold it whole."""
    first = start if start >= 0 else len(data) + start
    end = len(data) if length is None else first + length
    if first < 0 or end > len(data) or first >= end:
        return b""
    return data[first:end]


def ascii_lower(text: str) -> str:
    """Return the text with A-Z made lower case; other letters stay, as in Wireshark."""
    return text.lower() if text.isascii() else bytes_text(text_bytes(text).lower())


def ascii_upper(text: str) -> str:
    """Return the text with a-z made upper case; other letters stay, as in Wireshark."""
    return text.upper() if text.isascii() else bytes_text(text_bytes(text).upper())


def byte_length(text: str) -> int:
    """Return the length of a text in the bytes it had on the wire."""
    return len(text) if text.isascii() else len(text_bytes(text))


def _comparison(operand: Operand, comparator: Comparator, value: Value) -> Predicate:
    read = operand_reader(operand)
    match value:
        case Network(first, last) if first != last:
            return _network_comparison(read, first, last, inside=comparator == "==")
        case Network(first, _):
            wanted: str | int = first
        case _:
            wanted = value
    if comparator == "==":
        one = _one(operand)
        if one is not None and wanted is True:
            return cast("Predicate", one)  # a flag is its own answer
        return (lambda facts: one(facts) == wanted) if one is not None else lambda facts: wanted in read(facts)
    if comparator == "!=":

        def all_differ(facts: Facts) -> bool:
            values = read(facts)
            return bool(values) and wanted not in values

        return all_differ
    return _ordering(read, _ORDERINGS[comparator], wanted, _slice_order if isinstance(operand, Slice) else text_bytes)


def _network_comparison(read: Reader, first: int, last: int, *, inside: bool) -> Predicate:
    addresses = cast("_Numbers", read)
    if inside:

        def any_inside(facts: Facts) -> bool:
            for address in addresses(facts):  # noqa: SIM110 - a generator for any() doubles the cost per packet
                if first <= address <= last:
                    return True
            return False

        return any_inside

    def all_outside(facts: Facts) -> bool:
        values = addresses(facts)
        return bool(values) and not any(first <= address <= last for address in values)

    return all_outside


def _slice_order(text: str) -> tuple[int, bytes]:
    """Slices are bytes to Wireshark, and of two byte strings the shorter is the lesser."""
    data = text_bytes(text)
    return len(data), data


def _ordering(
    read: Reader, holds: Callable[[Any, Any], bool], bound: str | int, text_order: Callable[[str], object]
) -> Predicate:
    """Numbers by size, addresses by their place, text by its bytes."""
    if isinstance(bound, str):
        texts, text_bound = cast("_Texts", read), text_order(bound)
        return lambda facts: any(holds(text_order(text), text_bound) for text in texts(facts))
    return lambda facts: any(holds(value, bound) for value in read(facts))


def _membership(operand: Operand, items: tuple[Item, ...]) -> Predicate:
    read = operand_reader(operand)
    texts: set[str] = set()
    numbers: set[int] = set()
    networks: list[Network] = []
    ranges: list[Range] = []
    tests: list[Predicate] = []
    for item in items:
        match item:
            case str():
                texts.add(item)
            case int():
                numbers.add(item)
            case Network():
                networks.append(item)
            case Range():
                ranges.append(item)
            case SetMembers(_, members) if isinstance(members, frozenset):
                tests.append(_in_values(read, members))
            case SetMembers():
                tests.append(_any_address(operand, _inside_set(item)))
    if texts or numbers:
        one, values = _one(operand), frozenset(texts) | frozenset(numbers)
        tests.append(_in_values(read, values) if one is None else lambda facts: one(facts) in values)
    if networks:
        tests.append(_in_networks(operand, merged(networks)))
    tests += [_in_range(read, each) for each in ranges]
    return tests[0] if len(tests) == 1 else _any_of(tests)


def _in_values(read: Reader, wanted: frozenset[str | int]) -> Predicate:
    return lambda facts: not wanted.isdisjoint(read(facts))


def _in_networks(operand: Operand, networks: tuple[Network, ...]) -> Predicate:
    if len(networks) == 1:
        return _network_comparison(operand_reader(operand), networks[0].first, networks[0].last, inside=True)
    return _any_address(operand, _inside(networks))


@lru_cache(maxsize=256)
def _inside_set(item: SetMembers) -> Callable[[int], bool]:
    """Return what tells the addresses of a set: one, however many rules use it."""
    return _inside(merged(member for member in item.members if isinstance(member, Network)))


def _inside(networks: tuple[Network, ...]) -> Callable[[int], bool]:
    firsts = [network.first for network in networks]
    lasts = [network.last for network in networks]

    @lru_cache(maxsize=_CACHED_ADDRESSES)
    def inside(address: int) -> bool:
        index = bisect_right(firsts, address) - 1
        return index >= 0 and address <= lasts[index]

    return inside


def _any_address(operand: Operand, inside: Callable[[int], bool]) -> Predicate:
    one, addresses = (
        cast("Callable[[Facts], int | None] | None", _one(operand)),
        cast("_Numbers", operand_reader(operand)),
    )
    if one is not None:
        return lambda facts: (address := one(facts)) is not None and inside(address)

    def in_networks(facts: Facts) -> bool:
        for address in addresses(facts):  # noqa: SIM110 - a generator for any() doubles the cost per packet
            if inside(address):
                return True
        return False

    return in_networks


def _in_range(read: Reader, wanted: Range) -> Predicate:
    low, high = wanted.low, wanted.high
    if isinstance(low, int) and isinstance(high, int):
        return _network_comparison(read, low, high, inside=True)
    texts, first, last = cast("_Texts", read), text_bytes(str(low)), text_bytes(str(high))
    return lambda facts: any(first <= text_bytes(text) <= last for text in texts(facts))


def _contains(texts: _Texts, text: str) -> Predicate:
    if any("\udc80" <= char <= "\udcff" for char in text):
        # Single bytes: they may stand inside a character of the value, so bytes are compared.
        needle = text_bytes(text)
        return lambda facts: any(needle in text_bytes(value) for value in texts(facts))

    def contains(facts: Facts) -> bool:
        for value in texts(facts):  # noqa: SIM110 - a generator for any() doubles the cost per packet
            if text in value:
                return True
        return False

    return contains


def _matches(texts: _Texts, regex: str) -> Predicate:
    search = compile_regex(regex).search

    def matches(facts: Facts) -> bool:
        for value in texts(facts):  # noqa: SIM110 - a generator for any() doubles the cost per packet
            if search(value.encode("utf-8", "surrogateescape")) is not None:
                return True
        return False

    return matches
