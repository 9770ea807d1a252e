"""Which rules take a message: an index of what they ask for, so that a message meets few of ten thousand rules."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

import re2

from firewall.net.address import Network
from firewall.ruleset.evaluate import operand_reader
from firewall.ruleset.expression import (
    And,
    Comparison,
    Condition,
    Contains,
    Exists,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
    base_field,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import Rule

_MAX_BYTES = 256 << 20
_COMMON = frozenset({"zone.src", "zone.dst", "sip.Method", "sip.CSeq.method", "emergency.class", "dialog.state"})
"""Fields in which many messages are alike: little is found by them."""

_Value = str | int | Network


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a message must have in an operand: one of these values, or the regex found in a value.

    ``set_name`` names the set whose members the values are: they are indexed once, however many rules use it.
    """

    operand: Operand
    values: Collection[_Value] = ()
    regex: bytes | None = None
    set_name: str | None = None


class Takers:
    """The enforced rules of a policy, found by a message that meets their condition."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._always: list[int] = []
        self._groups: dict[tuple[Operand, str | _Value], list[int]] = {}
        self._values: dict[Operand, dict[str | int, list[list[int]]]] = {}
        self._blocks: dict[Operand, dict[int, dict[int, list[list[int]]]]] = {}
        regexes: dict[Operand, list[tuple[bytes, int]]] = {}
        for number, rule in enumerate(rules):
            if rule.shadow:
                continue
            asked = _asked(rule.when)
            if asked is None:
                self._always.append(number)
                continue
            for each in asked:
                if each.regex is not None:
                    regexes.setdefault(each.operand, []).append((each.regex, number))
                elif each.set_name is not None:
                    self._add(each.operand, f"${each.set_name}", each.values, number)
                else:
                    for value in each.values:
                        self._add(each.operand, value, (value,), number)
        self._regexes = {operand: _Regexes(found) for operand, found in regexes.items()}
        self._read = {operand: operand_reader(operand) for operand in (*self._values, *self._blocks, *self._regexes)}

    def of(self, facts: Facts, first: int, end: int) -> Iterator[int]:
        """Yield the numbers, ``first`` up to ``end``, of the rules whose condition a message meets, in order."""
        for number in sorted(set(self._candidates(facts))):
            if first <= number < end and self._rules[number].matches(facts):
                yield number

    def _candidates(self, facts: Facts) -> Iterator[int]:
        yield from self._always
        for operand, by_value in self._values.items():
            for value in self._read[operand](facts):
                for group in by_value.get(value, ()):
                    yield from group
        for operand, by_size in self._blocks.items():
            for value in self._read[operand](facts):
                if isinstance(value, int):
                    for size, by_first in by_size.items():
                        for group in by_first.get(value - value % size, ()):
                            yield from group
        for operand, regexes in self._regexes.items():
            for value in self._read[operand](facts):
                if isinstance(value, str):
                    yield from regexes.found_in(value)

    def _add(self, operand: Operand, name: _Value, values: Collection[_Value], number: int) -> None:
        group = self._groups.get((operand, name))
        if group is not None:
            group.append(number)
            return
        group = self._groups[operand, name] = [number]
        for value in values:
            if not isinstance(value, Network):
                self._values.setdefault(operand, {}).setdefault(value, []).append(group)
                continue
            for first, size in _blocks(value.first, value.last):
                by_first = self._blocks.setdefault(operand, {}).setdefault(size, {})
                by_first.setdefault(first, []).append(group)


class _Regexes:
    """Regexes of several rules, looked for all at once."""

    def __init__(self, regexes: Sequence[tuple[bytes, int]]) -> None:
        options = re2.Options()
        options.max_mem = _MAX_BYTES
        options.encoding = re2.Options.Encoding.LATIN1
        options.log_errors = False
        self._numbers = [number for _, number in regexes]
        self._set = re2.Set.SearchSet(options)
        for regex, _ in regexes:
            self._set.Add(regex)
        self._set.Compile()

    def found_in(self, value: str) -> Iterator[int]:
        for index in self._set.Match(text_bytes(value)) or ():
            yield self._numbers[index]


def _asked(condition: Condition | None) -> tuple[_Asked, ...] | None:
    """Return what a message that meets a condition must have, one of these; None where that is not simply told."""
    match condition:
        case And(conditions):
            found = [each for each in map(_asked, conditions) if each is not None]
            return min(found, key=_rank, default=None)
        case Or(conditions):
            every = [_asked(each) for each in conditions]
            if any(each is None for each in every):
                return None
            return tuple(asked for each in every if each is not None for asked in each)
        case Comparison(operand, "==", str() | int() | Network() as value) if not isinstance(value, bool):
            return (_Asked(operand, (value,)),)
        case Membership(operand, items):
            return _of_items(operand, items)
        case Contains(operand, text):
            return (_Asked(operand, regex=re2.escape(text_bytes(text))),)
        case Matches(operand, regex):
            return (_Asked(operand, regex=b"(?i:" + text_bytes(regex) + b")"),)
        case Comparison() | Exists() | Not() | None:
            return None
        case _:
            assert_never(condition)


def _rank(asked: Sequence[_Asked]) -> tuple[bool, bool, int]:
    """Return how much some alternatives tell rules apart, the most telling first."""
    return (
        any(base_field(each.operand).name in _COMMON for each in asked),
        any(each.regex is not None for each in asked),
        sum(len(each.values) for each in asked),
    )


def _of_items(operand: Operand, items: Sequence[Item]) -> tuple[_Asked, ...] | None:
    values: list[_Value] = []
    sets: list[_Asked] = []
    for item in items:
        match item:
            case SetMembers(name, members):
                sets.append(_Asked(operand, members, set_name=name))
            case Range(int() as low, int() as high):
                values.append(Network(low, high))
            case Range() | bool():
                return None
            case _:
                values.append(item)
    return (*sets, *([_Asked(operand, tuple(values))] if values else []))


def _blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Yield an interval as blocks of a power of two, each at a multiple of its size: first number and size."""
    while first <= last:
        size = first & -first or 1 << last.bit_length()
        while first + size - 1 > last:
            size >>= 1
        yield first, size
        first += size
