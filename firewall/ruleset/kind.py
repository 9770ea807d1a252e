"""Kinds of values in a policy, each told once: how a node of it is read, strictly, and its JSON Schema for editors."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from firewall.errors import Place, fail, shown
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.yaml_nodes import Mapping as MappingNode
from firewall.ruleset.yaml_nodes import Node, Scalar, Sequence

T = TypeVar("T")
R = TypeVar("R")
Schema = dict[str, Any]

MOST_LISTED = 12
_UNIT_NS = {"ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000, "h": 3_600_000_000_000}


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


def entries(node: Node, what: str) -> tuple[tuple[Scalar, Node], ...]:
    """Return the entries of a mapping; an empty value is an empty mapping."""
    if isinstance(node, MappingNode):
        return node.entries
    if _is_empty(node):
        return ()
    fail(node.place, f"{what} must be a mapping of keys, not {_kind_of(node)}", "write key: value")


def items(node: Node, what: str) -> tuple[Node, ...]:
    """Return the items of a list; an empty value is an empty list."""
    if isinstance(node, Sequence):
        return node.items
    if _is_empty(node):
        return ()
    advice = f"write [{shown(node.text)}]" if isinstance(node, Scalar) else "begin each item with a dash"
    fail(node.place, f"{what} must be a list, not {_kind_of(node)}", advice)


def scalar(node: Node, what: str) -> Scalar:
    """Return a scalar that is not empty."""
    if not isinstance(node, Scalar):
        fail(node.place, f"{what} must be a single value, not {_kind_of(node)}")
    if not node.text.strip() or _is_empty(node):
        fail(node.place, f"{what} is empty", "give it a value or remove it")
    return node


def _is_empty(node: Node) -> bool:
    """Tell whether nothing was written after a key."""
    return isinstance(node, Scalar) and node.style is None and node.text in ("", "~", "null")


def _kind_of(node: Node) -> str:
    match node:
        case MappingNode():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar():
            return "empty" if _is_empty(node) else f'"{shown(node.text)}"'


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """A kind of value. ``read`` is given a node and what errors call it, and raises a ``PolicyError`` for any other."""

    read: Callable[[Node, str], T]
    schema: Schema

    def into(self, make: Callable[[T], R]) -> "Kind[R]":
        """Return the kind of what is made of its values."""
        return Kind(lambda node, what: make(self.read(node, what)), self.schema)


TEXT = Kind(scalar, {"type": "string", "minLength": 1})
WORD = Kind(scalar, {"type": ["string", "number", "boolean"], "minLength": 1})
"""A word may look like something else to YAML: a policy named 2026, an interface 7."""


def of_text(read: Callable[[str], T | None], cause: str, advice: str | None, schema: Schema) -> Kind[T]:
    """Return the kind of what ``read`` makes of a text.

    None: it is none of the kind, and ``cause`` says so with ``{what}`` and ``{text}``; errors that it raises say
    themselves what is wrong, an ``ExpressionError`` also what to do.
    """

    def read_node(node: Node, what: str) -> T:
        found = scalar(node, what)
        try:
            value = read(found.text)
        except ExpressionError as error:
            fail(found.place, error.cause, error.next_step)
        except ValueError as error:
            fail(found.place, str(error), advice)
        if value is None:
            fail(found.place, cause.format(what=what, text=shown(found.text)), advice)
        return value

    return Kind(read_node, schema)


def matching(pattern: str, read: Callable[[re.Match[str]], T], cause: str, advice: str, **schema: Any) -> Kind[T]:
    """Return the kind of texts that fit a regex; ``schema`` is what an editor should know beside it."""
    fit = re.compile(pattern).fullmatch

    def read_text(text: str) -> T | None:
        found = fit(text)
        return read(found) if found is not None else None

    return of_text(read_text, cause, advice, {"type": "string", "pattern": f"^(?:{pattern})$"} | schema)


def choice(options: tuple[T, ...]) -> Kind[T]:
    """Return the kind of one of a few words."""
    words = {str(option): option for option in options}

    def read(node: Node, what: str) -> T:
        found = scalar(node, what)
        if found.text not in words:
            fail(found.place, f'{what} cannot be "{shown(found.text)}"', suggestion(found.text, words))
        return words[found.text]

    return Kind(read, {"type": "string", "enum": list(words)})


def integer(minimum: int, maximum: int) -> Kind[int]:
    """Return the kind of whole numbers within bounds."""

    def read(digits: str) -> int | None:
        is_number = digits.isascii() and digits.isdigit() and len(digits) <= 18
        return int(digits) if is_number and minimum <= int(digits) <= maximum else None

    cause = f'{{what}} must be a number from {minimum} to {maximum}, not "{{text}}"'
    schema = {"type": ["integer", "string"], "minimum": minimum, "maximum": maximum, "pattern": "^[0-9]+$"}
    return of_text(read, cause, None, schema)


def list_of(
    item: Kind[T], each: str | None = None, *, stated: str | None = None, some: str | None = None
) -> Kind[tuple[T, ...]]:
    """Return the kind of lists; errors call an item ``each``. Where nothing is written there are no items.

    ``stated`` and ``some`` are for lists that mean much when they are empty, all items commented out, say, and tell
    what to do then: with ``stated`` nothing may not be written, ``[]`` may; with ``some`` there must be items.
    """

    def read(node: Node, what: str) -> tuple[T, ...]:
        found = items(node, what)
        if not found and (some or (stated and _is_empty(node))):
            fail(node.place, f"{what} is empty", some or stated)
        return tuple([item.read(one, each or what) for one in found])

    schema: Schema = {"type": "array" if stated or some else ["array", "null"], "items": item.schema}
    return Kind(read, schema | {"minItems": 1} if some else schema)


NAME = matching(
    "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}",
    lambda found: found[0],
    '"{text}" cannot be a name',
    "use letters, digits, - _ and ., 128 at most, no - or . first",
    **WORD.schema,
)
DURATION_NS = matching(
    "([1-9][0-9]{0,8})(ms|s|m|h)",
    lambda found: nanoseconds(found[1], found[2]),
    '{what} "{text}" is no duration',
    "write it as 30s, 10m or 24h",
)


def nanoseconds(number: str, unit: str) -> int:
    """Return a time in one of the units ``ms s m h`` in nanoseconds."""
    return int(number) * _UNIT_NS[unit]


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a section: what it means, what it takes, whether it must be there; ``called``: how errors call it."""

    description: str
    kind: Kind[Any]
    is_required: bool = False
    called: str | None = None


