"""A shape ready to be walked: its program, and what is known beforehand of each step."""

from dataclasses import dataclass
from functools import lru_cache

from firewall.lint.language.narrow import Narrowing, narrowed
from firewall.lint.language.program import END, START, Marks, Program, least_steps, shape_program
from firewall.lint.language.regex import read_regex


@dataclass(frozen=True, slots=True)
class Shape:
    """The program of a narrowed shape, and facts about its steps."""

    program: Program[Marks]
    distances: tuple[int, ...]
    """Least bytes from each step to the end."""
    openable: tuple[frozenset[str], ...]
    """Groups that may still begin after each step."""
    inside: tuple[frozenset[str], ...]
    """Groups that a step's byte belongs to."""


@lru_cache(maxsize=1024)
def shape_of(regex: str, narrowing: Narrowing) -> Shape:
    """Return the shape of a grammar's regex, narrowed."""
    program = shape_program(narrowed(read_regex(regex, fold=False), narrowing))
    return Shape(program, least_steps(program), _openable(program), _inside(program))


def _openable(program: Program[Marks]) -> tuple[frozenset[str], ...]:
    found: list[frozenset[str]] = [frozenset() for _ in program.members]
    changed = True
    while changed:
        changed = False
        for step in range(len(found) - 1, -1, -1):
            groups = set(found[step])
            for marks, to in program.edges[step]:
                groups.update(name for kind, name in marks if kind == "open")
                if to != END:
                    groups |= found[to]
            if len(groups) > len(found[step]):
                found[step], changed = frozenset(groups), True
    return tuple(found)


def _inside(program: Program[Marks]) -> tuple[frozenset[str], ...]:
    found: list[frozenset[str] | None] = [None] * len(program.members)
    found[START] = frozenset()
    pending = [START]
    while pending:
        step = pending.pop()
        for marks, to in program.edges[step]:
            groups = set(found[step] or ())
            for kind, name in marks:
                (groups.add if kind == "open" else groups.discard)(name)
            if to != END and found[to] is None:
                found[to] = frozenset(groups)
                pending.append(to)
    return tuple(each or frozenset() for each in found)
