"""Looks for a short text of a carrier's shape of which some conditions hold and others do not, or shows there is none.

The search walks the shape's program and all conditions' automata at once, the most promising place first. It
visits every state that can matter before it says no, so that "no" is a proof; a budget that ends it earlier raises.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final

from firewall.lint.language.automaton import (
    CERTAIN,
    DEAD,
    Automaton,
    Intervals,
    LengthIn,
    SlicedFromEnd,
    SlicedFromStart,
    State,
    text_to,
    within,
)
from firewall.lint.language.bounds import MAX_STATES, MAX_VALUES, UnmodelledError
from firewall.lint.language.carrier import Carrier, Group
from firewall.lint.language.matching import Matching
from firewall.lint.language.narrow import Narrowing
from firewall.lint.language.payload_type import PayloadNamed
from firewall.lint.language.predicate import automaton, count_of, counts, one_of
from firewall.lint.language.program import END, START, Mark
from firewall.lint.language.shape import Shape, shape_of
from firewall.ruleset.expression import Atom, Comparison, Operand

CLOSED: Final = None
_LONG_BYTES: Final = 24
"""A regex that needs more than that is looked for as a long text is."""
_NICE = b"xabcdefghijklmnopqrstuvwyz1023456789XABCDEFGHIJKLMNOPQRSTUVWYZ-._+~!*%'`/:;=,?&$#@()[]<>{}|^\"\\ \t"
_PREFERENCE = {byte: rank for rank, byte in enumerate(_NICE)}


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition at the groups of a carrier where it is read."""

    atom: Atom
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """Which text of a carrier has, for each of ``some``, a value of which it holds, and for none of ``none`` one?"""

    carrier: Carrier
    some: frozenset[Bound]
    none: frozenset[Bound]
    kept: frozenset[tuple[str, bytes]] = frozenset()
    """Texts that groups are to keep, where the answer is to be near a given one."""
    is_near: bool = False
    """One value is wanted, in the usual form, whatever else the shape allows."""

    @property
    def read(self) -> frozenset[str]:
        """The groups that its conditions read."""
        return frozenset(group.name for bound in (*self.some, *self.none) for group in bound.groups)


def find(question: Question) -> bytes | None:
    """Return a short text that answers a question, None where there is none.

    Raises:
        UnmodelledError: a condition has no automaton, or the search would visit more than ``MAX_STATES`` states.
    """
    found = _found(question)
    if isinstance(found, str):
        raise UnmodelledError(found)
    return found


@lru_cache(maxsize=512)
def _found(question: Question) -> bytes | str | None:
    """The answer, or why there is none: what is too hard once is asked again and again, and is too hard each time."""
    try:
        return _Search(question).run()
    except UnmodelledError as unmodelled:
        return str(unmodelled)


def _shape_for(question: Question) -> Shape:
    carrier, read = question.carrier, question.read
    marked = {group for group, _ in carrier.never}
    for group, scope in carrier.once.items():
        if group in read:
            marked.add(scope)
    return shape_of(carrier.regex, Narrowing(read, frozenset(marked), question.kept, question.is_near))


@dataclass(slots=True)
class _Observer:
    """An automaton that reads each value of one group. ``bit`` is what it is to see some time, None: never to see."""

    group: str
    automaton: Automaton
    bit: int | None


@dataclass(slots=True)
class _Counter:
    groups: frozenset[str]
    wanted: Intervals
    holds: bool
    most: int


_Place = tuple[int, tuple[State | None, ...], int, tuple[int, ...], frozenset[str]]
"""A state of the search: step, observers' states, bits seen, counters, groups that were closed and stand once."""