Keys = Mapping[str, Key]


class Section:
    """One mapping whose keys are known."""

    def __init__(self, node: Node, what: str, keys: Keys) -> None:
        self.place = node.place
        self._keys = keys
        self._entries: dict[str, tuple[Scalar, Node]] = {}
        for key, value in entries(node, what):
            if key.text not in keys:
                fail(key.place, f'unknown key "{shown(key.text)}" in {what}', suggestion(key.text, keys))
            self._entries[key.text] = key, value
        for name, known in keys.items():
            if known.is_required and name not in self._entries:
                fail(self.place, f'{what} has no "{name}"', f"add {name}:")

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def get(self, key: str, default: object = None) -> Any:
        """Return a key's value as its kind reads it; ``default`` where it is absent."""
        if key not in self._entries:
            return default
        known = self._keys[key]
        return known.kind.read(self._entries[key][1], known.called or key)

    def values(self, **fields: str) -> dict[str, Any]:
        """Return the values of all keys that are there; ``fields`` names those that are to be called otherwise."""
        return {fields.get(key, key): self.get(key) for key in self._keys if key in self._entries}

    def key_place(self, key: str) -> Place:
        """Return where a key stands that is present."""
        return self._entries[key][0].place


def section(what: str, keys: Keys, make: Callable[[Section], T]) -> Kind[T]:
    """Return the kind of what is made of a mapping with known keys."""
    return Kind(lambda node, _: make(Section(node, what, keys)), object_schema(keys))


def unread(schema: Schema) -> Kind[Node]:
    """Return the kind of what the loader reads itself, since it needs other parts of the policy for it."""
    return Kind(lambda node, _: node, schema)


def object_schema(keys: Keys) -> Schema:
    """Return the JSON Schema of a mapping with known keys."""
    properties = {name: {"description": key.description, **key.kind.schema} for name, key in keys.items()}
    required = [name for name, key in keys.items() if key.is_required]
    found: Schema = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return found | {"type": "object", "required": required} if required else found


def named_schema(value: Schema) -> Schema:
    """Return the JSON Schema of a mapping from names to values of one kind."""
    return {"type": ["object", "null"], "propertyNames": NAME.schema, "additionalProperties": value}
