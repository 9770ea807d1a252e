"""When one condition covers another, as far as their structure shows it. True is certain; False is "cannot tell"."""

from typing import assert_never

from firewall.net.address import Network
from firewall.ruleset.expression import (
    And,
    Comparison,
    Condition,
    Contains,
    Exists,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    Range,
    SetMembers,
)


def covers(wide: Condition | None, narrow: Condition | None) -> bool:
    """Tell whether every message that ``narrow`` matches is matched by ``wide``; None matches everything."""
    if wide is None:
        return True
    if narrow is None:
        return False
    if wide == narrow:
        return True
    if isinstance(narrow, Or):
        return all(covers(wide, each) for each in narrow.conditions)
    if isinstance(wide, And):
        return all(covers(each, narrow) for each in wide.conditions)
    if isinstance(narrow, And) and any(covers(wide, each) for each in narrow.conditions):
        return True
    if isinstance(wide, Or):
        return any(covers(each, narrow) for each in wide.conditions)
    if isinstance(wide, Not) and isinstance(narrow, Not):
        return covers(narrow.condition, wide.condition)
    return _covers_atom(wide, narrow)


def never_true(condition: Condition) -> bool:
    """Tell whether a condition asks for a thing and its opposite; False is "cannot tell"."""
    match condition:
        case And(conditions):
            if any(never_true(each) for each in conditions):
                return True
            denied = [each.condition for each in conditions if isinstance(each, Not)]
            return any(
                covers(no, yes) for no in denied for yes in conditions if not isinstance(yes, Not)
            ) or _two_values(conditions)
        case Or(conditions):
            return all(never_true(each) for each in conditions)
        case Not() | Comparison() | Contains() | Matches() | Membership() | Exists():
            return False
        case _:
            assert_never(condition)


# Fields with exactly one value, or none, in every message: only there do two values exclude each other.
_SINGLE = frozenset(
    {"sip.Method", "sip.Status-Code", "sip.r-uri", "sip.r-uri.user", "sip.r-uri.host", "zone.src", "zone.dst"}
    | {"net.src", "net.dst", "emergency.class", "dialog.state", "frame.len"}
)


def _two_values(conditions: tuple[Condition, ...]) -> bool:
    wanted: dict[Operand, list[frozenset[object]]] = {}
    for each in conditions:
        listed = _listed(each)
        if listed is not None and getattr(listed[0], "name", None) in _SINGLE:
            wanted.setdefault(listed[0], []).append(listed[1])
    return any(not frozenset.intersection(*values) for values in wanted.values())


def _listed(condition: Condition) -> tuple[Operand, frozenset[object]] | None:
    """Return the operand and the values one of which it must have, None where they are not a plain list."""
    if isinstance(condition, Comparison) and condition.comparator == "==" and isinstance(condition.value, str | int):
        return condition.operand, frozenset({condition.value})
    if isinstance(condition, Membership):
        values: set[object] = set()
        for item in condition.items:
            match item:
                case SetMembers(_, frozenset() as members):
                    values |= members
                case str() | int():
                    values.add(item)
                case _:
                    return None
        return condition.operand, frozenset(values)
    return None


def _covers_atom(wide: Condition, narrow: Condition) -> bool:
    operand = _operand(narrow)
    if operand is None:
        return False
    if isinstance(wide, Exists):
        # Every comparison asks for a value first, `!=` too (wireshark-filter(4)).
        return wide.operand == operand
    if _operand(wide) != operand:
        return False
    if isinstance(wide, Contains) and isinstance(narrow, Contains):
        return wide.text in narrow.text
    narrow_items = _items(narrow)
    if narrow_items is None:
        return False
    if isinstance(wide, Contains):
        return all(isinstance(item, str) and wide.text in item for item in narrow_items)
    wide_items = _items(wide)
    return wide_items is not None and all(any(_includes(w, n) for w in wide_items) for n in narrow_items)


def _operand(condition: Condition) -> Operand | None:
    match condition:
        case Comparison(operand) | Membership(operand) | Contains(operand) | Matches(operand) | Exists(operand):
            return operand
        case _:
            return None


def _items(condition: Condition) -> tuple[Item, ...] | None:
    """Return the values one of which satisfies the condition, sets opened; None where they cannot be listed."""
    match condition:
        case Comparison(_, "==", value):
            return (value,)
        case Membership(_, items):
            opened: list[Item] = []
            for item in items:
                if isinstance(item, SetMembers):
                    opened += list(item.members) if isinstance(item.members, tuple) else sorted(item.members)
                else:
                    opened.append(item)
            return tuple(opened)
        case _:
            return None


def _includes(wide: Item, narrow: Item) -> bool:
    match wide, narrow:
        case Network() as outer, Network() as inner:
            return outer.first <= inner.first and inner.last <= outer.last
        case Range(int() as low, int() as high), int() as number:
            return low <= number <= high
        case Range(int() as low, int() as high), Range(int() as first, int() as last):
            return low <= first and last <= high
        case _:
            return wide == narrow
