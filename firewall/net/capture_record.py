"""What a capture file is made of, whichever format wrote it, and the window through which it is read."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from firewall.net.datagram import Datagram

# Wireshark's WTAP_MAX_PACKET_SIZE_STANDARD. A longer packet is a sign of a damaged length field, and the bound
# on the memory that a hostile one can ask for.
MAX_PACKET_BYTES = 262_144
# 9999-12-31T23:59:59Z: a 64-bit counter of a damaged file may name an instant that no calendar can print.
MAX_TIMESTAMP_NS = 253_402_300_799_999_999_999
_READ_BYTES = 1 << 18


class CaptureRecord(msgspec.Struct, frozen=True, gc=False):
    """One frame of a capture.

    ``frame_number`` counts all frames of the file from 1, as tshark does. ``timestamp_ns`` is since the Unix epoch,
    UTC. ``link_type`` is the LINKTYPE_ value. ``data`` may be shorter than ``original_length`` bytes (a snapshot
    length cut it). ``interface`` is the interface's name where the file tells it; ``interface_id`` tells the
    interfaces of one file apart. ``outgoing`` says whether the capturing machine sent the frame, None where the file
    does not tell. For what is inside a tunnel, ``outer`` are the packets around it, the outermost first.
    """

    frame_number: int
    timestamp_ns: int
    link_type: int
    data: bytes
    original_length: int
    interface: str | None = None
    interface_id: int = 0
    outgoing: bool | None = None
    outer: tuple[Datagram, ...] = ()


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A frame that could not be read, by its 1-based number, and why. What follows it is not affected."""

    packet: int
    reason: str


class Cut(Unreadable, frozen=True, gc=False):
    """Where a capture is cut or damaged: the frame of this number, and all that may have followed, is lost."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A capture: its frames, read as they are asked for, and what could not be read as far as reading has come.

    ``is_of_one_place``: all its frames have the same ``vantage``.
    """

    frames: Iterator[CaptureRecord]
    unreadable: list[Unreadable]
    is_of_one_place: bool = False


class ByteSource(Protocol):
    """Where a capture's bytes come from: an open binary file, or anything that reads like one."""

    def read(self, size: int, /) -> bytes:
        """Return at most ``size`` bytes, none at the end."""


class ByteWindow:
    """A window that moves forward over a byte source, so that a capture of any size is read in bounded memory.

    ``data`` holds the bytes at hand and ``offset`` the next one to read; both are public because the readers' loops are
    the hot path of replay.
    """

    __slots__ = ("_source", "data", "offset")

    def __init__(self, source: ByteSource) -> None:
        self._source = source
        self.data = b""
        self.offset = 0

    def require(self, size: int) -> bool:
        """Bring at least ``size`` bytes from ``offset`` on into the window; False where the source has fewer."""
        have = len(self.data) - self.offset
        if have >= size:
            return True
        parts = [self.data[self.offset :]]
        while have < size:
            part = self._source.read(max(_READ_BYTES, size - have))
            if not part:
                break
            parts.append(part)
            have += len(part)
        self.data = b"".join(parts)
        self.offset = 0
        return have >= size
