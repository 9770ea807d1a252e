"""The expression of a rule as a value: one small tree, read by several interpreters.

*evaluate* compiles it for the packet path, *describe* puts it into words, *text* writes it back; a prover can read it
as sets of values per field. The tree is normal: ``&&`` and ``||`` chains are flat, a literal stands on the right, an
address literal is an interval, a sosgate flag is compared with true only, and every literal has its field's type.

Fields have any number of values in one message. Wireshark 4 says what that means (wireshark-filter(4)):

- ``==``, the ordering comparisons, ``in``, ``contains`` and ``matches`` hold when **some** value does;
- ``!=`` holds when the field is present and **every** value differs.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from firewall.net.address import Network

Comparator = Literal["==", "!=", ">", ">=", "<", "<="]
Function = Literal["len", "lower", "upper", "count"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the table in ``fields.py``. ``header`` is the name in ``sip.header["Name"]``, else None."""

    name: str
    header: str | None = None


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes of each value of a text: ``length`` of them from ``start`` (negative: from the end); None is the rest.

    A value too short to hold it whole gives the empty text, which is compared but neither exists nor matches; so it is
    in Wireshark.
    """

    operand: "Operand"
    start: int
    length: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """A function: ``len`` (bytes), ``lower`` and ``upper`` (ASCII) of each value; ``count`` of all values."""

    function: Function
    operand: "Operand"


Operand = Field | Slice | Call

Value = str | int | bool | Network
"""A literal. Text is UTF-8 decoded with surrogateescape, like the values of text fields; an address is an interval."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``operand comparator value``. With a network, ``==`` means inside it. With True: the flag is set."""

    operand: Operand
    comparator: Comparator
    value: Value


@dataclass(frozen=True, slots=True)
class Range:
    """``low..high``, both included, of numbers or texts. A range of addresses is a ``Network`` instead."""

    low: int | str
    high: int | str


@dataclass(frozen=True, slots=True)
class SetMembers:
    """``$name``: the members of a named set, as texts or as networks after the type of the field it is used with."""

    name: str
    members: frozenset[str] | tuple[Network, ...]

    def __hash__(self) -> int:
        return hash(self.name)  # a list may be long, and many rules use it


Item = str | int | bool | Network | Range | SetMembers


@dataclass(frozen=True, slots=True)
class Membership:
    """``operand in {items}``."""

    operand: Operand
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """``operand contains "text"``: case-sensitive."""

    operand: Operand
    text: str


@dataclass(frozen=True, slots=True)
class Matches:
    """``operand matches "regex"``: RE2, case-insensitive, found anywhere in the value, on bytes."""

    operand: Operand
    regex: str


@dataclass(frozen=True, slots=True)
class Exists:
    """The operand has at least one value."""

    operand: Operand


@dataclass(frozen=True, slots=True)
class Not:
    """``not condition``."""

    condition: "Condition"


@dataclass(frozen=True, slots=True)
class And:
    """Two or more conditions, all true; none of them is an ``And``."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Two or more conditions, one true; none of them is an ``Or``."""

    conditions: tuple["Condition", ...]


Atom = Comparison | Membership | Contains | Matches | Exists
"""A condition without ``and``, ``or`` and ``not``."""
Condition = Atom | Not | And | Or


def atoms(condition: Condition | None) -> Iterator[Atom]:
    """Yield the atoms of a condition in the order written, none where there is no condition."""
    return (atom for atom, _ in signed_atoms(condition))


def signed_atoms(condition: Condition | None, *, is_wanted: bool = True) -> Iterator[tuple[Atom, bool]]:
    """Yield the atoms of a condition, each with whether it is wanted: it stands under an even number of ``not``."""
    match condition:
        case Not(inner):
            yield from signed_atoms(inner, is_wanted=not is_wanted)
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from signed_atoms(each, is_wanted=is_wanted)
        case Comparison() | Membership() | Contains() | Matches() | Exists():
            yield condition, is_wanted
        case None:
            return
        case _:
            assert_never(condition)


def is_about_emergencies(condition: Condition | None) -> bool:
    """Tell whether a condition is true of emergency traffic alone: ``and not emergency`` would leave nothing of it."""
    return _demands(condition, lambda a: isinstance(a.operand, Field) and a.operand.name.startswith("emergency"))


def is_about_zones(condition: Condition | None, zones: Collection[str]) -> bool:
    """Tell whether a condition is true only of what comes from one of these zones."""
    source = Field("zone.src")

    def is_from_one(atom: Atom) -> bool:
        match atom:
            case Comparison(operand, "==", value):
                return operand == source and value in zones
            case Membership(operand, items):
                return operand == source and all(item in zones for item in items)
            case _:
                return False

    return _demands(condition, is_from_one)


def _demands(condition: Condition | None, is_so: Callable[[Atom], bool]) -> bool:
    """Tell whether some such atom is true wherever the condition is, as far as ``and`` and ``or`` show it."""
    match condition:
        case And(conditions):
            return any(_demands(each, is_so) for each in conditions)
        case Or(conditions):
            return all(_demands(each, is_so) for each in conditions)
        case Not() | None:
            return False
        case _:
            return is_so(condition)


def base_field(operand: Operand) -> Field:
    """Return the field that an operand reads."""
    while not isinstance(operand, Field):
        operand = operand.operand
    return operand


def named_fields(condition: Condition) -> tuple[str, ...]:
    """Return the name of every field that a condition looks at, in the order written."""
    return tuple(base_field(atom.operand).name for atom in atoms(condition))


def methods_of(condition: Condition) -> frozenset[str] | None:
    """Return the methods of the requests of which alone a condition can be true; None where none are named.

    It is not true of a response then, either, nor of what is no SIP.
    """
    match condition:
        case Comparison(Field("sip.Method"), "==", str(method)):
            return frozenset({method})
        case Membership(Field("sip.Method"), items) if all(isinstance(item, str) for item in items):
            return frozenset(item for item in items if isinstance(item, str))
        case And(parts):
            named = [methods for part in parts if (methods := methods_of(part)) is not None]
            return frozenset.intersection(*named) if named else None
        case Or(parts):
            named = [methods for part in parts if (methods := methods_of(part)) is not None]
            return frozenset.union(*named) if len(named) == len(parts) else None
        case _:
            return None
