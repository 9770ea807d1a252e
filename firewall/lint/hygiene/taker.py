"""Which rules take a message: an index of what they ask for, so that a message meets few of ten thousand rules."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import assert_never

import re2

from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Item,
    Matches,
    Membership,
    Not,
    Or,
    Range,
    SetMembers,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import reader_of
from firewall.ruleset.policy import Rule

_FEW = 8
_MAX_BYTES = 256 << 20
_COMMON = frozenset({"zone.src", "zone.dst", "sip.Method", "sip.CSeq.method", "emergency.class", "dialog.state"})
"""Fields in which many messages are alike: little is found by them."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """A field and what a message must have there: one of these values, or the regex found in a value."""

    field: Field
    values: tuple[str | int | Network, ...] = ()
    regex: bytes | None = None

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """How much this tells rules apart, the most telling first."""
        return self.field.name in _COMMON, self.regex is not None, len(self.values)


class Takers:
    """The enforced rules of a policy, found by a message that meets their condition."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._always: list[int] = []
        self._values: dict[Field, dict[str | int, list[int]]] = {}
        self._networks: dict[Field, dict[int, dict[int, list[int]]]] = {}
        regexes: dict[Field, list[tuple[bytes, int]]] = {}
        for number, rule in enumerate(rules):
            if rule.shadow:
                continue
            asked = _asked(rule.when)
            if asked is None:
                self._always.append(number)
                continue
            for each in asked:
                if each.regex is not None:
                    regexes.setdefault(each.field, []).append((each.regex, number))
                for value in each.values:
                    self._add(each.field, value, number)
        self._regexes = {field: _Regexes(found) for field, found in regexes.items()}

    def of(self, facts: Facts, first: int, end: int) -> Iterator[int]:
        """Yield the numbers, ``first`` up to ``end``, of the rules whose condition a message meets, in order."""
        for number in sorted(set(self._candidates(facts))):
            if first <= number < end and self._rules[number].matches(facts):
                yield number

    def _candidates(self, facts: Facts) -> Iterator[int]:
        yield from self._always
        for field, by_value in self._values.items():
            for value in reader_of(field)(facts):
                yield from by_value.get(value, ())
        for field, by_size in self._networks.items():
            for value in reader_of(field)(facts):
                if isinstance(value, int):
                    for size, by_first in by_size.items():
                        yield from by_first.get(value - value % size, ())
        for field, regexes in self._regexes.items():
            for value in reader_of(field)(facts):
                if isinstance(value, str):
                    yield from regexes.found_in(value)

    def _add(self, field: Field, value: str | int | Network, number: int) -> None:
        if isinstance(value, Network):
            by_first = self._networks.setdefault(field, {}).setdefault(_size(value), {})
            by_first.setdefault(value.first, []).append(number)
        else:
            self._values.setdefault(field, {}).setdefault(value, []).append(number)


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
        for index in self._set.Match(value.encode("utf-8", "surrogateescape")) or ():
            yield self._numbers[index]


def _asked(condition: Condition | None) -> tuple[_Asked, ...] | None:
    """Return what a message that meets a condition must have, one of these; None where that is not simply told."""
    match condition:
        case And(conditions):
            found = [each for each in map(_asked, conditions) if each is not None]
            return min(found, key=lambda each: (len(each) > 1, *each[0].rank), default=None)
        case Or(conditions):
            every = [_asked(each) for each in conditions]
            if any(each is None for each in every):
                return None
            return tuple(asked for each in every if each is not None for asked in each)
        case Comparison(Field() as field, "==", str() | int() | Network() as value) if not isinstance(value, bool):
            return _of_values(field, (value,))
        case Membership(Field() as field, items):
            return _of_values(field, items)
        case Contains(Field() as field, text):
            return (_Asked(field, regex=re2.escape(text.encode("utf-8", "surrogateescape"))),)
        case Matches(Field() as field, regex):
            return (_Asked(field, regex=b"(?i:" + regex.encode("utf-8", "surrogateescape") + b")"),)
        case Comparison() | Membership() | Contains() | Matches() | Exists() | Not() | None:
            return None
        case _:
            assert_never(condition)


def _of_values(field: Field, items: Sequence[Item]) -> tuple[_Asked, ...] | None:
    values: list[str | int | Network] = []
    for item in items:
        match item:
            case SetMembers(_, members):
                values += members
            case Range() | bool():
                return None
            case _:
                values.append(item)
    if any(isinstance(value, Network) and not _size(value) for value in values):
        return None
    return (_Asked(field, tuple(values)),)


def _size(network: Network) -> int:
    """Return how many addresses a network has, 0 where it is not one that a prefix writes."""
    size = network.last - network.first + 1
    return size if size & (size - 1) == 0 and network.first % size == 0 else 0
