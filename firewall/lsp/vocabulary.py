"""The words of a policy for an editor: what one means, and which can stand at a place."""

import re
from collections.abc import Iterator, Sequence

from firewall.lint.codes import CODES
from firewall.lint.ignore import IGNORABLE
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.kind import Schema
from firewall.ruleset.schema import json_schema

_POLICY = json_schema()
_WORD = re.compile(r"[A-Za-z_$][A-Za-z0-9_.-]*")
_KEY = re.compile(r"^(?P<indent>\s*(?:-\s+)?)(?P<key>[A-Za-z0-9_.-]+)\s*:")
_OPEN_FLOW = re.compile(r"([A-Za-z0-9_.-]+)\s*:\s*\{[^{}]*$")
_IGNORE = re.compile(r"#\s*sosgate:\s*ignore\[[^\]]*$")


def word_at(text: str, column: int) -> tuple[str, int, int] | None:
    """Return the word of a line that stands at a column (0-based), with its start and end."""
    for found in _WORD.finditer(text):
        if found.start() <= column <= found.end():
            return found[0].rstrip("."), found.start(), found.end()
    return None


def meaning(lines: Sequence[str], line: int, column: int) -> str | None:
    """Return what the word at a place (0-based) means, in Markdown; None where there is nothing to say."""
    found = word_at(lines[line], column)
    if found is None:
        return None
    word, _, end = found
    code = CODES.get(word)
    if code is not None:
        return f"**{code.code} {code.name}** ({code.severity})\n\n{code.title}. {code.why}\n\n*Mend:* {code.mend}"
    if lines[line][end:].lstrip().startswith(":"):
        described = _keys_at(lines, line, lines[line][: end - len(word)]).get(word)
        if described is not None:
            choices = ", ".join(f"`{choice}`" for choice in described.get("enum", ()))
            return f"**{word}**\n\n{described['description']}" + (f"\n\n{choices}" if choices else "")
    spec = FIELDS.get(word)
    if spec is None:
        return None
    origin = "sosgate" if spec.own else "Wireshark"
    choices = f"\n\n{', '.join(f'`{choice}`' for choice in spec.choices)}" if spec.choices is not None else ""
    return f"**{spec.name}** ({spec.type}, a field of {origin})\n\n{spec.description}{choices}"


def proposals(lines: Sequence[str], line: int, column: int) -> Iterator[tuple[str, str]]:
    """Yield the words that can stand at a place (0-based), each with what it means."""
    before = lines[line][:column]
    if _IGNORE.search(before):
        yield from ((code.code, code.title) for code in IGNORABLE)
        return
    path = _path(lines, line, before)
    key = _KEY.match(before)
    if path[-1:] == ("when",) or (key is not None and key["key"] == "when") or re.search(r"\bwhen\s*:[^,{}]*$", before):
        yield from ((spec.name, spec.description) for spec in FIELDS.values())
        return
    keys = _keys_at(lines, line, before)
    open_flow = _OPEN_FLOW.search(before)
    if key is not None and open_flow is None:
        values = keys.get(key["key"], {}).get("enum", ())
        yield from ((value, "") for value in values)
        return
    yield from ((name, shape["description"]) for name, shape in keys.items())


def _keys_at(lines: Sequence[str], line: int, before: str) -> dict[str, Schema]:
    """Return the keys that can stand at a place, each with what it takes; none where it is in nothing that has keys."""
    path = _path(lines, line, before)
    open_flow = _OPEN_FLOW.search(before)
    if open_flow is not None:
        path = (*path, open_flow[1])
    shape = _POLICY
    for key in path:
        within = shape.get("properties", {}).get(key) or shape.get("additionalProperties") or {}
        shape = within.get("items", within)
    keys: dict[str, Schema] = shape.get("properties", {})
    return keys


def _path(lines: Sequence[str], line: int, before: str) -> tuple[str, ...]:
    """Return the keys that a line stands under, by indentation, the outermost first."""
    depth = len(before) - len(before.lstrip(" -"))
    # The keys of a list's items stand under the list's key, also where the dashes stand in its own column.
    under = depth if "-" not in before[:depth] else before.index("-") + 1
    path: list[str] = []
    for above in reversed(lines[:line]):
        found = _KEY.match(above)
        if found is None:
            continue
        indent = found["indent"]
        if len(indent) < under:
            path.append(found["key"])
            under = len(indent)
        if "-" in indent and len(indent) <= under:
            under = indent.index("-") + 1
    path.reverse()
    return tuple(path)
