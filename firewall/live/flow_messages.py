"""What is said to nftables about the elements of our sets, and what it answers (<linux/netfilter/nf_tables.h>)."""

import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from firewall.live import netlink
from firewall.live.flow_sets import Element
from firewall.live.netlink import (
    NETFILTER,
    NFTABLES,
    NetlinkSocket,
    attribute,
    attributes,
    message,
    messages,
    nested,
    text,
)
from firewall.live.nftables import TABLE

_NEW_ELEMENT, _GET_ELEMENT, _DELETE_ELEMENT = 12, 13, 14
_ELEMENTS = NFTABLES << 8 | _NEW_ELEMENT
_NFPROTO_INET = 1
_ASKED_AT_ONCE = 100
_BUFFER_BYTES = 4 * 1024 * 1024

# NFTA_SET_ELEM_LIST_*
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
# NFTA_SET_ELEM_*
_KEY, _DATA, _TIMEOUT, _EXPIRATION, _USER_DATA, _EXPRESSION = 1, 2, 4, 5, 6, 7
# NFTA_LIST_ELEM, NFTA_DATA_*, NFTA_VERDICT_*, NFTA_EXPR_*, NFTA_COUNTER_*
_ITEM, _VALUE, _VERDICT, _CODE, _EXPRESSION_DATA = 1, 1, 2, 1, 2
_BYTES, _PACKETS = 1, 2

_ACCEPTED = nested(_DATA, nested(_VERDICT, attribute(_CODE, struct.pack(">i", 1))))  # NF_ACCEPT
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


def add_element(element: Element, timeout_ms: int, *, is_accepted: bool = False, comment: str = "") -> bytes:
    """Return the message that adds an element for a time; ``is_accepted``: to a map, which accepts its packets."""
    more = [_ACCEPTED] if is_accepted else []
    more.append(attribute(_TIMEOUT, _NUMBER.pack(timeout_ms)))
    if comment:
        said = comment.encode() + b"\0"
        more.append(attribute(_USER_DATA, bytes((0, len(said))) + said))
    return _message(_NEW_ELEMENT, netlink.CREATE, element.set_name, _element(element.key, *more))


def delete_element(element: Element) -> bytes:
    """Return the message that removes an element; the kernel refuses it where there is none.

    It answers with the element as it was at the end (``read_removed``), with its last counts.
    """
    return _message(_DELETE_ELEMENT, netlink.ECHO, element.set_name, _element(element.key))


def flush_set(set_name: str) -> bytes:
    """Return the message that removes every element of a set."""
    return _message(_DELETE_ELEMENT, 0, set_name)


def read_removed(kind: int, data: bytes, start: int, end: int) -> Iterator[tuple[str, Found]]:
    """Give the set and the last counts of each element that a message tells is removed; none where it tells no such.

    The kernel gives these messages no sequence number, and may put several elements into one.
    """
    if kind == NFTABLES << 8 | _DELETE_ELEMENT:
        set_name = ""
        for part, first, last in attributes(data, start + netlink.NETFILTER_HEADER_BYTES, end):
            if part == _LIST_SET:
                set_name = data[first : last - 1].decode()
        for found in read_elements(data, start, end):
            yield set_name, found


def read_elements(data: bytes, start: int, end: int, *, whole: bool = False) -> Iterator[Found]:
    """Give the elements of one message; the comment only where the ``whole`` of it is asked for."""
    for kind, first, last in attributes(data, start + netlink.NETFILTER_HEADER_BYTES, end):
        if kind == _LIST_ELEMENTS:
            for _, item, item_end in attributes(data, first, last):
                yield _found(data, item, item_end, whole)


class FlowQuestions:
    """Asks by sockets of its own; the kernel has answered when a question was sent. While a set is told part by part,
    anything but another set may be asked.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self._listing = NetlinkSocket(NETFILTER, receive_bytes=_BUFFER_BYTES)
        self._socket = NetlinkSocket(NETFILTER, receive_bytes=_BUFFER_BYTES)

    def close(self) -> None:
        """Ask no more."""
        self._listing.close()
        self._socket.close()

    def elements(self, set_name: str, *, whole: bool = False) -> Iterator[list[Found]]:
        """Give the elements of a set, in the parts in which the kernel tells them; none where there is no such set."""
        for data in self._listed(_message(_GET_ELEMENT, netlink.DUMP, set_name)):
            yield [
                found
                for kind, _, _, start, end in messages(data)
                if kind == _ELEMENTS
                for found in read_elements(data, start, end, whole=whole)
            ]

    def counted(self, places: Sequence[Element]) -> Iterator[tuple[int, Found]]:
        """Give what is found of a few elements, each with its number in ``places``.

        As many are asked for with one call as the kernel's answers find room.
        """
        for first in range(0, len(places), _ASKED_AT_ONCE):
            asked = places[first : first + _ASKED_AT_ONCE]
            self._socket.send(
                netlink.numbered([_message(_GET_ELEMENT, 0, place.set_name, _element(place.key)) for place in asked])
            )
            while (data := self._socket.receive()) is not None:
                for kind, _, number, start, end in messages(data):
                    if kind == _ELEMENTS and 0 < number <= len(asked):
                        yield from ((first + number - 1, found) for found in read_elements(data, start, end))

    def _listed(self, question: bytes) -> Iterator[bytes]:
        while self._listing.receive() is not None:
            pass  # the rest of an answer that was not heard out, during which the kernel takes no other question
        self._listing.send(question)
        is_last = False
        while not is_last:
            data = self._listing.receive()
            is_last = data is None or any(kind in (netlink.DONE, netlink.ERROR) for kind, *_ in messages(data))
            yield data or b""


@lru_cache(maxsize=256)
def _in_set(set_name: str) -> bytes:
    return text(_LIST_TABLE, TABLE) + text(_LIST_SET, set_name)


def _message(kind: int, flags: int, set_name: str, *elements: bytes) -> bytes:
    body = _in_set(set_name)
    if elements:
        body += nested(_LIST_ELEMENTS, *elements)
    return message(NFTABLES, kind, flags, 0, body, family=_NFPROTO_INET)


def _element(key: bytes, *more: bytes) -> bytes:
    return nested(_ITEM, nested(_KEY, attribute(_VALUE, key)), *more)


def _found(data: bytes, start: int, end: int, whole: bool) -> Found:
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
            counts = {part: _number(data, begin, stop) for part, begin, stop in attributes(data, first, last)}
            return counts.get(_PACKETS, 0), counts.get(_BYTES, 0)
    return 0, 0
