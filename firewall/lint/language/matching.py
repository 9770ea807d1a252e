"""The automaton of ``matches``: whether a regex is found anywhere in a value."""

from typing import Final

from firewall.lint.language.automaton import CERTAIN, DEAD, State
from firewall.lint.language.program import END, START, Asserted, least_steps, match_program
from firewall.lint.language.regex import AssertionKind, read_regex

_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_LINE_FEED = 0x0A
_BEGIN: Final = -1
_OTHER: Final = 0x20
_AT_END: Final = None


class Matching:
    """A regex's program run on all its places at once; a new run begins before each byte, since it may stand anywhere.

    Raises:
        UnmodelledError: the regex has a form that ``regex.py`` does not read.
    """

    start: State

    def __init__(self, regex: str, *, fold: bool = True) -> None:
        program = match_program(read_regex(regex, fold=fold))
        self._members = program.members
        self._edges = program.edges
        kinds = {kind for edges in program.edges for asserted, _ in edges for kind in asserted}
        self._sees_words = bool(kinds & {"word_boundary", "not_word_boundary"})
        self._sees_lines = "line_begin" in kinds
        self.classes = self._byte_classes(kinds)
        # A regex that can only match at the text's begin starts no new run later.
        self._starts_later = tuple(edge for edge in program.edges[START] if "text_begin" not in edge[0])
        self._steps: dict[tuple[State, int], State] = {}
        self._far = least_steps(program)
        self.start = CERTAIN if not kinds and any(target == END for _, target in program.edges[START]) else (
            frozenset((START,)), _BEGIN
        )  # fmt: skip

    def step(self, state: State, byte: int) -> State:
        """Read one more byte."""
        if not isinstance(state, tuple):
            return state
        key = (state, self.classes[byte])
        found = self._steps.get(key)
        if found is None:
            found = self._steps[key] = self._next(state, byte)
        return found

    def accepts(self, state: State) -> bool:
        """Tell whether a value may end here."""
        if not isinstance(state, tuple):
            return state == CERTAIN
        places, before = state
        return self._is_found(places, before, _AT_END)

    def least_bytes(self, state: State) -> int:
        """Return how many bytes at least are still to come before the regex can be found."""
        return min(self._far[place] for place in state[0]) if isinstance(state, tuple) else 0

    def _next(self, state: tuple[frozenset[int], int], byte: int) -> State:
        places, before = state
        if self._is_found(places, before, byte):
            return CERTAIN
        members = self._members
        reached = {
            target
            for place in places
            for asserted, target in self._leaving(place, before)
            if target != END and byte in members[target] and _all_hold(asserted, before, byte)
        }
        if self._starts_later:
            reached.add(START)
        return (frozenset(reached), self._seen(byte)) if reached else DEAD

    def _leaving(self, place: int, before: int) -> tuple[tuple[Asserted, int], ...]:
        return self._starts_later if place == START and before != _BEGIN else self._edges[place]

    def _is_found(self, places: frozenset[int], before: int, after: int | None) -> bool:
        return any(
            target == END and _all_hold(asserted, before, after)
            for place in places
            for asserted, target in self._leaving(place, before)
        )

    def _seen(self, byte: int) -> int:
        """What of the last byte the assertions behind it can tell."""
        if self._sees_lines and byte == _LINE_FEED:
            return _LINE_FEED
        return ord("w") if self._sees_words and byte in _WORD else _OTHER

    def _byte_classes(self, kinds: set[AssertionKind]) -> bytes:
        sets = list(dict.fromkeys(self._members[1:]))
        if self._sees_words:
            sets.append(_WORD)
        if kinds & {"line_begin", "line_end"}:
            sets.append(frozenset((_LINE_FEED,)))
        numbers: dict[int, int] = {}
        signatures = [0] * 256
        for index, members in enumerate(sets):
            for byte in members:
                signatures[byte] |= 1 << index
        return bytes(numbers.setdefault(signature, len(numbers)) for signature in signatures)


def _all_hold(asserted: frozenset[AssertionKind], before: int, after: int | None) -> bool:
    return not asserted or all(_holds(kind, before, after) for kind in asserted)


def _holds(kind: AssertionKind, before: int, after: int | None) -> bool:
    match kind:
        case "text_begin":
            return before == _BEGIN
        case "text_end":
            return after is _AT_END
        case "line_begin":
            return before in (_BEGIN, _LINE_FEED)
        case "line_end":
            return after is _AT_END or after == _LINE_FEED
        case "word_boundary" | "not_word_boundary":
            is_boundary = (before in _WORD) != (after in _WORD)
            return is_boundary is (kind == "word_boundary")
