"""SIP over TCP in a capture: streams put together again, cut into messages by the framer that the live firewall uses.

Where the capture lacks a part of a stream (it begins in the middle, or segments were lost), what follows is searched
for the next start line; what stands before it is no message and nobody's fault, so it is not decided.
"""

from collections import OrderedDict
from copy import deepcopy

import msgspec

from firewall.net.capture_record import CaptureRecord, Unreadable
from firewall.net.datagram import Datagram, Packet
from firewall.net.signalling import begins_signalling, is_signalling
from firewall.net.tcp import Chunk, End, Segment, StreamKey, StreamTable
from firewall.net.vantage import Vantage, vantage
from firewall.sip.framing import OPEN_BODY_WAIT_NS, Framer, Piece
from firewall.sip.limits import MAX_MESSAGE_BYTES
from firewall.sip.start_line import KNOWN_METHODS

MAX_PENDING_BYTES = 64 * 1024 * 1024
"""What all streams together may hold of messages that are not whole yet."""
MAX_REMEMBERED_MESSAGES = 16_384
"""Of so many messages it is known where they were seen."""
_RESTS_OF_METHODS = frozenset(
    method[place:].encode() for method in KNOWN_METHODS for place in range(1, len(method))
) - frozenset(method.encode() for method in KNOWN_METHODS)


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """A datagram, or a piece of a TCP stream, taken for signalling; its number is that of the frame that completes it.

    ``now_ns`` is when it is decided, ``seen_ns`` when it was captured: earlier for what had to wait for a lost segment.
    ``is_copy``: the very segment of a TCP stream was seen elsewhere before (an interface further, or coming in). tshark
    takes it for a retransmission.
    """

    datagram: Datagram
    seen_on: Vantage
    now_ns: int
    seen_ns: int
    is_copy: bool = False


class _SipStream:
    """The framer of one direction of one connection, and what it holds; with what is around a gap in front of it."""

    __slots__ = ("before", "before_end", "framer", "latest", "seeking", "skipped", "start", "told")

    def __init__(self, first: Chunk, before: Framer | None) -> None:
        self.framer = Framer()
        self.seeking = first.order != "begin"
        self.latest: Segment | None = None
        """Of the segments whose bytes the framer holds, the one captured last."""
        self.told: Segment | None = None
        """The one behind which a capture ended: that it cut a message is told."""
        self.start, self.skipped = first.start, bytearray()
        """The sequence number of the first byte, and what stood before the first start line: up to a message's size."""
        self.before, self.before_end = before, first.start - first.missing_bytes & 0xFFFF_FFFF
        """What has read the stream in front of the gap, up to that sequence number."""

    @property
    def held_bytes(self) -> int:
        return self.framer.pending + len(self.skipped) + (self.before.pending if self.before else 0)


