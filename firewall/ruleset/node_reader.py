"""Reading YAML nodes by the strict rules of a policy: which keys, which kinds, which texts."""

import re
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import NoReturn, TypeVar

from firewall.errors import Place, PolicyError, shown
from firewall.ruleset.schema import DURATION, NAME
from firewall.ruleset.yaml_nodes import Mapping, Node, Scalar, Sequence

T = TypeVar("T")
D = TypeVar("D")

_NAME = re.compile(NAME)
MOST_LISTED = 12
_DURATION = re.compile(DURATION)
UNIT_NS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}


def fail(place: Place, cause: str, next_step: str | None = None) -> NoReturn:
    """Raise the ``PolicyError`` for a place."""
    raise PolicyError(cause, place=place, next_step=next_step)


def suggestion(wrong: str, known: Iterable[str]) -> str:
    """Return ``did you mean "x"?``, or a list of what there is, not too long for one sentence."""
    names = list(known)
    close = get_close_matches(wrong, names, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"there {'is' if len(names) == 1 else 'are'} {listed(names)}" if names else "there are none"


def listed(names: list[str] | tuple[str, ...]) -> str:
    """Return names as a list that is not too long for one sentence."""
    return ", ".join(names if len(names) <= MOST_LISTED else [*names[: MOST_LISTED - 1], "…"])


class Section:
    """One mapping whose keys are known."""

    def __init__(self, node: Node, what: str, keys: Iterable[str], required: Iterable[str] = ()) -> None:
        self.place = node.place
        known = tuple(keys)
        self._entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in entries(node, what):
            if key.text not in known:
                fail(key.place, f'unknown key "{shown(key.text)}" in {what}', suggestion(key.text, known))
            self._entries[key.text] = key, value
        for missing in required:
            if missing not in self._entries:
                fail(self.place, f'{what} has no "{missing}"', f"add {missing}:")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str, read: Callable[[Node, str], T], default: D) -> T | D:
        """Read one key's value; ``default`` where it is absent."""
        return read(self._entries[key][1], key) if key in self._entries else default

    def node(self, key: str) -> Node:
        """Return the node of a key that is present."""
        return self._entries[key][1]

    def key_place(self, key: str) -> Place:
        """Return where a key stands that is present."""
        return self._entries[key][0].place


def entries(node: Node, what: str) -> tuple[tuple[Scalar, Node], ...]:
    """Return the entries of a mapping; an empty value is an empty mapping."""
    if isinstance(node, Mapping):
        return node.entries
    if isinstance(node, Scalar) and is_empty(node):
        return ()
    fail(node.place, f"{what} must be a mapping of keys, not {kind_of(node)}", "write key: value")


def items(node: Node, what: str) -> tuple[Node, ...]:
    """Return the items of a list; an empty value is an empty list."""
    if isinstance(node, Sequence):
        return node.items
    if isinstance(node, Scalar) and is_empty(node):
        return ()
    advice = f"write [{shown(node.text)}]" if isinstance(node, Scalar) else "begin each item with a dash"
    fail(node.place, f"{what} must be a list, not {kind_of(node)}", advice)


def some_items(node: Node, what: str, advice: str) -> tuple[Node, ...]:
    """Return the items of a list that is not empty; ``advice`` says what to do where it is."""
    found = items(node, what)
    if not found:
        fail(node.place, f"{what} is empty", advice)
    return found


def stated(read: Callable[[Node, str], T], advice: str) -> Callable[[Node, str], T]:
    """Return the reader for a list that means much when it is empty: refused where nothing is written, ``[]`` is not.

    All of its items commented out, say; ``advice`` says what to do.
    """

    def read_stated(node: Node, what: str) -> T:
        if isinstance(node, Scalar) and is_empty(node):
            fail(node.place, f"{what} is empty", advice)
        return read(node, what)

    return read_stated


def is_empty(node: Scalar) -> bool:
    """Tell whether nothing was written after a key."""
    return node.style is None and node.text in ("", "~", "null")


def kind_of(node: Node) -> str:
    """Return a node's kind in words."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar():
            return "empty" if is_empty(node) else f'"{shown(node.text)}"'


def scalar(node: Node, what: str) -> Scalar:
    """Return a scalar that is not empty."""
    if not isinstance(node, Scalar):
        fail(node.place, f"{what} must be a single value, not {kind_of(node)}")
    if not node.text.strip() or is_empty(node):
        fail(node.place, f"{what} is empty", "give it a value or remove it")
    return node


def name(node: Node, what: str) -> str:
    """Return a scalar that can be a name: letters, digits, ``_ . -``."""
    found = scalar(node, what)
    if _NAME.fullmatch(found.text) is None:
        advice = "use letters, digits, - _ and ., 128 at most, no - or . first"
        fail(found.place, f'"{shown(found.text)}" cannot be a name', advice)
    return found.text


def choice(options: tuple[T, ...]) -> Callable[[Node, str], T]:
    """Return a reader of one of a few words."""
    words = {str(option): option for option in options}

    def read(node: Node, what: str) -> T:
        found = scalar(node, what)
        if found.text not in words:
            fail(found.place, f'{what} cannot be "{shown(found.text)}"', suggestion(found.text, words))
        return words[found.text]

    return read


def integer(minimum: int, maximum: int) -> Callable[[Node, str], int]:
    """Return a reader of a whole number within bounds."""

    def read(node: Node, what: str) -> int:
        found = scalar(node, what)
        digits = found.text
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 18 and minimum <= int(digits) <= maximum):
            fail(found.place, f'{what} must be a number from {minimum} to {maximum}, not "{shown(digits)}"')
        return int(digits)

    return read


def duration_ns(node: Node, what: str) -> int:
    """Return a duration as ``500ms``, ``30s``, ``10m`` or ``24h``, in nanoseconds."""
    found = scalar(node, what)
    match = _DURATION.fullmatch(found.text)
    if match is None:
        fail(found.place, f'{what} "{shown(found.text)}" is no duration', "write it as 30s, 10m or 24h")
    return int(match[1]) * UNIT_NS[match[2]]
