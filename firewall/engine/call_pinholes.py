"""The pinholes of the calls: opened, shared, changed and closed as session descriptions and packets ask for it."""

from collections.abc import Iterator

from msgspec.structs import replace

from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.decide import Decision, Rules
from firewall.engine.latching import expected_as, is_reached, may_latch, room_for_another, way_back
from firewall.engine.media_flow import FIRST_PACKETS, Ends, MediaFlow
from firewall.engine.media_plan import Planner
from firewall.engine.media_record import closed_records, flow_record, refused_way_record
from firewall.engine.media_verdict import MediaVerdicts, media_mark
from firewall.engine.negotiation import Party
from firewall.engine.outputs import Output, Write
from firewall.engine.own_alarm import table_full
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.pinhole_table import Cause, Hole, PinholeTable, Shut
from firewall.engine.tracking import Tracking
from firewall.engine.way import NEVER_OPENED, Way
from firewall.net.datagram import Datagram
from firewall.ruleset.zones import zone_finder
from firewall.sip.media_endpoint import Formats

MAX_PINHOLES = 400_000
"""Of ordinary calls; four make a call."""
_RECOVERED = Decision("allow", "media_recovered")
_TAKEN_OVER = Decision("allow", "media_takeover")
_TIMED_OUT = Decision("drop", "media_timeout")
LEARNED = (_RECOVERED, _TAKEN_OVER)
"""Decisions on what was already there when the firewall began."""
_NOBODY = Party(None, "")