class SipStreams:
    """The SIP streams of one capture: those of signalling ports, and those that begin like a SIP message."""

    def __init__(self, ports: frozenset[int], *, of_one_place: bool = False) -> None:
        """``of_one_place``: nothing can be seen elsewhere, too (``Sightings``)."""
        self._ports = ports
        self._is_of_one_place = of_one_place
        self._table = StreamTable(self._is_signalling)
        self._streams: OrderedDict[StreamKey, _SipStream] = OrderedDict()
        self.pending_bytes = 0
        """What they hold of messages that are not whole, and of what is around gaps."""
        self._seen: OrderedDict[int, Vantage] = OrderedDict()
        self.open_bodies: OrderedDict[StreamKey, int] = OrderedDict()
        """The streams on which a message without Content-Length waits for more, and since when: the frame, perhaps of
        an earlier segment, with which it was put together. The one that waits longest is the first."""
        self._frame_ns = 0
        self._exported, self._times_exported = b"", 0
        self.unreadable: list[Unreadable] = []
        """Bytes that the capture lacks, each at the frame that shows it."""

    def __len__(self) -> int:
        return len(self._streams)

    def read(self, record: CaptureRecord, packet: Packet) -> list[Arrival]:
        """Take one TCP segment; return what is whole now, also of segments that had to wait."""
        self._frame_ns = record.timestamp_ns
        quiet = self._quiet(record.timestamp_ns, also_set_back=True) if self.open_bodies else []
        found = self._pieces(self._table.add(packet, vantage(record), record.timestamp_ns))
        return self._sighted(quiet + found if quiet else found)

    def exported(self, record: CaptureRecord, packet: Packet) -> Packet:
        """Return the message that an exported PDU over TCP is about.

        Of a segment with several messages Wireshark exports the whole once for each, one right after the other.
        """
        self._times_exported = self._times_exported + 1 if record.data == self._exported else 0
        self._exported = record.data
        messages = [piece.data for piece in Framer().feed(packet.payload) if piece.kind == "message"]
        is_one_of_several = self._times_exported < len(messages) > 1
        return msgspec.structs.replace(packet, payload=messages[self._times_exported]) if is_one_of_several else packet

    def quiet(self, now_ns: int) -> list[Arrival]:
        """Return the messages without Content-Length whose senders have been quiet since, as the live firewall does."""
        return self._sighted(self._quiet(now_ns))

    def _sighted(self, found: list[Arrival]) -> list[Arrival]:
        """Tell what was seen elsewhere before: same place in the stream of its last segment, same bytes."""
        if self._is_of_one_place:
            return found
        return [msgspec.structs.replace(each, is_copy=True) if self._is_repeated(each) else each for each in found]

    def _is_repeated(self, arrival: Arrival) -> bool:
        packet = arrival.datagram
        number = packet.tcp.sequence_number if isinstance(packet, Packet) and packet.tcp else None
        key = hash((packet.src_ip, packet.src_port, packet.dst_ip, packet.dst_port, number, packet.payload))
        first = self._seen.setdefault(key, arrival.seen_on)
        if len(self._seen) > MAX_REMEMBERED_MESSAGES:
            self._seen.popitem(last=False)
        return first != arrival.seen_on

    def _quiet(self, now_ns: int, *, also_set_back: bool = False) -> list[Arrival]:
        """``also_set_back``: a time long before is that of a clock set back, which does not tell who has been quiet."""
        found: list[Arrival] = []
        while self.open_bodies:
            key, since_ns = next(iter(self.open_bodies.items()))
            waited_ns = abs(now_ns - since_ns) if also_set_back else now_ns - since_ns
            if waited_ns < OPEN_BODY_WAIT_NS:
                break  # and those behind it came later
            found += self._released(key)
        return found

    def finish(self) -> list[Arrival]:
        """Return what was still waiting for lost segments; note the messages that the capture's end cuts.

        The streams stay, and go on if more is read.
        """
        found = self._pieces(self._table.finish())
        for key in list(self.open_bodies):
            found += self._released(key)
        self.unreadable += [cut for stream in self._streams.values() if (cut := _cut_by_the_end(stream)) is not None]
        return self._sighted(found)

    def _is_signalling(self, packet: Packet) -> bool:
        if is_signalling(packet.src_port, packet.dst_port, packet.payload, self._ports):
            return True
        # A segment may be shorter than a method.
        return begins_signalling(packet.payload.lstrip(b"\r\n"))

    def _pieces(self, told: list[Chunk | End]) -> list[Arrival]:
        found: list[Arrival] = []
        for event in told:
            if isinstance(event, End):
                found += self._ended(event.stream)
            else:
                found += self._late(event) if event.order == "late" else self._fed(event)
        return found

    def _fed(self, chunk: Chunk) -> list[Arrival]:
        found: list[Arrival] = []
        stream = self._streams.get(chunk.stream)
        if stream is None or chunk.order != "next":
            if chunk.stream in self.open_bodies:
                found += self._released(chunk.stream)
            if chunk.order == "gap":
                lost = f"TCP segments are missing: {chunk.missing_bytes} bytes of the stream before this frame"
                self.unreadable.append(Unreadable(chunk.segment.packet.frame_number or 0, lost))
            stream = self._replaced(chunk)
        framer = stream.framer
        before = framer.pending
        latest = _later(stream.latest, chunk.segment) if before else chunk.segment
        pieces = framer.feed(chunk.data)
        pending = framer.pending
        self.pending_bytes += pending - before
        # An open body: this segment only shows where the message ended.
        came_before = stream.latest if pieces and len(pieces[0].data) <= before else None
        found += self._numbered(stream, pieces, came_before or latest, chunk.segment)
        self.open_bodies.pop(chunk.stream, None)
        if framer.has_open_body:
            self.open_bodies[chunk.stream] = self._frame_ns
        stream.latest = None if not pending else chunk.segment if pieces else latest
        while self.pending_bytes > MAX_PENDING_BYTES:
            found += self._pieces(self._table.forget(next(iter(self._streams))))
        return found

    def _numbered(self, stream: _SipStream, pieces: list[Piece], latest: Segment, segment: Segment) -> list[Arrival]:
        found: list[Arrival] = []
        for piece in pieces:
            if stream.seeking and not _is_message(piece):
                if len(stream.skipped) < MAX_MESSAGE_BYTES:
                    stream.skipped += piece.data
                    self.pending_bytes += len(piece.data)
                continue
            stream.seeking = False
            found.append(self._arrival(piece, latest if piece is pieces[0] else segment))
        return found

    def _late(self, chunk: Chunk) -> list[Arrival]:
        """Return the messages in what fills a gap after all; they may begin in front of it and end behind it."""
        stream = self._streams.get(chunk.stream)
        if stream is None:
            return self._messages(Framer().feed(chunk.data), chunk.segment)
        self.pending_bytes -= stream.held_bytes
        before = (stream.before if chunk.start == stream.before_end else None) or Framer()
        stream.before, stream.before_end = before, chunk.end
        found = self._messages(before.feed(chunk.data), chunk.segment)
        if chunk.end == stream.start:
            behind = bytes(stream.skipped)
            if stream.seeking and len(behind) < MAX_MESSAGE_BYTES:  # the gap is no more
                behind += b"".join(piece.data for piece in stream.framer.flush())
                stream.framer, stream.before, stream.skipped = before, None, bytearray()
                self.pending_bytes += stream.held_bytes
                return found + self._fed(Chunk(chunk.stream, behind, chunk.segment, "next", stream.start))
            found += self._messages(before.feed(behind), chunk.segment)
        self.pending_bytes += stream.held_bytes
        return found

    def _messages(self, pieces: list[Piece], segment: Segment) -> list[Arrival]:
        return [self._arrival(piece, segment) for piece in pieces if _is_message(piece)]

    def _arrival(self, piece: Piece, segment: Segment) -> Arrival:
        packet = segment.packet
        if piece.data is not packet.payload:
            packet = msgspec.structs.replace(packet, payload=piece.data)
        return Arrival(packet, segment.seen_on, self._frame_ns, segment.timestamp_ns)

    def _released(self, key: StreamKey) -> list[Arrival]:
        del self.open_bodies[key]
        stream = self._streams.get(key)
        if stream is None or stream.latest is None or not stream.framer.has_open_body:
            return []
        self.pending_bytes -= stream.framer.pending
        found = self._numbered(stream, stream.framer.release(), stream.latest, stream.latest)
        stream.latest = None
        return found

    def _replaced(self, first: Chunk) -> _SipStream:
        old = self._streams.pop(first.stream, None)
        before = old.framer if old is not None and first.order == "gap" else None
        stream = self._streams[first.stream] = _SipStream(first, before)
        self.pending_bytes += stream.held_bytes - (old.held_bytes if old is not None else 0)
        return stream

    def _ended(self, key: StreamKey) -> list[Arrival]:
        stream = self._streams.pop(key, None)
        if stream is None:
            return []
        self.pending_bytes -= stream.framer.pending
        latest = stream.latest
        found = self._numbered(stream, stream.framer.flush(), latest, latest) if latest is not None else []
        self.pending_bytes -= stream.held_bytes
        return found


def _cut_by_the_end(stream: _SipStream) -> Unreadable | None:
    """Return what to tell of a message whose rest the capture does not hold; None where nothing says that it is one."""
    framer, held_bytes = stream.framer, stream.framer.pending
    if stream.latest is None or stream.latest is stream.told or not held_bytes or framer.lost:
        return None
    stream.told = stream.latest
    if stream.seeking:
        rest = deepcopy(framer).flush()[-1]
        if not _is_message(rest):
            return None
    held = f"the capture ends inside a SIP message over TCP: {held_bytes} bytes came"
    return Unreadable(stream.latest.packet.frame_number or 0, held)


def _is_message(piece: Piece) -> bool:
    """Tell whether it is a message, and its method not the rest of one (``ITE``) whose beginning is missing."""
    return piece.kind == "message" and piece.data.split(maxsplit=1)[0] not in _RESTS_OF_METHODS


def _later(one: Segment | None, other: Segment) -> Segment:
    if one is None:
        return other
    return one if (one.packet.frame_number or 0) > (other.packet.frame_number or 0) else other
