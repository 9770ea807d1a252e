"""SIP over TCP in a capture: streams put together again, cut into messages by the framer that the live firewall uses.

Where the capture lacks a part of a stream (it begins in the middle, or segments were lost), what follows is searched
for the next start line; what stands before it is no message and nobody's fault, so it is not decided.
"""

from collections.abc import Iterator

import msgspec

from firewall.net.capture_record import CaptureRecord, Unreadable
from firewall.net.datagram import Datagram, Packet
from firewall.net.signalling import is_signalling
from firewall.net.tcp import Chunk, End, Segment, StreamKey, StreamTable
from firewall.net.vantage import vantage
from firewall.sip.framing import Framer, Piece

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""What all streams together may hold of messages that are not whole yet."""


class StreamMessage(msgspec.Struct, frozen=True, gc=False):
    """One piece of a stream as a datagram, numbered by the frame that completes it; ``segment`` came in that frame."""

    datagram: Datagram
    segment: Segment


class _SipStream:
    """The framer of one direction of one connection, and what it holds."""

    __slots__ = ("framer", "latest", "seeking")

    def __init__(self, *, seeking: bool) -> None:
        self.framer = Framer()
        self.seeking = seeking
        self.latest: Segment | None = None
        """Of the segments whose bytes the framer holds, the one captured last."""


class SipStreams:
    """The SIP streams of one capture: those of signalling ports, and those that begin like a SIP message."""

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._table = StreamTable(self._is_signalling)
        self._streams: dict[StreamKey, _SipStream] = {}
        self._pending_bytes = 0
        self.unreadable: list[Unreadable] = []
        """Bytes that the capture lacks, each at the frame that shows it."""

    def __len__(self) -> int:
        return len(self._streams)

    def read(self, record: CaptureRecord, packet: Packet) -> list[StreamMessage]:
        """Take one TCP segment; return what is whole now, also of segments that had to wait."""
        return list(self._pieces(self._table.add(packet, vantage(record), record.timestamp_ns)))

    def finish(self) -> list[StreamMessage]:
        """Return what was still waiting for lost segments; note the messages that the capture's end cuts."""
        found = list(self._pieces(self._table.finish()))
        for stream in self._streams.values():
            if stream.latest is not None and stream.framer.pending and not stream.seeking:
                held = f"the capture ends inside a SIP message over TCP: {stream.framer.pending} bytes came"
                self.unreadable.append(Unreadable(stream.latest.packet.frame_number or 0, held))
        return found

    def _is_signalling(self, packet: Packet) -> bool:
        return is_signalling(packet.src_port, packet.dst_port, packet.payload, self._ports)

    def _pieces(self, told: list[Chunk | End]) -> Iterator[StreamMessage]:
        for event in told:
            if isinstance(event, End):
                yield from self._ended(event.stream)
            elif event.order == "late":
                yield from _whole_messages(event)
            elif event.order != "again":
                yield from self._fed(event)

    def _fed(self, chunk: Chunk) -> Iterator[StreamMessage]:
        stream = self._streams.get(chunk.stream)
        if stream is None or chunk.order != "next":
            if chunk.order == "gap":
                lost = f"TCP segments are missing: {chunk.missing_bytes} bytes of the stream before this frame"
                self.unreadable.append(Unreadable(chunk.segment.packet.frame_number or 0, lost))
            stream = self._replaced(chunk.stream, seeking=chunk.order != "begin")
        before = stream.framer.pending
        latest = _later(stream.latest, chunk.segment) if before else chunk.segment
        pieces = stream.framer.feed(chunk.data)
        self._pending_bytes += stream.framer.pending - before
        yield from self._numbered(stream, pieces, latest, chunk.segment)
        if stream.framer.broken and stream.seeking:
            # What was lost hides where a message begins: the next segment may show it.
            self._replaced(chunk.stream, seeking=True)
        stream.latest = None if not stream.framer.pending else chunk.segment if pieces else latest
        while self._pending_bytes > MAX_PENDING_BYTES:
            yield from self._pieces(self._table.forget(next(iter(self._streams))))

    def _numbered(
        self, stream: _SipStream, pieces: list[Piece], latest: Segment, segment: Segment
    ) -> Iterator[StreamMessage]:
        for number, piece in enumerate(pieces):
            stream.seeking = stream.seeking and piece.kind != "message"
            if not stream.seeking:
                yield _message(piece, segment if number else latest)

    def _replaced(self, key: StreamKey, *, seeking: bool) -> _SipStream:
        old = self._streams.pop(key, None)
        if old is not None:
            self._pending_bytes -= old.framer.pending
        stream = self._streams[key] = _SipStream(seeking=seeking)
        return stream

    def _ended(self, key: StreamKey) -> Iterator[StreamMessage]:
        stream = self._streams.pop(key, None)
        if stream is None:
            return
        self._pending_bytes -= stream.framer.pending
        latest = stream.latest
        if latest is not None:
            yield from self._numbered(stream, stream.framer.flush(), latest, latest)


def _whole_messages(chunk: Chunk) -> Iterator[StreamMessage]:
    """The messages that stand whole in a segment outside the stream's order."""
    for piece in Framer().feed(chunk.data):
        if piece.kind == "message":
            yield _message(piece, chunk.segment)


def _message(piece: Piece, segment: Segment) -> StreamMessage:
    return StreamMessage(msgspec.structs.replace(segment.packet, payload=piece.data), segment)


def _later(one: Segment | None, other: Segment) -> Segment:
    if one is None:
        return other
    return one if (one.packet.frame_number or 0) > (other.packet.frame_number or 0) else other
