"""What one row of the field table holds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from firewall.ruleset.facts import Facts

FieldType = Literal["text", "number", "address", "flag", "protocol"]

MAX_UINT16, MAX_UINT32 = 0xFFFF, 0xFFFF_FFFF

Values = tuple[str | int, ...]
Reader = Callable[[Facts], Values]
"""Every value of a field in one message, in wire order; () where it is absent."""
PRESENT: Values = ("",)
"""What a protocol has that is there."""
OneReader = Callable[[Facts], str | int | None]
"""The value of a field that never has more than one; None where it is absent."""


def values_of(one: OneReader) -> Reader:
    """Return the reader of every value of a field that never has more than one."""

    def values(facts: Facts) -> Values:
        value = one(facts)
        return (value,) if value is not None else ()

    return values


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field.

    ``own`` is True for sosgate's fields, False for those whose name and meaning are Wireshark's. ``family`` limits an
    address field to IPv4 or IPv6. ``maximum`` is the greatest number; ``choices`` are all the texts there can be.
    A flag of our own always has exactly one value, and standing alone it means "is true"; a flag of Wireshark's
    standing alone means "is present", as there. A protocol can be present, and searched when ``searchable``. ``one``
    reads the same as ``read``, and faster, for fields with one value at most.
    """

    name: str
    type: FieldType
    description: str
    read: Reader
    own: bool = False
    family: Literal[4, 6] | None = None
    maximum: int | None = None
    choices: tuple[str, ...] | None = None
    searchable: bool = False
    one: OneReader | None = None


def single(
    name: str,
    kind: FieldType,
    description: str,
    one: OneReader,
    *choices: str,
    own: bool = False,
    most: int | None = None,
) -> FieldSpec:
    """Return a field that never has more than one value; ``choices`` are the texts it can be, ``most`` its maximum."""
    return FieldSpec(name, kind, description, values_of(one), own, None, most, choices or None, one=one)


def own_field(name: str, kind: FieldType, description: str, one: OneReader, *choices: str) -> FieldSpec:
    """Return a field of sosgate's that never has more than one value."""
    return single(name, kind, description, one, *choices, own=True)
