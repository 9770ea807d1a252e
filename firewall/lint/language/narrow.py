"""Makes a shape smaller for one question: what nothing reads needs to be searched in one way only.

A part of a value that no condition reads may be left out where the grammar allows it, and else be any one text. That
changes no answer, since each condition sees the same values. A *kept* text goes further: it takes the place of a part,
so that an edited message stays near the one it was.
"""

from dataclasses import dataclass

from firewall.lint.language.carrier import LINE
from firewall.lint.language.regex import Chars, Choice, Group, Node, Repeat, Sequence, parts_of

_VALUE_GROUPS = frozenset({LINE, "uri", "hop"})
"""Groups of which each is one value: where a single one is wanted, further ones are left out."""

_EMPTY = Sequence(())


@dataclass(frozen=True, slots=True)
class Narrowing:
    """``read`` are the groups that conditions read, ``marked`` those that must stay groups besides; ``kept`` the texts
    of groups that stay as they are; ``is_single``: one value in angle brackets rather than any number in any form."""

    read: frozenset[str]
    marked: frozenset[str]
    kept: frozenset[tuple[str, bytes]] = frozenset()
    is_single: bool = False


def narrowed(node: Node, narrowing: Narrowing) -> Node:
    """Return the smaller shape."""
    return _Narrower(narrowing).node(node, is_read=False)


def enclosing(node: Node) -> dict[str, frozenset[str]]:
    """Return, for each group of a shape, the groups around it."""
    found: dict[str, frozenset[str]] = {}
    pending: list[tuple[Node, frozenset[str]]] = [(node, frozenset())]
    while pending:
        each, around = pending.pop()
        if isinstance(each, Group):
            found[each.name] = found.get(each.name, frozenset()) | around
            around |= {each.name}
        pending += [(inner, around) for inner in parts_of(each)]
    return found


class _Narrower:
    def __init__(self, narrowing: Narrowing) -> None:
        self._read = narrowing.read
        self._groups = narrowing.read | narrowing.marked
        self._marked = narrowing.marked
        self._kept = dict(narrowing.kept)
        self._is_single = narrowing.is_single
        self._names: dict[int, frozenset[str]] = {}

    def node(self, node: Node, *, is_read: bool) -> Node:
        """Narrow a part; ``is_read``: a group around it is read, so that each of its bytes counts."""
        match node:
            case Group(name, inner):
                kept = self._kept.get(name)
                if kept is not None:
                    return Group(name, Sequence(tuple(Chars(frozenset((byte,))) for byte in kept)))
                narrow = self.node(inner, is_read=is_read or name in self._read)
                return Group(name, narrow) if name in self._groups else narrow
            case Sequence(parts):
                return self._sequence(parts, is_read=is_read)
            case Choice(alternatives):
                return self._choice(alternatives, is_read=is_read)
            case Repeat(inner, low, high):
                narrow = self.node(inner, is_read=is_read)
                if not self._names_in(inner).isdisjoint(self._kept):
                    return Repeat(narrow, max(low, 1), high)
                if is_read or self._is_relevant(inner):
                    return Repeat(narrow, low, high)
                return Repeat(narrow, low, low) if low else _EMPTY
            case _:
                return node

    def _sequence(self, parts: tuple[Node, ...], *, is_read: bool) -> Node:
        narrow: list[Node] = []
        values: frozenset[str] = frozenset()
        for part in parts:
            names = self._names_in(part) & _VALUE_GROUPS
            if self._is_single and isinstance(part, Repeat) and names and part.low == 0:
                if not names & values:
                    narrow.append(self.node(part.node, is_read=is_read))
            else:
                narrow.append(self.node(part, is_read=is_read))
            values |= names
        return Sequence(tuple(narrow))

    def _choice(self, alternatives: tuple[Node, ...], *, is_read: bool) -> Node:
        if self._is_single:
            # The form with angle brackets stands first in the grammar.
            addresses = [each for each in alternatives if isinstance(each, Sequence) and self._has_uri(each)]
            if len(addresses) == len(alternatives):
                return self.node(alternatives[0], is_read=is_read)
        if is_read or any(self._is_relevant(each) for each in alternatives):
            return Choice(tuple(self.node(each, is_read=is_read) for each in alternatives))
        plain = [each for each in alternatives if not self._names_in(each) & self._marked]
        return (
            self.node(plain[0], is_read=False)
            if plain
            else Choice(tuple(self.node(e, is_read=False) for e in alternatives))
        )

    def _has_uri(self, sequence: Sequence) -> bool:
        return any(isinstance(part, Group) and part.name == "uri" for part in sequence.parts)

    def _is_relevant(self, node: Node) -> bool:
        names = self._names_in(node)
        return not names.isdisjoint(self._read) or not names.isdisjoint(self._kept)

    def _names_in(self, node: Node) -> frozenset[str]:
        known = self._names.get(id(node))
        if known is None:
            own = frozenset((node.name,)) if isinstance(node, Group) else frozenset()
            known = self._names[id(node)] = own.union(*(self._names_in(each) for each in parts_of(node)))
        return known
