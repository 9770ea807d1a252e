"""Media packets that no pinhole fits: why each is refused, told once a flow, counted exactly."""

from collections import OrderedDict
from typing import Literal

from msgspec import Struct

from firewall.engine.call_pinholes import LEARNED
from firewall.engine.call_table import CallTable
from firewall.engine.clock import Clock
from firewall.engine.decide import Decision
from firewall.engine.events import MediaReceived
from firewall.engine.media_flow import Ends, MediaFlow
from firewall.engine.media_record import CAUSES, media_line, stream_fields
from firewall.engine.media_verdict import media_mark
from firewall.engine.pinhole_table import Hole, PinholeTable, Shut
from firewall.engine.record import RtpDecision, RtpFields, StreamFields
from firewall.engine.recording import decision_fields, packet_head
from firewall.engine.timestamp import NEVER_NS, seconds_between
from firewall.engine.way import Way
from firewall.net.datagram import Datagram
from firewall.net.media_port import is_media_port
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import Policy
from firewall.ruleset.zones import zone_finder
from firewall.sip.media_endpoint import Formats

IDLE_NS = 30 * 1_000_000_000
"""A refused flow of which no packet came for this long has ended."""
MAX_FLOWS = 4_096
MAX_TAKEN_OVER = 100_000
"""With so many open pinholes no more are opened for media of unknown calls."""


class RefusedPackets(Struct, eq=False, gc=False):
    """The packets that were refused between two endpoints: why, of which call and by which way, where those are known.

    ``ordered_ns`` is the instant it is sorted by.
    """

    first: Datagram
    counts: MediaFlow
    reason: str = ""
    call_id: str | None = None
    way: Way | None = None
    shut: Shut | None = None
    ordered_ns: int = 0


