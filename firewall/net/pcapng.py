"""The pcapng format (draft-ietf-opsawg-pcapng), written by Wireshark and dumpcap.

A file is a sequence of blocks: type, total length, body, total length again. A section header begins a section with a
byte order and a list of interfaces of its own; packets name their interface by its place in that list.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from math import gcd
from struct import Struct
from typing import NamedTuple

from firewall.errors import CaptureError, Place
from firewall.net.capture_record import (
    MAX_TIMESTAMP_NS,
    ByteWindow,
    CaptureRecord,
    Cut,
    Unreadable,
)

PCAPNG_MAGIC = b"\x0a\x0d\x0d\x0a"

# Wireshark's MAX_BLOCK_SIZE for blocks that hold one packet, with room for its options.
_MAX_BLOCK_BYTES = 16 * 1024 * 1024
_MAX_INTERFACES = 65_536
_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_OBSOLETE_PACKET = 2
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
# Wireshark shows these between the packets and numbers them like frames, so they are counted here too: systemd journal
# export, sysdig events, custom blocks.
_NUMBERED_BLOCKS = frozenset({0x9, 0x204, 0x216, 0x221, 0xBAD, 0x40000BAD})
_IF_NAME, _IF_TSRESOL, _IF_TSOFFSET = 2, 9, 14
_PACKET_FLAGS = 2
_DIRECTIONS = {1: False, 2: True}  # inbound, outbound
_TOO_SHORT = "the packet block is too short for its header"
# What stands in a capture's numbering but is no frame of any link.
NO_LINK_TYPE = -1


class _Order(NamedTuple):
    """The fields of a section in its byte order."""

    word: Struct
    block: Struct
    option: Struct
    interface: Struct
    enhanced: Struct
    enhanced_block: Struct
    obsolete: Struct
    offset: Struct


_FORMS = ("I", "II", "HH", "HHI", "IIIII", "IIIIIII", "HHIIII", "q")
_ORDERS = {
    magic: _Order(*(Struct(order + form) for form in _FORMS))
    for magic, order in ((b"\x4d\x3c\x2b\x1a", "<"), (b"\x1a\x2b\x3c\x4d", ">"))
}
_ENHANCED_BLOCK_BYTES = 32  # without its packet and its options
_FEW_OPTION_BYTES = 64


class _Interface(NamedTuple):
    """A tick is ``tick_ns`` nanoseconds, divided by ``tick_parts``. ``number`` tells it from the file's others."""

    link_type: int
    number: int
    snap_bytes: int
    name: str | None
    tick_ns: int
    tick_parts: int
    offset_ns: int

    def timestamp_ns(self, high: int, low: int) -> int:
        ns = ((high << 32) | low) * self.tick_ns // self.tick_parts + self.offset_ns
        return min(max(ns, 0), MAX_TIMESTAMP_NS)


def pcapng_records(window: ByteWindow, name: str, unreadable: list[Unreadable]) -> Iterator[CaptureRecord]:
    """Return the frames of a pcapng file whose first byte is at the window's offset.

    A simple packet block has no timestamp: it gets that of the packet before it. What cannot be read is added to
    ``unreadable``.

    Raises:
        CaptureError: the file's first section header is cut or damaged.
    """
    if not window.require(28):
        raise CaptureError(
            f"the capture is cut inside its section header, after {len(window.data)} of 28 bytes",
            place=Place(name),
            next_step="no packet is left in it; copy it again from where it was made",
        )
    if window.data[8:12] not in _ORDERS:
        raise CaptureError(
            f"the pcapng section header has no byte order: {window.data[8:12].hex(' ')}",
            place=Place(name),
            next_step="the file is damaged; copy it again from where it was made",
        )
    return _Reader(window, unreadable).records()


class _DamagedError(Exception):
    """Never leaves this file: says why reading ends here."""


