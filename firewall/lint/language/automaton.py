"""Deterministic automata over bytes, built as they are walked: each reads one value and says whether a condition holds.

A state is any hashable value. ``DEAD`` is a state from which no text is accepted any more, ``CERTAIN`` one from which
every text is. ``classes`` gives each byte a number; bytes of one number lead to the same states.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

from firewall.lint.language.bounds import MAX_WINDOW_BYTES, UnmodelledError

P = TypeVar("P")
State = Hashable
DEAD: Final = -1
CERTAIN: Final = -2

Intervals = tuple[tuple[int, int | None], ...]
"""Numbers as intervals, both ends included; None is without end."""

ONE_CLASS: Final = bytes(256)


class Automaton(Protocol):
    """What a search needs to know of a condition on one value."""

    @property
    def classes(self) -> bytes:
        """The class of each of the 256 bytes."""

    @property
    def start(self) -> State:
        """The state before the first byte."""

    def step(self, state: State, byte: int) -> State:
        """The state after one more byte."""

    def accepts(self, state: State) -> bool:
        """Whether the condition holds of a value that ends here."""


def holds_of(automaton: Automaton, value: bytes) -> bool:
    """Tell whether an automaton accepts a value."""
    state = automaton.start
    for byte in value:
        state = automaton.step(state, byte)
    return automaton.accepts(state)


def text_to(place: P, came_from: Mapping[P, tuple[P, int] | None]) -> bytes:
    """Return the bytes that lead to a place of a search, which knows from where and by which byte it came to each."""
    text = bytearray()
    step = came_from[place]
    while step is not None:
        text.append(step[1])
        step = came_from[step[0]]
    return bytes(reversed(text))


def classes_of(members: Sequence[int]) -> bytes:
    """Return classes in which each of these bytes stands alone and all others stand together."""
    classes = bytearray(256)
    for number, byte in enumerate(sorted(set(members))[:255]):
        classes[byte] = number + 1
    return bytes(classes)


class Containing:
    """Accepts what has a text in it (Knuth, Morris, Pratt); the empty one is in every value."""

    def __init__(self, text: bytes) -> None:
        self.classes = classes_of(text)
        self.start: State = 0 if text else CERTAIN
        self._text = text
        self._borders = [0] * len(text)
        length = 0
        for index in range(1, len(text)):
            while length and text[index] != text[length]:
                length = self._borders[length - 1]
            length += text[index] == text[length]
            self._borders[index] = length

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if state == CERTAIN or not isinstance(state, int):
            return CERTAIN
        while state and self._text[state] != byte:
            state = self._borders[state - 1]
        state += self._text[state] == byte
        return CERTAIN if state == len(self._text) else state

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        return state == CERTAIN


class OneOf:
    """Accepts the texts of a list, walked as a trie of stretches of the sorted list: nothing is built in advance."""

    def __init__(self, texts: Sequence[bytes]) -> None:
        self._texts = sorted(set(texts))
        self.classes = classes_of(sorted({byte for text in self._texts for byte in text}))
        self.start: State = (0, len(self._texts), 0)

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if not isinstance(state, tuple):
            return DEAD
        low, high, depth = state
        texts = self._texts
        if low < high and len(texts[low]) == depth:
            low += 1
        first = bisect_left(texts, byte, low, high, key=lambda text: text[depth])
        last = bisect_right(texts, byte, first, high, key=lambda text: text[depth])
        return (first, last, depth + 1) if first < last else DEAD

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        return isinstance(state, tuple) and state[0] < state[1] and len(self._texts[state[0]]) == state[2]


def _stretches(members: Sequence[int]) -> bytes:
    """Return classes in which each of these bytes stands alone, and those between two of them together."""
    return bytes(bisect_left(members, byte) * 2 + (byte in members) for byte in range(256))


class Ordered:
    """Accepts what stands in an order to a text by its bytes: ``holds`` is told -1, 0 or 1 for less, equal, greater."""

    def __init__(self, text: bytes, holds: Callable[[int, int], bool]) -> None:
        # What decides is the next byte of the text: less, equal or greater; to some orders the first and last are one.
        self.classes = classes_of(text) if holds(-1, 0) == holds(1, 0) else _stretches(sorted(set(text)))
        self.start: State = 0
        self._text = text
        self._holds = holds

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if not isinstance(state, int) or state < 0:
            return state
        if state == len(self._text):
            return self._decided(1)
        here = self._text[state]
        return state + 1 if byte == here else self._decided(-1 if byte < here else 1)

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, int) or state < 0:
            return state == CERTAIN
        return self._holds(0 if state == len(self._text) else -1, 0)

    def _decided(self, order: int) -> State:
        return CERTAIN if self._holds(order, 0) else DEAD


def ordered_by_length(text: bytes, holds: Callable[[int, int], bool]) -> "Joint":
    """Return what reads the order of Wireshark's byte strings: of two, the shorter is the lesser.

    Those of equal length are ordered by their bytes.
    """
    length = len(text)
    others = [LengthIn(((0, length - 1),))] if holds(-1, 0) and length else []
    others += [LengthIn(((length + 1, None),))] if holds(1, 0) else []
    alike = Joint((LengthIn(((length, length),)), Ordered(text, holds)), every=True)
    return Joint((*others, alike), every=False)


class LengthIn:
    """Accepts values of some lengths, in bytes."""

    classes = ONE_CLASS

    def __init__(self, lengths: Intervals) -> None:
        self.start: State = 0
        self._least = min((low for low, _ in lengths), default=0)
        self._lengths = lengths
        self._last = max((high if high is not None else low for low, high in lengths), default=0)
        self._is_open = any(high is None for _, high in lengths)

    def step(self, state: State, byte: int) -> State:  # noqa: ARG002 - an automaton's signature
        """Read one more byte."""
        if not isinstance(state, int) or state < 0:
            return state
        if state >= self._last:
            return CERTAIN if self._is_open else DEAD
        return state + 1

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, int) or state < 0:
            return state == CERTAIN
        return within(state, self._lengths)

    def least_bytes(self, state: State) -> int:
        """Return how many bytes at least are still to come before a value is long enough."""
        return max(0, self._least - state) if isinstance(state, int) and state >= 0 else 0


class Mapped:
    """Reads each byte as another: ``lower()`` and ``upper()`` (ASCII), with ``table`` as for ``bytes.translate``."""

    def __init__(self, inner: Automaton, table: bytes) -> None:
        self._inner = inner
        self._table = table
        self.classes = bytes(inner.classes[table[byte]] for byte in range(256))
        self.start = inner.start

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        return self._inner.step(state, self._table[byte])

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        return self._inner.accepts(state)


class Joint:
    """Accepts what each of several automata accepts (``every``), or one of them."""

    def __init__(self, inner: Sequence[Automaton], *, every: bool) -> None:
        self._inner = inner
        self._combine = all if every else any
        self._decides, self._agrees = (DEAD, CERTAIN) if every else (CERTAIN, DEAD)
        self.classes = _joint_classes(inner)
        self.start: State = tuple(each.start for each in inner)

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if not isinstance(state, tuple):
            return state
        stepped = tuple(each.step(part, byte) for each, part in zip(self._inner, state, strict=True))
        if self._decides in stepped:
            return self._decides
        return self._agrees if all(part == self._agrees for part in stepped) else stepped

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, tuple):
            return state == CERTAIN
        return self._combine(each.accepts(part) for each, part in zip(self._inner, state, strict=True))


def _joint_classes(inner: Sequence[Automaton]) -> bytes:
    numbers: dict[tuple[int, ...], int] = {}
    joint = (tuple(each.classes[byte] for each in inner) for byte in range(256))
    return bytes(numbers.setdefault(classes, len(numbers)) for classes in joint)


def not_empty(inner: Automaton) -> Joint:
    """Return what accepts all that another does but the empty text."""
    return Joint((LengthIn(((1, None),)), inner), every=True)


class SlicedFromStart:
    """Reads ``length`` bytes (None: the rest) from ``start`` on; nothing where the value is too short to hold them."""

    def __init__(self, inner: Automaton, start: int, length: int | None) -> None:
        self._inner = inner
        self._first = start
        self._length = length
        self.classes = inner.classes
        self.start: State = (0, inner.start)
        self._end = None if length is None else start + length

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if not isinstance(state, tuple):
            return state
        at, inner = state
        if at >= self._first and (self._end is None or at < self._end):
            inner = self._inner.step(inner, byte)
        reached = min(at + 1, self._first + 1 if self._end is None else self._end)
        if reached == self._end and reached > at:
            return CERTAIN if self._inner.accepts(inner) else DEAD
        return reached, inner

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, tuple):
            return state == CERTAIN
        at, inner = state
        held = at > self._first if self._end is None else at >= self._end
        return self._inner.accepts(inner if held else self._inner.start)

    def least_bytes(self, state: State) -> int:
        """Return how many bytes at least are still to come before the slice is there, where an empty one is no use."""
        if not isinstance(state, tuple) or self._inner.accepts(self._inner.start):
            return 0
        end = self._first + 1 if self._end is None else self._end
        return max(0, end - int(state[0]))


class SlicedFromEnd:
    """Reads ``length`` bytes (None: the rest) from ``back`` bytes before the end on."""

    def __init__(self, inner: Automaton, back: int, length: int | None) -> None:
        if back > MAX_WINDOW_BYTES:
            raise UnmodelledError(f"a slice from {back} bytes before the end")
        self._inner = inner
        self._back = back
        self._length = back if length is None else length
        self.classes = inner.classes
        self.start: State = ()

    def step(self, state: State, byte: int) -> State:
        """The state holds a run of the inner automaton for each place at which the slice may begin, oldest first."""
        runs = state if isinstance(state, tuple) else ()
        if len(runs) == self._back:
            runs = runs[1:]
        runs = (*runs, self._inner.start)
        count = len(runs)
        return tuple(
            self._inner.step(run, byte) if count - index <= self._length else run for index, run in enumerate(runs)
        )

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        runs = state if isinstance(state, tuple) else ()
        held = len(runs) == self._back and 0 < self._length <= self._back
        return self._inner.accepts(runs[0] if held else self._inner.start)

    def least_bytes(self, state: State) -> int:
        """Return how many bytes at least are still to come before the value can end, where an empty one is no use."""
        runs = state if isinstance(state, tuple) else ()
        if self._inner.accepts(self._inner.start):
            return 0
        missing = self._back - len(runs)
        begun = (missing + index for index, run in enumerate(runs) if run != DEAD)
        return next(begun, self._back)


def within(number: int, intervals: Intervals) -> bool:
    """Tell whether a number is in one of the intervals."""
    return any(low <= number and (high is None or number <= high) for low, high in intervals)
