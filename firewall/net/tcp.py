"""TCP segments of a capture put in order again (RFC 9293 §3.4): each direction of each connection is a byte stream.

Pure and bounded. What came first counts: bytes that come again are not told. Missing bytes are waited for until the
other side has acknowledged them (then the network had them and only the capture lacks them), a second has passed or too
much waits behind them; then the stream goes on behind the gap. A stream whose beginning the capture does not hold
begins at the first segment that ``wanted`` takes, as if behind a gap.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from firewall.net.datagram import Packet
from firewall.net.vantage import Vantage

MAX_STREAMS = 65_536
MAX_HELD_BYTES = 262_144
"""Behind one gap; a direction's receive window seldom is larger for signalling."""
MAX_HELD_SEGMENTS = 256
MAX_HELD_BYTES_IN_ALL = 64 * 1024 * 1024
GAP_WAIT_NS = 1_000_000_000
_MAX_GAPS = 16
# A segment this far from what is expected belongs to another connection of the same addresses and ports.
_FAR_BYTES = 16 * 1024 * 1024
# How far before the first segment of a stream without its SYN others belong to it: a window without scaling.
_BEFORE_BYTES = 65_536

StreamKey = tuple[str, int, str, int, Vantage]
"""Source, destination, and where it was seen: a capture of several interfaces has each stream several times."""


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One TCP segment: its packet, when its frame was captured, and where."""

    packet: Packet
    timestamp_ns: int
    seen_on: Vantage


class Chunk(msgspec.Struct, frozen=True, gc=False):
    """The next bytes of a stream, and the segment that brought them.

    ``order``: ``next`` follows the bytes before, ``begin`` begins a stream with its SYN, ``middle`` one without;
    ``gap`` goes on behind ``missing_bytes`` that the capture lacks, ``late`` fills a part of such a gap after all.
    ``start`` is the sequence number of the first byte.
    """

    stream: StreamKey
    data: bytes
    segment: Segment
    order: Literal["next", "begin", "middle", "gap", "late"]
    start: int
    missing_bytes: int = 0

    @property
    def end(self) -> int:
        """The sequence number behind the last byte."""
        return self.start + len(self.data) & 0xFFFF_FFFF


class End(msgspec.Struct, frozen=True, gc=False):
    """A stream is over: FIN, RST, a new connection of the same addresses and ports, or no room for it."""

    stream: StreamKey


class _Stream(msgspec.Struct):
    start: int
    expected: int
    """Sequence numbers of the first byte and of the next one."""
    order: Literal["next", "begin", "middle", "gap"]
    missing_bytes: int = 0
    held: dict[int, Segment] = {}
    held_bytes: int = 0
    end: int | None = None
    closed: bool = False
    gaps: list[tuple[int, int]] = []


class StreamTable:
    """The streams of one capture. ``wanted`` is asked of each segment that belongs to none so far, a SYN included."""

    def __init__(self, wanted: Callable[[Packet], bool]) -> None:
        self._wanted = wanted
        self._streams: OrderedDict[StreamKey, _Stream] = OrderedDict()
        self._waiting: OrderedDict[StreamKey, int] = OrderedDict()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._streams)

    def add(self, packet: Packet, seen_on: Vantage, timestamp_ns: int) -> list[Chunk | End]:
        """Take one segment; return what can be said of the streams now."""
        header = packet.tcp
        if header is None:
            return []
        key: StreamKey = (packet.src_ip, packet.src_port, packet.dst_ip, packet.dst_port, seen_on)
        found: list[Chunk | End] = []
        if self._waiting:
            found += self._expired(timestamp_ns)
            found += self._acknowledged(_way_back(key), header.acknowledgment_number)
        if header.rst:
            return [*found, *self._close(key), *self._close(_way_back(key))]
        stream = self._streams.get(key)
        first = header.sequence_number + (1 if header.syn else 0) & 0xFFFF_FFFF
        if stream is not None:
            self._streams.move_to_end(key)  # the one used last is the last to be forgotten
            if (first != stream.expected or header.syn) and _is_another(stream, first, packet):
                found += self._close(key)
                stream = None
        if stream is None:
            if not self._wanted(packet):
                return found
            while len(self._streams) >= MAX_STREAMS:
                found += self.forget(next(iter(self._streams)))
            stream = self._streams[key] = _Stream(first, first, "begin" if header.syn else "middle")
            if not header.syn:
                stream.gaps.append((first - _BEFORE_BYTES & 0xFFFF_FFFF, first))
        if header.fin:
            stream.end = first + len(packet.payload) & 0xFFFF_FFFF
        if packet.payload:
            segment = Segment(packet, timestamp_ns, seen_on)
            if first == stream.expected and not stream.held:  # as nearly always
                found.append(self._deliver(key, stream, packet.payload, segment))
            else:
                found += self._payload(key, stream, first, segment)
        if stream.end == stream.expected:
            found += self._close(key)
        return found

    def finish(self) -> list[Chunk | End]:
        """Return what still waits for bytes that never came; the streams stay open, as the capture leaves them."""
        return [chunk for key in list(self._waiting) for chunk in self._give_up(key)]

    def forget(self, key: StreamKey) -> list[Chunk | End]:
        """End a stream, with what waits in it, and forget that it was there."""
        found = self._close(key) or [End(key)]  # told again: bytes may have come behind its end
        self._streams.pop(key, None)
        return found

    def _close(self, key: StreamKey) -> list[Chunk | End]:
        """End a stream. It stays known, so that a late retransmission is known as one."""
        stream = self._streams.get(key)
        if stream is None or (stream.closed and not stream.held):
            return []
        found: list[Chunk | End] = list(self._give_up(key))
        stream.closed = True
        return [*found, End(key)]

    def _payload(self, key: StreamKey, stream: _Stream, first: int, segment: Segment) -> Iterator[Chunk]:
        data = segment.packet.payload
        ahead = _distance(stream.expected, first)
        if ahead > 0:
            self._hold(key, stream, first, segment)
            if stream.held_bytes > MAX_HELD_BYTES or len(stream.held) > MAX_HELD_SEGMENTS:
                yield from self._give_up(key)
            while self.held_bytes > MAX_HELD_BYTES_IN_ALL:
                yield from self._give_up(next(iter(self._waiting)))
            return
        if -ahead < len(data):
            if ahead:
                yield from _late(key, stream, first, data[:-ahead], segment)
            yield self._deliver(key, stream, data[-ahead:], segment)
            if stream.held:
                yield from self._contiguous(key, stream)
        else:
            yield from _late(key, stream, first, data, segment)

    def _deliver(self, key: StreamKey, stream: _Stream, data: bytes, segment: Segment) -> Chunk:
        start = stream.expected
        chunk = Chunk(key, data, segment, stream.order, start, stream.missing_bytes)
        stream.order, stream.missing_bytes = "next", 0
        stream.expected = start + len(data) & 0xFFFF_FFFF
        return chunk

    def _hold(self, key: StreamKey, stream: _Stream, first: int, segment: Segment) -> None:
        size = len(segment.packet.payload)
        known_bytes = len(stream.held[first].packet.payload) if first in stream.held else 0
        if size > known_bytes:
            stream.held[first] = segment
            self._held(stream, size - known_bytes)
            self._waiting.setdefault(key, segment.timestamp_ns)

    def _held(self, stream: _Stream, change: int) -> None:
        stream.held_bytes += change
        self.held_bytes += change

    def _contiguous(self, key: StreamKey, stream: _Stream) -> Iterator[Chunk]:
        """Deliver what waited for the bytes that have come."""
        for first in sorted(stream.held, key=lambda number: _distance(stream.expected, number)):
            ahead = _distance(stream.expected, first)
            if ahead > 0:
                break
            segment = stream.held.pop(first)
            data = segment.packet.payload
            self._held(stream, -len(data))
            if -ahead < len(data):
                yield self._deliver(key, stream, data[-ahead:], segment)
        if not stream.held:
            self._waiting.pop(key, None)

    def _skip_gap(self, key: StreamKey, stream: _Stream) -> Iterator[Chunk]:
        first = min(stream.held, key=lambda number: _distance(stream.expected, number))
        stream.gaps = [*stream.gaps[1 - _MAX_GAPS :], (stream.expected, first)]
        stream.missing_bytes = _distance(stream.expected, first)
        stream.expected, stream.order = first, "gap"
        yield from self._contiguous(key, stream)

    def _give_up(self, key: StreamKey) -> Iterator[Chunk]:
        stream = self._streams[key]
        while stream.held:
            yield from self._skip_gap(key, stream)

    def _acknowledged(self, key: StreamKey, number: int | None) -> Iterator[Chunk]:
        stream = self._streams.get(key)
        if stream is None or number is None:
            return
        while stream.held and 0 < _distance(stream.expected, number) < _FAR_BYTES:
            yield from self._skip_gap(key, stream)

    def _expired(self, now_ns: int) -> Iterator[Chunk]:
        while self._waiting:
            key, since_ns = next(iter(self._waiting.items()))
            if abs(now_ns - since_ns) <= GAP_WAIT_NS:
                return
            yield from self._give_up(key)


def _way_back(key: StreamKey) -> StreamKey:
    src_ip, src_port, dst_ip, dst_port, (interface, outgoing) = key
    return dst_ip, dst_port, src_ip, src_port, (interface, None if outgoing is None else not outgoing)


def _distance(start: int, end: int) -> int:
    """How far ``end`` is ahead of ``start`` in a space where 0 follows 2^32 - 1; negative when behind."""
    return (end - start + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000


def _is_another(stream: _Stream, first: int, packet: Packet) -> bool:
    """Tell whether a segment is not of this stream but of a later connection of the same addresses and ports."""
    if packet.tcp is not None and packet.tcp.syn:
        return first != stream.start or stream.closed  # the same SYN again is nothing new
    ahead = _distance(stream.expected, first)
    return abs(ahead) > _FAR_BYTES or (stream.closed and ahead > 1 and bool(packet.payload))


def _late(key: StreamKey, stream: _Stream, first: int, data: bytes, segment: Segment) -> Iterator[Chunk]:
    """Return what of bytes before the expected one fills gaps after all; the rest came before."""
    kept: list[tuple[int, int]] = []
    for gap_start, gap_end in stream.gaps:
        begin = max(_distance(first, gap_start), 0)
        end = min(_distance(first, gap_end), len(data))
        if begin >= end:
            kept.append((gap_start, gap_end))
            continue
        filled, until = first + begin & 0xFFFF_FFFF, first + end & 0xFFFF_FFFF
        kept += [gap for gap in ((gap_start, filled), (until, gap_end)) if gap[0] != gap[1]]
        yield Chunk(key, data[begin:end], segment, "late", filled)
    stream.gaps = kept[-_MAX_GAPS:]