class RefusedMedia:
    """The ``flows`` that are refused, the longest silent first: they are put in that order at each event (``ended``).

    ``total`` is the kernel's own count of refused packets."""

    def __init__(self, table: PinholeTable, policy: Policy, clock: Clock, *, is_logged: bool = True) -> None:
        self._is_logged = is_logged
        self.total = 0
        self._ended_packets = 0
        self._table = table
        self._clock = clock
        self.flows: OrderedDict[Ends, RefusedPackets] = OrderedDict()
        self.adopt(policy)

    @property
    def packets(self) -> int:
        """How many packets were refused: as the kernel counted them, or as they were seen."""
        return self.total or self._ended_packets + sum(flow.counts.packets for flow in self.flows.values())

    def adopt(self, policy: Policy) -> None:
        """Judge from now on as this policy says."""
        self._policy = policy
        self._zone = zone_finder(policy.zones)

    def is_media(self, datagram: Datagram) -> bool:
        """Tell whether a UDP datagram that is no signalling would be filtered as media.

        Both ports must be media's, and it must go from one zone to another, or between a zone and outside; in a policy
        without zones it always does.
        """
        if not is_media_port(datagram.src_port, datagram.dst_port, self._policy.media.other_ports):
            return False
        source, target = self._zones(datagram)
        return source != target or not self._policy.zones

    def is_unknown(self, datagram: Datagram) -> bool:
        """Tell whether a packet may be of what nobody saw: nothing is known of its destination, now or lately, and of
        its sender no more than what an earlier run knew, after which its call may have been answered, or its own offer:
        an answer looks like one where the offer came before the restart.

        An offer that was refused says nothing of a port, which may be in use since before, nor does the silence of a
        call that nobody knew.
        """
        reason, _, _, shut = self._why(datagram)
        says_nothing = shut is not None and (shut.reason == "failed" or not shut.call_id)
        if not (says_nothing or reason == "media_not_negotiated") or len(self._table.holes) >= MAX_TAKEN_OVER:
            return False
        back = self._table.toward((datagram.src_ip, datagram.src_port))
        return all(hole.decision in LEARNED or hole.way.is_early for hole in back)

    def refuse(
        self, event: MediaReceived, opened: Hole | None, calls: CallTable
    ) -> tuple[RefusedPackets, RtpDecision | None, bool]:
        """Take note of a packet that no pinhole fits, or none did before ``opened``.

        Return those of its flow, and their record where it is news that somebody reads; whether it is news at all.
        """
        datagram = event.datagram
        ends = Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)
        flow = self.flows.get(ends)
        if flow is None:
            if len(self.flows) >= MAX_FLOWS:
                _, forgotten = self.flows.popitem(last=False)
                forgotten.counts.is_plain = False
                self._ended_packets += forgotten.counts.packets
            flow = self.flows[ends] = RefusedPackets(datagram, MediaFlow(ends, Formats()))
        before = flow.reason
        why = self._why(datagram)
        if opened is not None:  # it was faster than the message that negotiated it
            why = "media_not_negotiated", opened.pinhole.call_id or None, opened.way, None
        flow.reason, flow.call_id, flow.way, flow.shut = why
        if flow.way is not None and flow.reason != before:
            flow.counts.describe(flow.way.formats)
        flow.counts.is_sampled |= event.copied != "all"  # then not every one is seen
        flow.counts.take(datagram.payload, self._clock.now_ns)
        flow.counts.is_plain = True
        flow.ordered_ns = self._clock.now_ns
        self.flows.move_to_end(ends)
        record, is_news = None, flow.reason != before
        if is_news:
            emergency = media_mark(calls.get(flow.call_id))
            if self._is_logged or emergency is not None:
                record = self._record("refused", datagram, flow, emergency)
        return flow, record, is_news

    def flow(self, ends: Ends) -> MediaFlow | None:
        """Return the counts of a refused flow."""
        flow = self.flows.get(ends)
        return flow.counts if flow is not None and flow.counts.is_plain else None

    def ended(self, *, everything: bool = False) -> list[RtpDecision]:
        """Return the records of the flows that have ended, with their counts; of all when the firewall stops."""
        records: list[RtpDecision] = []
        while self.flows:
            ends, flow = next(iter(self.flows.items()))
            last_ns = flow.counts.last_ns
            if everything or last_ns + IDLE_NS <= self._clock.now_ns:
                del self.flows[ends]
                flow.counts.is_plain = False
                self._ended_packets += flow.counts.packets
                records.append(self._record("ended", flow.first, flow, None))
            elif last_ns > flow.ordered_ns:
                flow.ordered_ns = last_ns
                self.flows.move_to_end(ends)
            else:
                break
        return records

    def next_deadline(self) -> int:
        """Return the earliest instant at which a flow may have ended."""
        if not self.flows:
            return NEVER_NS
        return next(iter(self.flows.values())).ordered_ns + IDLE_NS

    def _why(self, datagram: Datagram) -> tuple[str, str | None, Way | None, Shut | None]:
        target = (datagram.dst_ip, datagram.dst_port)
        shut = self._table.shut(target, self._clock.now_ns)
        holes = self._table.toward(target)
        if holes:
            return "media_wrong_source", holes[-1].pinhole.call_id, holes[-1].way, None
        if shut is not None:
            if shut.reason == "timeout":
                return "media_timeout", shut.call_id, shut.way, shut
            if shut.reason in CAUSES:
                return "media_closed", shut.call_id, shut.way, shut
            return shut.reason, shut.call_id, shut.way, shut
        # Who sends it is known as a party of a call: it sends to a port that nobody negotiated.
        back = self._table.toward((datagram.src_ip, datagram.src_port))
        if back:
            return "media_not_negotiated", back[-1].pinhole.call_id or None, back[-1].way, None
        return "media_not_negotiated", None, None, None

    def _record(
        self,
        state: Literal["refused", "ended"],
        datagram: Datagram,
        flow: RefusedPackets,
        emergency: EmergencyMark | None,
    ) -> RtpDecision:
        """Return the record of packets that no pinhole fitted, with their counts so far."""
        way, shut, counts = flow.way, flow.shut, flow.counts
        closed = shut if shut is not None and shut.reason in CAUSES else None
        fields = RtpFields(
            wire_text(way.kind) if way is not None else "unknown",
            way.protocol if way is not None else "rtp",
            packets=counts.packets,
            octets=counts.octets,
            streams=_streams(flow) if state == "ended" else (),
            closed=closed.reason if closed is not None else None,
            ago_s=seconds_between(closed.at_ns, counts.last_ns) if closed is not None else None,
            candidate=way is not None and way.is_spare,
        )
        override = "shadow" if self._policy.media.mode == "shadow" else None
        decision = Decision("drop", flow.reason)
        return RtpDecision(
            *packet_head(datagram, self._clock.wall_ns),
            state,
            wire_text(flow.call_id) if flow.call_id else None,
            fields,
            decision_fields(decision, override, self._policy, media_line(decision, self._policy)),
            emergency,
            *self._zones(datagram),
        )

    def _zones(self, datagram: Datagram) -> tuple[str | None, str | None]:
        return self._zone((datagram.src_ip, datagram.in_iface)), self._zone((datagram.dst_ip, None))


def _streams(flow: RefusedPackets) -> tuple[StreamFields, ...]:
    """Return the RTP sources of refused packets where all were seen.

    Where no session description tells that they are RTP, a source is one from its second packet on: RFC 3550 A.1 takes
    none for valid before, and packets of another protocol seldom have the same SSRC twice.
    """
    if flow.counts.is_sampled:
        return ()
    streams = flow.counts.streams.values()
    return tuple(stream_fields(stream) for stream in streams if flow.way is not None or stream.packets > 1)