class CallPinholes:
    """Keeps ``table`` as the calls' media and the policy want it; each method returns what is to be told of it."""

    def __init__(self, tracking: Tracking, rules: Rules, table: PinholeTable, *, is_logged: bool = True) -> None:
        self.table = table
        self._tracking = tracking
        self._calls, self._clock = tracking.observer.calls, tracking.clock
        self._is_logged = is_logged
        self.adopt(rules)

    def adopt(self, rules: Rules) -> None:
        """Decide from now on as these rules and their policy say."""
        self._policy = policy = rules.policy
        self._verdicts = MediaVerdicts(rules, self._tracking)
        self._planner = Planner(policy)
        self._guarding_planner = Planner(policy, is_guarding=True)
        self._zone = zone_finder(policy.zones)

    def fitting(self, datagram: Datagram) -> Hole | None:
        """Return the pinhole that lets a packet pass: as in the kernel the one for its address, then for its port, too,
        then for its zone."""
        fitting: Hole | None = None
        for hole in self.table.toward((datagram.dst_ip, datagram.dst_port)):
            key = hole.pinhole.key
            if key.src_ip is None:
                if fitting is None and key.src_zone in (None, self._zone((datagram.src_ip, datagram.in_iface))):
                    fitting = hole
            elif key.takes(datagram.src_ip, datagram.src_port):
                if key.src_port is None:
                    return hole
                fitting = hole
        return fitting

    def renew(self, call: Call, media: CallMedia, cause: Cause) -> list[Output]:
        """Bring the open pinholes of a call to what it has negotiated."""
        is_guarded = call.emergency is not None and self._policy.emergency.guard == "enforce"
        wanted = (self._guarding_planner if is_guarded else self._planner).ways(media.negotiation)
        if media.is_recovered and not media.negotiation.sessions:
            wanted = {**media.held, **wanted}
        elif media.negotiation.sessions:
            media.is_recovered = False
        if latching := [way for way in wanted.values() if way.latches]:
            wanted |= {key: expected_as(way, latching) for key, way in media.held.items() if way.is_latched}
        outputs: list[Output] = []
        leaving = [
            (key, way.is_early)
            for key, way in media.held.items()
            if key not in wanted or wanted[key].refusal == "media_too_many_ways"
        ]
        early_leaving = sum([is_early for _, is_early in leaving]) if leaving else 0
        for way in wanted.values():
            outputs += self._want(call, media, way, early_leaving)
        outputs += self.release(call, media, leaving, cause)
        if media.refused:
            media.refused = {key: way for key, way in media.refused.items() if key in wanted}
        return outputs

    def inspect(self, hole: Hole, flow: MediaFlow, datagram: Datagram) -> list[Output]:
        """Let the rules look at a packet if it is one they look at; the first that one drops closes its flow."""
        flow.looked_at += 1
        wants_all = hole.pinhole.inspect == "all" and self._verdicts.are_by_packet
        # What is odd about the first packets is told at once. Where neither a rule nor a log asks, the first will do.
        asked = FIRST_PACKETS if self._verdicts.are_by_packet or self._is_logged else 1
        flow.is_plain = flow.looked_at >= asked and not wants_all
        if not self._verdicts.are_by_packet or hole.decision.verdict != "allow":
            return []
        if flow.looked_at > FIRST_PACKETS and not wants_all and not hole.is_sampled:
            return []
        decision = self._verdicts.decide(hole.way, hole.emergency, datagram)
        if decision.verdict == "allow":
            return []
        override = self._verdicts.override(decision, hole.way, hole.emergency)
        emergencies = list(self._emergencies(hole))
        if emergencies and flow.is_call_known and flow.call_id not in [each.call_id for each in emergencies]:
            return []  # the pinhole is an emergency call's, too, whose packets this one tells nothing of
        pinhole = self._verdicts.pinhole(hole.pinhole.call_id, hole.way, decision, override, hole.emergency)
        outputs = self.change(hole, pinhole, decision, override, datagram)
        for call in emergencies:
            outputs += self._verdicts.hurt(call, hole.owners[call.call_id], decision, override)
        return outputs

    def latch(self, hole: Hole, flow: MediaFlow) -> list[Output]:
        """Open the way back to where the packets of a party come from that named another address, or another port.

        Its NAT may give it another port later, as after a silence on hold.
        """
        call, ends = self._calls.get(flow.call_id) or self._calls.get(hole.pinhole.call_id), flow.ends
        way = hole.owners.get(call.call_id) if call is not None else None
        if call is None or call.media is None or way is None or not may_latch(way, hole, ends, self._policy):
            return []
        if is_reached(call, ends, self.table, self._clock.now_ns):
            return []
        left = room_for_another(call.media, self.table, self._clock.now_ns)
        if left is None:
            return []
        leaving = [(key, True) for key in left]
        outputs = self.release(call, call.media, leaving, "renegotiated")
        return outputs + self._want(call, call.media, way_back(way, ends))

    def take_over(self, datagram: Datagram) -> list[Output]:
        """Open the way of media whose call began before the firewall did."""
        key = PinholeKey("UDP", None, datagram.src_ip, None, datagram.dst_ip, datagram.dst_port)
        source = Party(self._zone((datagram.src_ip, datagram.in_iface)), datagram.src_ip)
        target = Party(self._zone((datagram.dst_ip, None)), datagram.dst_ip)
        way = Way(key, "unknown", "rtp", 0, Formats(), "sendrecv", source, target)
        back = self.table.toward((datagram.src_ip, datagram.src_port))
        call = self._calls.get(back[-1].pinhole.call_id) if back else None
        call_id = call.call_id if call is not None else ""
        pinhole = self._verdicts.pinhole(call_id, way, _TAKEN_OVER, None, media_mark(call))
        hole = self._learn(call, pinhole, way, _TAKEN_OVER)
        hole.flow(Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)).take(
            datagram.payload, self._clock.now_ns
        )
        return [Write(flow_record("opened", hole, self._policy, self._clock.wall_ns, datagram))]

    def recover(self, call: Call | None, pinhole: Pinhole, way: Way | None) -> None:
        """Know again what an earlier run had opened; of what only the kernel tells, the ``way`` is not known."""
        way = way or Way(pinhole.key, "unknown", pinhole.kind, 0, Formats(), "sendrecv", _NOBODY, _NOBODY)
        is_emergency = media_mark(call) is not None
        timed = replace(pinhole, timeout_ns=self._policy.media.timeout_ns, is_emergency=is_emergency)
        self._learn(call, timed, way, _RECOVERED)

    def _learn(self, call: Call | None, pinhole: Pinhole, way: Way, decision: Decision) -> Hole:
        hole = self.table.holes.get(pinhole.key)
        if hole is None:
            due_ns = self._clock.now_ns + pinhole.timeout_ns
            hole = Hole(pinhole, way, decision, self._clock.now_ns, due_ns, emergency=media_mark(call))
            self.table.open(hole)
        if call is not None:
            call.media = call.media or CallMedia(is_recovered=True, is_emergency=call.emergency is not None)
            call.media.held[pinhole.key] = way
            hole.hold(call.call_id, way)
        return hole

    def change(
        self, hole: Hole, pinhole: Pinhole, decision: Decision, override: str | None, datagram: Datagram | None
    ) -> list[Output]:
        """Have another decision hold for a pinhole."""
        hole.decision, hole.override = decision, override
        for flow in hole.flows.values():
            flow.look_again()
        if hole.pinhole != pinhole:
            self.table.change(hole, pinhole)
        record = flow_record("changed", hole, self._policy, self._clock.wall_ns, datagram)
        return [Write(record, urgent=hole.emergency is not None)]

    def release(
        self, call: Call, media: CallMedia, leaving: list[tuple[PinholeKey, bool]], cause: Cause
    ) -> list[Output]:
        """Close pinholes that no other call holds: after the grace time, or at once where that is said of one."""
        outputs: list[Output] = []
        grace_ns, call_id = self._policy.media.grace_ns, call.call_id
        for key, is_at_once in leaving:
            media.held.pop(key, None)
            hole = self.table.holes.get(key)
            if hole is None:
                continue
            if not hole.let_go(call_id):
                if call.emergency is not None and hole.owners:
                    hole.emergency = media_mark(next(self._emergencies(hole), None))
                continue
            if is_at_once or not grace_ns:
                outputs += self._close(hole, cause)
            else:
                self.table.close_at(hole, self._clock.now_ns + grace_ns, cause)
        return outputs

    def close_due(self, hole: Hole) -> list[Output]:
        """Close a pinhole whose time has come. A silence loses nothing, until something comes (``missed``)."""
        if hole.closes_at_ns is not None:
            return self._close(hole, hole.cause)
        if self._verdicts.override(_TIMED_OUT, hole.way, hole.emergency) is not None:
            hole.is_overdue = True
            for flow in hole.flows.values():
                flow.look_again()
            self.table.schedule(hole, self._clock.now_ns + hole.pinhole.timeout_ns)
            return []
        for owner in list(hole.owners):
            owning = self._calls.get(owner)
            if owning is not None and owning.media is not None:
                owning.media.held.pop(hole.pinhole.key, None)
        return self._close(hole, "timeout")

    def missed(self, call: Call, way: Way) -> list[Output]:
        """Tell that a packet came after a silence longer than the time-out: what is said now is lost, or would be."""
        override = self._verdicts.override(_TIMED_OUT, way, media_mark(call))
        return self._verdicts.hurt(call, way, _TIMED_OUT, override)

    def resumed(self, hole: Hole) -> list[Output]:
        """Take note that packets come by a pinhole again that was kept open beyond its time-out."""
        hole.is_overdue = False
        outputs: list[Output] = []
        for call in self._emergencies(hole):
            outputs += self.missed(call, hole.owners[call.call_id])
        return outputs

    def _want(self, call: Call, media: CallMedia, way: Way, leaving: int = 0) -> list[Output]:
        """Open a way or say why not; ``leaving`` pinholes are closed at the same instant."""
        outputs: list[Output] = []
        mark, hole = media_mark(call), self.table.holes.get(way.key)
        if hole is None and mark is None and way.refusal is None and len(self.table.holes) - leaving >= MAX_PINHOLES:
            way = replace(way, refusal="media_table_full")
            outputs += table_full("pinholes", len(self.table.holes), self._tracking.alarms)
        decision, shared_mark = self._verdicts.decide(way, mark, None), mark
        if decision.verdict != "allow" and way.refusal is None and hole is not None:
            decision = self._kept_open(hole, call) or decision
            shared_mark = mark or hole.emergency
        override: str | None = None
        if decision.verdict == "allow":
            media.refused.pop(way.key, None)
        else:
            override = self._verdicts.override(decision, way, shared_mark)
            outputs += self._blocked(call, media, way, decision, override)
            if _is_shut(way, override):
                return outputs
        media.held[way.key] = way
        if hole is not None:
            return outputs + self._share(hole, call, way, decision, override)
        pinhole = self._verdicts.pinhole(call.call_id, way, decision, override, mark)
        due_ns = self._clock.now_ns + pinhole.timeout_ns
        hole = Hole(pinhole, way, decision, self._clock.now_ns, due_ns, {call.call_id: way}, mark, override)
        self.table.open(hole)
        if self._is_logged or mark is not None:
            outputs.append(Write(flow_record("opened", hole, self._policy, self._clock.wall_ns)))
        return outputs

    def _blocked(
        self, call: Call, media: CallMedia, way: Way, decision: Decision, override: str | None
    ) -> list[Output]:
        """Tell that a way is blocked, or would be, where that is news."""
        if (is_shut := _is_shut(way, override)) and way.refusal is not None:
            self.table.remember_shut(Shut(call.call_id, way, self._clock.now_ns, way.refusal))
        hole = self.table.holes.get(way.key)
        is_saved_no_more = hole is not None and hole.override is not None and override is None
        if media.refused.get(way.key) == way and not is_saved_no_more:
            return []
        media.refused[way.key] = way
        outputs = self._verdicts.hurt(call, way, decision, override)
        if is_shut:
            record = refused_way_record(
                call.call_id, way, decision, media_mark(call), self._policy, self._clock.wall_ns
            )
            outputs.append(Write(record, urgent=call.emergency is not None))
        return outputs

    def _share(self, hole: Hole, call: Call, way: Way, decision: Decision, override: str | None) -> list[Output]:
        """Let a call hold a pinhole that is open: for another call, or for what itself negotiated before."""
        outputs: list[Output] = []
        hole.closes_at_ns, hole.is_overdue = None, False  # what is negotiated now would have opened it anew
        is_shared = call.call_id not in hole.owners
        hole.hold(call.call_id, way)
        hole.emergency = media_mark(call) or hole.emergency
        pinhole = self._verdicts.pinhole(call.call_id, way, decision, override, hole.emergency)
        if (hole.decision.verdict, hole.decision.rule, hole.override) != (decision.verdict, decision.rule, override):
            outputs += self.change(hole, pinhole, decision, override, None)
        elif hole.pinhole != pinhole:
            hole.decision = decision
            self.table.change(hole, pinhole)
        if is_shared and (self._is_logged or hole.emergency is not None):
            outputs.append(Write(flow_record("opened", hole, self._policy, self._clock.wall_ns)))
        return outputs

    def _kept_open(self, hole: Hole, but: Call) -> Decision | None:
        """Return what lets an emergency call, but not this one, have a pinhole that calls share; None for nothing.

        Where a gateway has one port for all its calls, what another call negotiates must not silence it.
        """
        for other in self._emergencies(hole):
            if other is not but:
                way = hole.owners[other.call_id]
                decision = self._verdicts.decide(way, media_mark(other), None)
                if decision.verdict == "allow":
                    return decision
        return None

    def _emergencies(self, hole: Hole) -> Iterator[Call]:
        """Give the emergency calls that hold a pinhole; most are held by calls of which none is."""
        if hole.emergency is not None:
            for call_id in hole.owners:
                call = self._calls.get(call_id)
                if call is not None and call.emergency is not None:
                    yield call

    def _close(self, hole: Hole, cause: Cause) -> list[Output]:
        self.table.close(hole, self._clock.now_ns, cause)
        if not self._is_logged and hole.emergency is None and not hole.packets:
            return []
        return [Write(record) for record in closed_records(hole, self._policy, self._clock.wall_ns)]


def _is_shut(way: Way, override: str | None) -> bool:
    """Tell whether a way is not even open for its packets to be dropped by a rule."""
    return way.refusal is not None and (override is None or way.refusal in NEVER_OPENED)
