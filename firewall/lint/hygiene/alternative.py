"""The alternatives that a condition lists: parts joined by ``or``, members of a short set, branches of a regex."""

import re
from collections.abc import Sequence
from dataclasses import replace

from firewall.ruleset.expression import And, Condition, Item, Matches, Membership, Or, SetMembers
from firewall.ruleset.text import expression_text, item_text

_MAX_MEMBERS = 50
_REPEATS = ("*", "+", "?", "{")
_DEPTHS = 2
"""Branches are looked for outside all groups and right inside one."""
_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\(\?:|.", re.DOTALL)


def alternatives(condition: Condition | None) -> list[tuple[str, Condition]]:
    """Return the alternatives a condition lists, each with its text and the condition without the others."""
    match condition:
        case Or(conditions):
            return [
                part
                for each in conditions
                for part in (isinstance(each, Membership | Matches) and alternatives(each))
                or [(expression_text(each), each)]
            ]
        case Membership(operand, items):
            listed = [item for each in items for item in _items(each)]
            only: list[tuple[str, Condition]] = [(item_text(item), Membership(operand, (item,))) for item in listed]
            return only if len(items) > 1 or len(only) > 1 else []
        case Matches(operand, regex):
            written: list[tuple[str, Condition]] = [
                (expression_text(each), each) for each in (Matches(operand, text) for text in _branches(regex))
            ]
            return written if len(written) > 1 else []
        case And(conditions):
            return [
                (text, replace(condition, conditions=(*conditions[:index], only, *conditions[index + 1 :])))
                for index, each in enumerate(conditions)
                for text, only in alternatives(each)
            ]
        case _:
            return []


def _items(item: Item) -> Sequence[Item]:
    """Return the members of a short set, nothing of a long one: that is kept apart from the rules."""
    match item:
        case SetMembers(_, members):
            return () if len(members) > _MAX_MEMBERS else tuple(sorted(members, key=str))
        case _:
            return (item,)


def _branches(regex: str) -> list[str]:
    """Return the regexes of which one is the choice: its branches, or with each branch of its first group that has any.

    None where that is not simply taken apart: flags, names, ``\\Q``, a group that is repeated.
    """
    if "|" not in regex or "(?" in regex.replace("(?:", "") or "\\Q" in regex:
        return []
    outer: list[int] = []
    inner: list[int] = []
    group: tuple[int, int, int, list[int]] | None = None
    depth = opened = begun = 0
    for token in _TOKEN.finditer(regex):
        match token[0]:
            case "(" | "(?:":
                depth += 1
                if depth == 1:
                    opened, begun, inner = token.start(), token.end(), []
            case ")":
                depth -= 1
                if depth == 0 and inner and group is None:
                    group = opened, begun, token.start(), inner
            case "|" if depth < _DEPTHS:
                (inner if depth else outer).append(token.start())
            case _:
                pass
    if outer:
        return _cut(regex, 0, len(regex), outer)
    if group is None:
        return []
    opened, begun, end, bars = group
    before, after = regex[:opened], regex[end + 1 :]
    return [] if after.startswith(_REPEATS) else [before + each + after for each in _cut(regex, begun, end, bars)]


def _cut(text: str, first: int, end: int, bars: Sequence[int]) -> list[str]:
    starts, ends = (first, *(bar + 1 for bar in bars)), (*bars, end)
    return [text[one:other] for one, other in zip(starts, ends, strict=True)]
