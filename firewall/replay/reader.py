"""One capture read: frames become the messages that the engine is given, and the media that is only counted."""

from collections.abc import Iterator, Sequence

import msgspec

from firewall.engine.recording import printable
from firewall.net.capture_record import CaptureRecord, Unreadable
from firewall.net.datagram import Datagram, Packet
from firewall.net.exported_pdu import EXPORT, EXPORTED_PDU
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from firewall.net.rtp import is_rtp
from firewall.net.signalling import is_signalling
from firewall.net.vantage import vantage
from firewall.replay.copies import Sightings
from firewall.replay.cut_message import CutMessages
from firewall.replay.media import MediaEndpoints
from firewall.replay.report import CaptureReport
from firewall.replay.streams import Arrival, SipStreams
from firewall.replay.unread import unread_transport
from firewall.sip.message import read_ahead

AHEAD_FRAMES = 64
_LOSSES = frozenset({"truncated", "malformed", "link_type"})


class MediaArrival(msgspec.Struct, frozen=True, gc=False):
    """A UDP datagram that is no signalling. ``is_plain``: the frame holds nothing else."""

    datagram: Datagram
    now_ns: int
    negotiated: bool
    is_plain: bool


class CaptureReader:
    """What is kept while one capture is read, or several that are parts of one recording.

    ``found`` is the report of the capture that is being read, ``ports`` are those that count as signalling.
    ``of_one_place``: nothing of it can be seen a second time in another place (``Sightings``).
    """

    def __init__(
        self, found: CaptureReport, ports: frozenset[int], interfaces: frozenset[str], *, of_one_place: bool = False
    ) -> None:
        self.found = found
        self.sightings = Sightings(of_one_place=of_one_place)
        self.endpoints = MediaEndpoints()
        self._ports = ports
        self._decoder = FrameDecoder(interfaces=interfaces)
        self._streams = SipStreams(ports, of_one_place=of_one_place)
        self._cut_messages = CutMessages(ports)
        self.open_bodies = self._streams.open_bodies
        """Where a message without Content-Length may be whole by now (``quiet``), before the next frame is read."""
        self._unread: set[str] = set()

    def quiet(self, now_ns: int) -> list[Arrival]:
        """Return the messages without Content-Length whose senders have been quiet for long enough.

        Each is decided as of the time its last segment was captured.
        """
        return [msgspec.structs.replace(arrival, now_ns=arrival.seen_ns) for arrival in self._streams.quiet(now_ns)]

    def read_ahead(self, frames: Sequence[CaptureRecord]) -> list[Sequence[Arrival] | None]:
        """Return, for each frame, the signalling in it; None where it is to be read in its turn (``read``).

        Of datagrams nothing is remembered. Streams go on, so the frames after one that is none, and after one that may
        be their turn to say that a message without Content-Length is whole, are read in their turn.
        """
        arrivals: list[Sequence[Arrival] | None] = []
        latest_ns, streams_go_on = 0, True
        for frame in frames:
            found: Sequence[Arrival] | None = None
            datagram, at_ns = self._decoder.plain(frame), frame.timestamp_ns
            # Streams go on with their frames in time order only: quiet is measured by the frames' times.
            streams_go_on = streams_go_on and not self.open_bodies and at_ns >= latest_ns
            latest_ns = at_ns
            if isinstance(datagram, Packet):
                found = self._segment(frame, datagram) if streams_go_on else None
            elif datagram and is_signalling(datagram.src_port, datagram.dst_port, datagram.payload, self._ports):
                found = (Arrival(datagram, vantage(frame), at_ns, at_ns),)
            streams_go_on = streams_go_on and found is not None
            arrivals.append(found)
        read_ahead(
            (arrival.datagram.payload, arrival.datagram.transport == "TCP")
            for found in arrivals
            for arrival in found or ()
        )
        return arrivals

    def _segment(self, frame: CaptureRecord, segment: Packet) -> list[Arrival]:
        self._note_unread(frame.frame_number, segment)
        return self._streams.read(frame, segment)

    def read(self, frame: CaptureRecord) -> Sequence[Arrival | MediaArrival]:
        """Return the signalling or the media in a frame; count its RTP; note what could not be read."""
        datagram = self._decoder.decode(frame)
        at_ns = frame.timestamp_ns
        if isinstance(datagram, Undecoded):
            return self._undecoded(frame, datagram)
        if datagram.transport == "other":
            return ()
        if isinstance(datagram, Packet):
            if datagram.tcp is not None:
                return self._segment(frame, datagram)
            if frame.link_type == EXPORTED_PDU and datagram.transport == "TCP":
                datagram = self._streams.exported(frame, datagram)
            at_ns = at_ns if datagram.captured_ns is None else datagram.captured_ns
        if is_signalling(datagram.src_port, datagram.dst_port, datagram.payload, self._ports):
            return (Arrival(datagram, vantage(frame), at_ns, at_ns),)
        negotiated = self.media(datagram)
        if not negotiated:
            self._decoder.note_unread(frame, datagram.payload)
        return self._media_arrival(frame, datagram, at_ns, negotiated=negotiated)

    def _undecoded(self, frame: CaptureRecord, undecoded: Undecoded) -> Sequence[MediaArrival]:
        if undecoded.kind not in _LOSSES:
            if undecoded.kind == "not_ip":
                self._decoder.note_unread(frame, frame.data)
            return ()
        self._lost(frame.frame_number, undecoded)
        cut = undecoded.datagram
        if self.media(cut) and is_rtp(cut.payload):
            return self._media_arrival(frame, cut, frame.timestamp_ns, negotiated=True)
        return ()

    def media(self, datagram: Datagram) -> bool:
        """Count a datagram that is RTP between negotiated addresses; tell whether the addresses are."""
        negotiated = self.endpoints.carries(datagram)
        if negotiated and is_rtp(datagram.payload):
            self.found.rtp_packets += 1
        return negotiated

    def _media_arrival(
        self, frame: CaptureRecord, datagram: Datagram, at_ns: int, *, negotiated: bool
    ) -> Sequence[MediaArrival]:
        if self.endpoints.is_copy(datagram, vantage(frame), at_ns):
            return ()
        return (MediaArrival(datagram, at_ns, negotiated, not isinstance(datagram, Packet)),)

    def finish(self, now_ns: int) -> Iterator[Arrival]:
        """Return what still waited for lost segments; note what is incomplete at the capture's end.

        What is incomplete may go on in the next part of the recording, if there is one.
        """
        for arrival in self._streams.finish():
            yield msgspec.structs.replace(arrival, now_ns=now_ns)
        for frame_number, held_bytes in self._decoder.fragments.incomplete():
            reason = f"IP fragments are missing: {held_bytes} bytes of the datagram came"
            self.found.unreadable.append(Unreadable(frame_number, reason))
        if self._decoder.unread_sip is not None:
            first, count = self._decoder.unread_sip
            unread = "SIP in what is not read (SCTP, an unknown tunnel, a port for --sip-port)"
            self.found.unreadable.append(Unreadable(first, f"{unread}: {count} packets, this is the first; {EXPORT}"))
            self._decoder.unread_sip = None
        self.found.unreadable += self._streams.unreadable
        self._streams.unreadable.clear()
        self._unread.clear()
        self.found.unreadable.sort(key=lambda unreadable: unreadable.packet)

    def _lost(self, frame_number: int, frame: Undecoded) -> None:
        """Note a frame that cannot be read; the beginning of a message in it counts as one, as in tshark."""
        start_line, reason = self._cut_messages.start_line_in(frame), frame.reason
        if start_line is not None:
            self.found.sip_messages += 1
            self.found.cut_messages += 1
            reason = f"{reason}; not decided: {printable(start_line)}"
        self.found.unreadable.append(Unreadable(frame_number, reason))

    def _note_unread(self, frame_number: int, packet: Packet) -> None:
        """Note once for a capture that it shows SIP over a transport that is not read."""
        transport = unread_transport(packet)
        if transport is not None and transport not in self._unread:
            self._unread.add(transport)
            self.found.unreadable.append(
                Unreadable(frame_number, f"{transport} is not read; this frame is the first; {EXPORT}")
            )