class _Search:
    def __init__(self, question: Question) -> None:
        carrier = question.carrier
        self._shape = _shape_for(question)
        self._observers: list[_Observer] = []
        self._counters: list[_Counter] = []
        self._bits = 0
        for group, regex in carrier.never:
            self._observers.append(_Observer(group, _never(regex), None))
        self._add_none(question.none)
        for bound in sorted(question.some, key=repr):
            self._add_some(bound)
        seen = {observer.group for observer in self._observers if observer.bit is not None}
        seen.update(group for counter in self._counters for group in counter.groups)
        self._once = {group: scope for group, scope in carrier.once.items() if group in seen}
        self._by_bit: list[list[int]] = [[] for _ in range(self._bits)]
        for index, observer in enumerate(self._observers):
            if observer.bit is not None:
                self._by_bit[observer.bit].append(index)
        self._is_long = any(
            isinstance(each.automaton, LengthIn | SlicedFromEnd)
            or (each.bit is not None and _least(each.automaton) > _LONG_BYTES)
            for each in self._observers
        )
        self._bytes: dict[int, tuple[int, ...]] = {}
        self._plans: dict[tuple[Mark, ...], tuple[tuple[str, str, tuple[int, ...]], ...]] = {}

    def _add_some(self, bound: Bound) -> None:
        if counts(bound.atom):
            self._add_counter(bound, holds=True)
            return
        for group in bound.groups:
            self._observers.append(_Observer(group.name, _read(automaton(bound.atom), group), self._bits))
        self._bits += 1

    def _add_none(self, bounds: Iterable[Bound]) -> None:
        """Many equalities with one operand become one automaton."""
        equalities: dict[tuple[Operand, tuple[Group, ...]], list[str]] = {}
        for bound in sorted(bounds, key=repr):
            match bound.atom:
                case Comparison(operand, "==", str() as text) if not counts(bound.atom):
                    equalities.setdefault((operand, bound.groups), []).append(text)
                case atom if counts(atom):
                    self._add_counter(bound, holds=False)
                case atom:
                    for group in bound.groups:
                        self._observers.append(_Observer(group.name, _read(automaton(atom), group), None))
        for (operand, groups), texts in equalities.items():
            for group in groups:
                read = _read(one_of(operand, frozenset(texts)), group)
                self._observers.append(_Observer(group.name, read, None))

    def _add_counter(self, bound: Bound, *, holds: bool) -> None:
        wanted = count_of(bound.atom)
        most = max((end for pair in wanted for end in pair if end is not None), default=0) + 1
        self._counters.append(_Counter(frozenset(group.name for group in bound.groups), wanted, holds, most))

    def run(self) -> bytes | None:
        """Walk from the shape's start to its end."""
        if any(each.holds and not _is_countable(each.wanted) for each in self._counters):
            return None
        nothing: tuple[State | None, ...] = (CLOSED,) * len(self._observers)
        first: _Place = (START, nothing, 0, (0,) * len(self._counters), frozenset())
        came_from: dict[_Place, tuple[_Place, int] | None] = {first: None}
        lengths = {first: 0}
        distances = self._shape.distances
        queue: list[tuple[int, int, int, int, _Place]] = [(distances[START], 0, 0, 0, first)]
        number = 0
        while queue:
            _, _, _, length, place = heappop(queue)
            if length > lengths[place]:
                continue
            for marks, target in self._shape.program.edges[place[0]]:
                passed = self._pass(place, marks)
                if passed is None:
                    continue
                if target == END:
                    if self._is_answer(passed):
                        return text_to(place, came_from)
                    continue
                for byte, after in self._step(passed, target):
                    known = lengths.get(after)
                    if known is not None and (self._is_long or known <= length + 1):
                        continue
                    lengths[after] = length + 1
                    came_from[after] = place, byte
                    number += 1
                    # Of equally promising places on the way to a long text the one farther on is tried first.
                    least = distances[target] + self._least_bytes(after)
                    depth = -length if self._is_long else 0
                    heappush(queue, (length + 1 + least, depth, number, length + 1, after))
            if len(came_from) > MAX_STATES:
                raise UnmodelledError("a search of too many states")
        return None

    def _pass(self, place: _Place, marks: tuple[Mark, ...]) -> _Place | None:
        """Begin and end the groups between two bytes; None where that already breaks a condition."""
        if not marks:
            return place
        plan = self._plans.get(marks)
        if plan is None:
            plan = self._plans[marks] = tuple(
                (kind, group, tuple(index for index, each in enumerate(self._observers) if each.group == group))
                for kind, group in marks
            )
        step, states, bits, numbers, closed = place
        now = list(states)
        for kind, group, observers in plan:
            if kind == "open":
                if group in closed:
                    return None
                self._begin(now, bits, observers)
                continue
            seen = self._end(now, bits, observers)
            if seen is None:
                return None
            bits = seen
            numbers = tuple(
                number + (group in counter.groups) if number <= counter.most else number
                for number, counter in zip(numbers, self._counters, strict=True)
            )
            if any(number > MAX_VALUES for number in numbers):
                return None
            if group in self._once:
                closed |= {group}
            elif closed:
                closed = frozenset(each for each in closed if self._once[each] != group)
        return step, tuple(now), bits, numbers, closed

    def _begin(self, now: list[State | None], bits: int, observers: tuple[int, ...]) -> None:
        """Let a group's observers read; not those that have seen what they are to see."""
        for index in observers:
            observer = self._observers[index]
            if observer.bit is None or not bits >> observer.bit & 1:
                now[index] = observer.automaton.start

    def _end(self, now: list[State | None], bits: int, observers: tuple[int, ...]) -> int | None:
        """Ask a group's observers for their word; None where one has seen what must not be."""
        for index in observers:
            state = now[index]
            now[index] = CLOSED
            if state is CLOSED or not self._observers[index].automaton.accepts(state):
                continue
            bit = self._observers[index].bit
            if bit is None:
                return None
            bits |= 1 << bit
        return bits

    def _is_answer(self, place: _Place) -> bool:
        _, _, bits, numbers, _ = place
        return bits == (1 << self._bits) - 1 and all(
            (number > 0 and within(number, counter.wanted)) is counter.holds
            for number, counter in zip(numbers, self._counters, strict=True)
        )

    def _step(self, place: _Place, target: int) -> Iterable[tuple[int, _Place]]:
        _, states, bits, numbers, closed = place
        openable = self._shape.openable[target]
        reading = [index for index, state in enumerate(states) if state is not CLOSED]
        for byte in self._bytes_of(target):
            now = list(states)
            seen = bits
            is_possible = True
            for index in reading:
                observer = self._observers[index]
                state = observer.automaton.step(states[index], byte)
                if state == CERTAIN:
                    if observer.bit is None:
                        is_possible = False
                        break
                    seen |= 1 << observer.bit
                    state = CLOSED
                elif state == DEAD:
                    state = CLOSED
                now[index] = state
            if not is_possible:
                continue
            if seen != bits:
                for index in reading:
                    bit = self._observers[index].bit
                    if bit is not None and seen >> bit & 1:
                        now[index] = CLOSED
            if self._can_see_all(now, seen, openable):
                yield byte, (target, tuple(now), seen, numbers, closed)

    def _can_see_all(self, states: Sequence[State | None], bits: int, openable: frozenset[str]) -> bool:
        for bit, observers in enumerate(self._by_bit):
            if bits >> bit & 1:
                continue
            for index in observers:
                if states[index] is not CLOSED or self._observers[index].group in openable:
                    break
            else:
                return False
        return True

    def _least_bytes(self, place: _Place) -> int:
        """How many bytes at least are still to come before all that is to be seen was seen."""
        _, states, bits, _, _ = place
        least = 0
        if not self._is_long:
            return least
        for bit, observers in enumerate(self._by_bit):
            if not bits >> bit & 1:
                each = (self._observers[index].automaton for index in observers)
                least = max(
                    least,
                    min(_least(reader, states[index]) for reader, index in zip(each, observers, strict=True)),
                )
        return least

    def _bytes_of(self, step: int) -> tuple[int, ...]:
        """One byte of each kind that the automata reading here tell apart, plain ones first."""
        found = self._bytes.get(step)
        if found is None:
            inside = self._shape.inside[step]
            tables = [each.automaton.classes for each in self._observers if each.group in inside]
            kinds: dict[tuple[int, ...], int] = {}
            for byte in sorted(self._shape.program.members[step], key=_preference):
                kinds.setdefault(tuple(table[byte] for table in tables), byte)
            found = self._bytes[step] = tuple(kinds.values())
        return found


def _least(reader: Automaton, state: State | None = CLOSED) -> int:
    """Return how many bytes at least are to come before a reader accepts; 0 where that is not known."""
    if not isinstance(reader, LengthIn | Matching | SlicedFromEnd | SlicedFromStart):
        return 0
    return reader.least_bytes(reader.start if state is CLOSED else state)


def _is_countable(numbers: Intervals) -> bool:
    return any(low <= MAX_VALUES and (high is None or high >= max(low, 1)) for low, high in numbers)


def _preference(byte: int) -> tuple[int, int]:
    return _PREFERENCE.get(byte, 256), byte


@lru_cache(maxsize=64)
def _never(regex: str) -> Automaton:
    return Matching(regex, fold=False)


def _read(inner: Automaton, group: Group) -> Automaton:
    match group.reading:
        case "text":
            return inner
        case "payload":
            return PayloadNamed(inner)
