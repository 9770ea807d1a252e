"""A regex as a program of byte steps: which byte may follow which, and what is passed between two bytes.

Between two bytes stand *marks*: the assertions of a regex, or the beginnings and ends of the named groups of a shape.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, assert_never

from firewall.lint.language.bounds import MAX_PROGRAM_STEPS, UnmodelledError
from firewall.lint.language.regex import Assertion, AssertionKind, Chars, Choice, Group, Node, Repeat, Sequence

START = 0
END = -1

Mark = tuple[Literal["open", "close"], str]
Marks = tuple[Mark, ...]
Asserted = frozenset[AssertionKind]
M = TypeVar("M")


@dataclass(frozen=True, slots=True)
class Program(Generic[M]):
    """``members[i]`` are the bytes of step ``i``; ``edges[i]`` what may follow it, with what is passed on the way.

    Step ``START`` takes no byte: it stands before the text. ``END`` is its end.
    """

    members: tuple[frozenset[int], ...]
    edges: tuple[tuple[tuple[M, int], ...], ...]


@dataclass(slots=True)
class _State:
    """A state of a Thompson automaton: takes a byte of ``members``, or passes ``mark`` and goes on for nothing."""

    members: frozenset[int] | None = None
    mark: Mark | AssertionKind | None = None
    targets: tuple[int, ...] = ()


class _Thompson:
    def __init__(self, node: Node) -> None:
        self.states: list[_State] = [_State()]
        self.start = self._build(node, 0)
        steps = [index for index, state in enumerate(self.states) if state.members is not None]
        self.numbers = {state: number + 1 for number, state in enumerate(steps)}
        self.members = (frozenset[int](), *(self.states[step].members or frozenset[int]() for step in steps))
        self.starts = [self.start, *(self.states[step].targets[0] for step in steps)]

    def _add(self, state: _State) -> int:
        self.states.append(state)
        if len(self.states) > MAX_PROGRAM_STEPS:
            raise UnmodelledError("a regex that repeats too much")
        return len(self.states) - 1

    def _build(self, node: Node, then: int) -> int:
        match node:
            case Chars(members):
                return self._add(_State(members=members, targets=(then,)))
            case Sequence(parts):
                for part in reversed(parts):
                    then = self._build(part, then)
                return then
            case Choice(alternatives):
                return self._add(_State(targets=tuple(self._build(each, then) for each in alternatives)))
            case Group(name, inner):
                end = self._add(_State(mark=("close", name), targets=(then,)))
                return self._add(_State(mark=("open", name), targets=(self._build(inner, end),)))
            case Assertion(kind):
                return self._add(_State(mark=kind, targets=(then,)))
            case Repeat(inner, low, high):
                return self._repeat(inner, low, high, then)
        assert_never(node)

    def _repeat(self, node: Node, low: int, high: int | None, then: int) -> int:
        after = then
        if high is None:
            loop = self._add(_State())
            self.states[loop].targets = (self._build(node, loop), then)
            after = loop
        else:
            for _ in range(high - low):
                after = self._add(_State(targets=(self._build(node, after), then)))
        for _ in range(low):
            after = self._build(node, after)
        return after


def shape_program(node: Node) -> Program[Marks]:
    """Build the program of a shape: named groups are its marks. A shape has no assertions."""
    thompson = _Thompson(node)
    return Program(thompson.members, tuple(tuple(_marked_edges(thompson, start)) for start in thompson.starts))


def match_program(node: Node) -> Program[Asserted]:
    """Build the program that matches a regex: groups do not count, and an edge holds where all its assertions do."""
    thompson = _Thompson(node)
    return Program(thompson.members, tuple(tuple(_asserted_edges(thompson, start)) for start in thompson.starts))


def least_steps(program: Program[M]) -> tuple[int, ...]:
    """Return for each step how many more bytes at least lead to the end, whatever is passed on the way."""
    before: list[list[int]] = [[] for _ in program.edges]
    least = [len(program.edges)] * len(program.edges)
    reached: list[int] = []
    for step, edges in enumerate(program.edges):
        for _, target in edges:
            if target == END:
                least[step] = 0
                reached.append(step)
            else:
                before[target].append(step)
    for step in reached:
        for each in before[step]:
            if least[each] > least[step] + 1:
                least[each] = least[step] + 1
                reached.append(each)
    return tuple(least)


def _marked_edges(thompson: _Thompson, start: int) -> Iterator[tuple[Marks, int]]:
    found: dict[tuple[Marks, int], None] = {}
    pending: list[tuple[int, Marks, frozenset[int]]] = [(start, (), frozenset())]
    while pending:
        index, marks, passed = pending.pop()
        if index == 0:
            found[marks, END] = None
            continue
        state = thompson.states[index]
        if state.members is not None:
            found[marks, thompson.numbers[index]] = None
            continue
        if isinstance(state.mark, tuple):
            marks = (*marks, state.mark)
        pending += [(each, marks, passed | {index}) for each in reversed(state.targets) if each not in passed]
    yield from found


def _asserted_edges(thompson: _Thompson, start: int) -> Iterator[tuple[Asserted, int]]:
    nothing: Asserted = frozenset()
    seen: set[tuple[int, Asserted]] = set()
    pending = [(start, nothing)]
    while pending:
        index, asserted = pending.pop()
        if (index, asserted) in seen:
            continue
        seen.add((index, asserted))
        if index == 0:
            yield asserted, END
            continue
        state = thompson.states[index]
        if state.members is not None:
            yield asserted, thompson.numbers[index]
            continue
        if isinstance(state.mark, str):
            asserted |= {state.mark}
        pending += [(each, asserted) for each in state.targets]