class _Reader:
    def __init__(self, window: ByteWindow, unreadable: list[Unreadable]) -> None:
        self._window = window
        self._unreadable = unreadable
        self._order = _ORDERS[window.data[8:12]]
        self._interfaces: list[_Interface] = []
        self._earlier: list[_Interface] = []
        """The interfaces of the section before."""
        self._next_number = 0
        self._number = 0
        self._last_ns = 0

    def records(self) -> Iterator[CaptureRecord]:
        """Walk over the blocks; the first damage ends the walk."""
        window = self._window
        try:
            while True:
                yield from self._packets_at_hand()
                if not window.require(1):
                    return
                kind, body, end = self._block()
                if kind == _SECTION_HEADER:
                    self._earlier, self._interfaces = self._interfaces, []
                elif kind == _INTERFACE_DESCRIPTION:
                    self._interface_description(body, end)
                elif kind in _NUMBERED_BLOCKS:
                    self._number += 1
                    yield CaptureRecord(self._number, self._last_ns, NO_LINK_TYPE, window.data[body:end], end - body)
                elif kind in _PACKETS:
                    self._number += 1
                    header_bytes, read = _PACKETS[kind]
                    packet = read(self, body, end) if end - body >= header_bytes else _TOO_SHORT
                    if isinstance(packet, CaptureRecord):
                        yield packet
                    else:
                        self._unreadable.append(Unreadable(self._number, packet))
                window.offset = end + 4
        except _DamagedError as damage:
            self._unreadable.append(Cut(self._number + 1, f"cut: {damage}"))

    def _packets_at_hand(self) -> Iterator[CaptureRecord]:
        """Give the packets that stand whole in the window, up to anything but a sound enhanced packet block.

        What nearly all of a file is made of, in one loop; ``_block`` and ``_enhanced_packet`` do the rest, one by one.
        """
        window, order, interfaces = self._window, self._order, self._interfaces
        unpack, word = order.enhanced_block.unpack_from, order.word.unpack_from
        data, offset, number, last_ns = window.data, window.offset, self._number, self._last_ns
        # What the packet before told: most have its interface, and a time a few ticks later.
        high_of = id_of = -1
        link_type = tick_ns = begin_ns = where = 0
        name: str | None = None
        size = len(data)
        while offset + _ENHANCED_BLOCK_BYTES <= size:
            kind, block_bytes, interface_id, high, low, captured, original = unpack(data, offset)
            begin = offset + 28
            options = begin + (captured + 3 & ~3)
            end = offset + block_bytes - 4
            if (
                kind != _ENHANCED_PACKET
                or end + 4 > size
                or word(data, end)[0] != block_bytes
                or (options != end and (block_bytes & 3 or not options < end <= options + _FEW_OPTION_BYTES))
            ):
                break
            if high != high_of or interface_id != id_of:
                if interface_id >= len(interfaces):
                    break
                link_type, where, _, name, tick_ns, tick_parts, offset_ns = interfaces[interface_id]
                high_of, id_of, begin_ns = high, interface_id, (high << 32) * tick_ns + offset_ns
                if tick_parts != 1 or begin_ns < 0 or begin_ns + (tick_ns << 32) > MAX_TIMESTAMP_NS:
                    break
            last_ns = low * tick_ns + begin_ns
            number += 1
            yield CaptureRecord(
                number,
                last_ns,
                link_type,
                data[begin : begin + captured],
                original,
                name,
                where,
                _remembered_outgoing(data[options:end], order) if options < end else None,
            )
            offset = end + 4
        self._number, self._last_ns, window.offset = number, last_ns, offset

    def _block(self) -> tuple[int, int, int]:
        """Bring the next block into the window: its type, where its body begins and where it ends."""
        window = self._window
        if not window.require(12):
            raise _DamagedError("the file ends inside a block header")
        if window.data[window.offset : window.offset + 4] == PCAPNG_MAGIC:
            magic = window.data[window.offset + 8 : window.offset + 12]
            if magic not in _ORDERS:
                raise _DamagedError("a section header has no byte order; the file is damaged from here on")
            self._order = _ORDERS[magic]
        kind, size = self._order.block.unpack_from(window.data, window.offset)
        padded = (size + 3) & ~3  # some writers count no padding; the next block begins on a multiple of four
        if size < 12 or size > _MAX_BLOCK_BYTES:
            raise _DamagedError(f"a block claims {size} bytes; the file is damaged from here on")
        if not window.require(padded):
            have = len(window.data) - window.offset
            raise _DamagedError(f"the file ends after {have} of the {size} bytes of a block")
        end = window.offset + padded - 4
        if self._order.word.unpack_from(window.data, end)[0] != size:
            raise _DamagedError("the two lengths of a block differ; the file is damaged from here on")
        return kind, window.offset + 8, end

    def _interface_description(self, body: int, end: int) -> None:
        data, order = self._window.data, self._order
        if end - body < 8:
            raise _DamagedError("an interface description is too short; the file is damaged from here on")
        if len(self._interfaces) >= _MAX_INTERFACES:
            raise _DamagedError(f"the section has more than {_MAX_INTERFACES} interfaces")
        link_type, _, snap_bytes = order.interface.unpack_from(data, body)
        name, ticks_per_s, offset_ns = None, 1_000_000, 0
        for code, value in _options(data[body + 8 : end], order):
            if code == _IF_NAME:
                name = value.rstrip(b"\0").decode(errors="replace")
            elif code == _IF_TSRESOL and len(value) == 1:
                ticks_per_s = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                offset_ns = order.offset.unpack(value)[0] * 1_000_000_000
        shared = gcd(1_000_000_000, ticks_per_s)
        tick_ns, tick_parts = 1_000_000_000 // shared, ticks_per_s // shared
        number = self._number_of(name)
        self._interfaces.append(_Interface(link_type, number, snap_bytes, name, tick_ns, tick_parts, offset_ns))

    def _number_of(self, name: str | None) -> int:
        """Return the number of the next interface; where ``cat`` joined captures, each part has it by the same name."""
        place = len(self._interfaces)
        if name and place < len(self._earlier) and self._earlier[place].name == name:
            return self._earlier[place].number
        self._next_number += 1
        return self._next_number - 1

    # Each returns the packet of a block, or why it cannot be read.

    def _enhanced_packet(self, body: int, end: int) -> CaptureRecord | str:
        data, order = self._window.data, self._order
        interface_id, *ticks, captured, original = order.enhanced.unpack_from(data, body)
        options = body + 20 + (captured + 3 & ~3)
        outgoing = _outgoing(data[options:end], order) if options < end else None
        return self._packet(interface_id, ticks, body + 20, captured, original, end, outgoing)

    def _obsolete_packet(self, body: int, end: int) -> CaptureRecord | str:
        interface_id, _, *ticks, captured, original = self._order.obsolete.unpack_from(self._window.data, body)
        return self._packet(interface_id, ticks, body + 20, captured, original, end)

    def _simple_packet(self, body: int, end: int) -> CaptureRecord | str:
        original = self._order.word.unpack_from(self._window.data, body)[0]
        snap_bytes = self._interfaces[0].snap_bytes if self._interfaces else 0
        return self._packet(0, None, body + 4, min(original, snap_bytes or original), original, end)

    def _packet(
        self,
        interface_id: int,
        ticks: Sequence[int] | None,
        begin: int,
        captured: int,
        original: int,
        end: int,
        outgoing: bool | None = None,
    ) -> CaptureRecord | str:
        """Return the packet of a block; one without ``ticks`` (high, low) has the time of the one before."""
        if begin + captured > end:
            return f"the packet claims {captured} bytes, more than its block holds"
        if interface_id >= len(self._interfaces):
            return f"the packet names interface {interface_id}, which is not described"
        interface = self._interfaces[interface_id]
        if ticks is not None:
            self._last_ns = interface.timestamp_ns(*ticks)
        return CaptureRecord(
            self._number,
            self._last_ns,
            interface.link_type,
            self._window.data[begin : begin + captured],
            original,
            interface.name,
            interface.number,
            outgoing,
        )


# How many bytes stand before the packet in each kind of block, and what reads it.
_PACKETS = {
    _ENHANCED_PACKET: (20, _Reader._enhanced_packet),
    _OBSOLETE_PACKET: (20, _Reader._obsolete_packet),
    _SIMPLE_PACKET: (4, _Reader._simple_packet),
}


def _options(data: bytes, order: _Order) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        code, size = order.option.unpack_from(data, offset)
        if code == 0 or offset + 4 + size > len(data):
            return
        yield code, data[offset + 4 : offset + 4 + size]
        offset += 4 + (size + 3 & ~3)


def _outgoing(options: bytes, order: _Order) -> bool | None:
    outgoing = None
    for code, value in _options(options, order):
        if code == _PACKET_FLAGS and len(value) == 4:
            outgoing = _DIRECTIONS.get(order.word.unpack(value)[0] & 3)
    return outgoing


_remembered_outgoing = lru_cache(maxsize=256)(_outgoing)
