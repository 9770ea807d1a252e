"""What is said to nftables about the elements of our sets, and what it answers (<linux/netfilter/nf_tables.h>)."""

import struct
from collections.abc import Iterator
from functools import lru_cache

import msgspec

from firewall.live.flow_sets import Place, Table
from firewall.live.netlink import CREATE, DUMP, ECHO, NFTABLES, attribute, attributes, message, nested, text

_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = 12, 13, 14
_GET_SET, _NEW_SET = 10, 9
_GET_OBJECT = 19

# NFTA_SET_ELEM_LIST_*
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
# NFTA_SET_*
_SET_TABLE, _SET_NAME = 1, 2
# NFTA_SET_ELEM_*
_KEY, _DATA, _TIMEOUT, _EXPIRATION, _USER_DATA, _EXPRESSION = 1, 2, 4, 5, 6, 7
# NFTA_LIST_ELEM, NFTA_DATA_*, NFTA_VERDICT_*, NFTA_EXPR_*, NFTA_COUNTER_*
_ITEM, _VALUE, _VERDICT, _CODE, _EXPRESSION_DATA = 1, 1, 2, 1, 2
_BYTES, _PACKETS = 1, 2
# NFTA_OBJ_*
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA, _COUNTER_TYPE = 1, 2, 3, 4, 1

ACCEPTED = nested(_DATA, nested(_VERDICT, attribute(_CODE, struct.pack(">i", 1))))  # NF_ACCEPT
"""What a map says about an element whose packets are accepted."""

_NUMBER = struct.Struct(">Q")


class Found(msgspec.Struct, frozen=True, gc=False):
    """An element as the kernel has it: what it counted, and, where the whole was asked for, what its comment says, for
    how long it was added and how much of that is left."""

    key: bytes
    packets: int
    octets: int
    comment: str = ""
    timeout_ms: int = 0
    left_ms: int = 0


@lru_cache(maxsize=256)
def _in_set(table: Table, set_name: str) -> bytes:
    return text(_LIST_TABLE, table.name) + text(_LIST_SET, set_name)


def _about_elements(kind: int, flags: int, table: Table, set_name: str, elements: bytes = b"") -> bytes:
    return message(NFTABLES, kind, flags, 0, _in_set(table, set_name) + elements, family=table.family)


def _about_element(kind: int, flags: int, place: Place, *said: bytes) -> bytes:
    item = nested(_ITEM, nested(_KEY, attribute(_VALUE, place.key)), *said)
    return _about_elements(kind, flags, place.table, place.set_name, nested(_LIST_ELEMENTS, item))


def address_value(packed: bytes) -> bytes:
    """Return what a map of addresses says about an element."""
    return nested(_DATA, attribute(_VALUE, packed))


def add_element(place: Place, timeout_ms: int, *, value: bytes = b"", comment: str = "") -> bytes:
    """Return the message that adds an element for a time; ``value``: what a map says about it."""
    parts = [value] if value else []
    parts.append(attribute(_TIMEOUT, _NUMBER.pack(timeout_ms)))
    if comment:
        said = comment.encode() + b"\0"
        parts.append(attribute(_USER_DATA, bytes((0, len(said))) + said))
    return _about_element(_NEW_ELEMENT, CREATE, place, *parts)


def delete_element(place: Place) -> bytes:
    """Return the message that removes an element; the kernel refuses it where there is none.

    It answers with the element as it was at the end (``read_removed``), with its last counts.
    """
    return _about_element(_DELETE_ELEMENT, ECHO, place)


def flush_set(table: Table, set_name: str) -> bytes:
    """Return the message that removes every element of a set."""
    return _about_elements(_DELETE_ELEMENT, 0, table, set_name)


def ask_for_sets(table: Table) -> bytes:
    """Return the message that asks for the names of a table's sets."""
    return message(NFTABLES, _GET_SET, DUMP, 0, text(_SET_TABLE, table.name), family=table.family)


def ask_for_elements(table: Table, set_name: str) -> bytes:
    """Return the message that asks for every element of a set."""
    return _about_elements(_GET_ELEMENT, DUMP, table, set_name)


def ask_for_element(place: Place) -> bytes:
    """Return the message that asks for one element."""
    return _about_element(_GET_ELEMENT, 0, place)


def ask_for_counter(table: Table, name: str) -> bytes:
    """Return the message that asks for a named counter."""
    body = (
        text(_OBJECT_TABLE, table.name)
        + text(_OBJECT_NAME, name)
        + attribute(_OBJECT_TYPE, struct.pack(">I", _COUNTER_TYPE))
    )
    return message(NFTABLES, _GET_OBJECT, 0, 0, body, family=table.family)


def read_set_name(kind: int, data: bytes, start: int, end: int) -> str | None:
    """Return the name of the set that a message tells, None where it tells none."""
    if kind != NFTABLES << 8 | _NEW_SET:
        return None
    names = (data[first : last - 1] for part, first, last in attributes(data, start, end) if part == _SET_NAME)
    return next(names, b"").decode(errors="replace")


def is_elements(kind: int) -> bool:
    """Tell whether a message of this type brings elements."""
    return kind == NFTABLES << 8 | _NEW_ELEMENT


def read_removed(kind: int, data: bytes, start: int, end: int) -> Iterator[tuple[str, Found]]:
    """Give the set and the last counts of each element that a message tells is removed; none where it tells no such.

    The kernel gives these messages no sequence number, and may put several elements into one.
    """
    if kind == NFTABLES << 8 | _DELETE_ELEMENT:
        set_name = ""
        for part, first, last in attributes(data, start, end):
            if part == _LIST_SET:
                set_name = data[first : last - 1].decode()
        for found in read_elements(data, start, end):
            yield set_name, found


def read_elements(data: bytes, start: int, end: int, *, whole: bool = False) -> Iterator[Found]:
    """Give the elements of one message; the comment only where the ``whole`` of it is asked for."""
    for kind, first, last in attributes(data, start, end):
        if kind == _LIST_ELEMENTS:
            for _, item, item_end in attributes(data, first, last):
                yield _element(data, item, item_end, whole)


def _element(data: bytes, start: int, end: int, whole: bool) -> Found:
    key, packets, octets = b"", 0, 0
    for kind, first, last in attributes(data, start, end):
        if kind == _KEY:
            key = data[first + 4 : last]
        elif kind == _EXPRESSION:
            packets, octets = _counter(data, first, last)
    if not whole:
        return Found(key, packets, octets)
    parts = {kind: (first, last) for kind, first, last in attributes(data, start, end)}
    return Found(
        key,
        packets,
        octets,
        comment=data[slice(*parts.get(_USER_DATA, (0, 0)))][2:].rstrip(b"\0").decode(errors="replace"),
        timeout_ms=_number(data, *parts.get(_TIMEOUT, (0, 0))),
        left_ms=_number(data, *parts.get(_EXPIRATION, (0, 0))),
    )


def _number(data: bytes, start: int, end: int) -> int:
    return int(_NUMBER.unpack_from(data, start)[0]) if end - start == _NUMBER.size else 0


def _counter(data: bytes, start: int, end: int) -> tuple[int, int]:
    for kind, first, last in attributes(data, start, end):
        if kind == _EXPRESSION_DATA:
            return _counts(data, first, last)
    return 0, 0


def _counts(data: bytes, start: int, end: int) -> tuple[int, int]:
    counts = {kind: _number(data, first, last) for kind, first, last in attributes(data, start, end)}
    return counts.get(_PACKETS, 0), counts.get(_BYTES, 0)


def read_counter(data: bytes, start: int, end: int) -> int | None:
    """Return the packets of a named counter, None where the message brings none."""
    for kind, first, last in attributes(data, start, end):
        if kind == _OBJECT_DATA:
            return _counts(data, first, last)[0]
    return None
