"""Media of the calls: pinholes opened and closed as session descriptions come and go, packets decided and counted.

``passed`` is told each message that was let through, ``received`` and ``counted`` what a capture or the kernel tells of
packets. Each returns what must be done; pinholes come before the message that announces them.
"""

from collections.abc import Callable

from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.call_pinholes import LEARNED, CallPinholes
from firewall.engine.decide import Rules
from firewall.engine.description_memory import MAX_OCTETS
from firewall.engine.events import FlowsCounted, MediaReceived
from firewall.engine.media_check import TwoWayChecks
from firewall.engine.media_flow import Ends, MediaFlow, is_flood, is_speech
from firewall.engine.media_record import closed_records, flow_record
from firewall.engine.media_verdict import media_facts
from firewall.engine.negotiation import Party
from firewall.engine.outputs import Output, Write
from firewall.engine.own_alarm import table_full
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.pinhole_table import Cause, Hole, PinholeTable
from firewall.engine.refused_media import RefusedMedia
from firewall.engine.tracking import Tracking
from firewall.engine.way import Way
from firewall.net.address import address_number
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Zone
from firewall.ruleset.zones import zone_finder, zone_fit
from firewall.sip.message import Message, Response

_RATE_NS = 500_000_000  # between shorter looks one burst is no rate


class Media:
    """All media that the engine knows of.

    ``refused`` has what does not pass. Until ``takeover_until_ns`` media of unknown calls is let through: an earlier
    run was here not long ago.
    """

    def __init__(self, tracking: Tracking, rules: Rules, *, is_logged: bool = True) -> None:
        self.table = PinholeTable()
        self.takeover_until_ns = 0
        self._policy = rules.policy
        self._tracking = tracking
        self._calls, self._clock = tracking.observer.calls, tracking.clock
        self._pinholes = CallPinholes(tracking, rules, self.table, is_logged=is_logged)
        self._checks = TwoWayChecks(tracking, self.table)
        self.refused = RefusedMedia(self.table, rules.policy, tracking.clock, is_logged=is_logged)

    def adopt(self, rules: Rules) -> list[Output]:
        """Decide from now on as these rules and their policy say, on the flows that are open, too."""
        self._policy = rules.policy
        self._pinholes.adopt(rules)
        self.refused.adopt(rules.policy)
        outputs: list[Output] = []
        moved = _mover(rules.policy.zones)
        for call in self._calls.all():
            if call.media is not None:
                call.media.negotiation.move(moved)
                outputs += self._pinholes.renew(call, call.media, "policy")
        return self._told(outputs)

    def passed(self, call: Call, facts: Facts) -> list[Output]:
        """Take note of a message that was let through: open and close what it says."""
        message, media = facts.message, call.media
        if message is None or (media is None and (not message.body or b"m=" not in message.body)):
            return []
        media = call.media = media or CallMedia()
        cause = _taken_note(call, media, message, facts)
        if call.emergency is not None and not media.is_emergency:
            media.is_emergency, cause = True, cause or "renegotiated"
        if cause is None and call.emergency is None:
            return []
        outputs = self._renewed(call, media, cause) if cause is not None else []
        if call.emergency is not None:
            self._checks.schedule(call, media)
        return self._told(outputs)

    def _renewed(self, call: Call, media: CallMedia, cause: Cause) -> list[Output]:
        """Open and close what a call asks for by now; the descriptions of all take no more room than they may."""
        outputs = self._pinholes.renew(call, media, cause)
        too_many = self._calls.descriptions.note(call)
        for other in map(self._calls.get, too_many):
            if other is not None and other.media is not None:
                other.media.forget_descriptions()
        if too_many:
            outputs += table_full("descriptions", MAX_OCTETS, self._tracking.alarms)
        return outputs

    def received(self, event: MediaReceived) -> list[Output]:
        """Decide on a media packet, or take note of a copy."""
        datagram = event.datagram
        if datagram.transport != "UDP" or self._policy.media.mode == "off":
            return []
        self.table.is_watched = True
        hole = self._pinholes.fitting(datagram)
        if hole is None:
            if event.copied == "all" and not self.refused.is_media(datagram):
                return []
            if self._clock.now_ns < self.takeover_until_ns and self.refused.is_unknown(datagram):
                return self._told(self._pinholes.take_over(datagram))
            return self._refuse(event, None)
        # While a daemon that was restarted learns which calls there are, what it is told of has passed.
        if event.copied == "refused" and hole.decision not in LEARNED:
            return self._refuse(event, hole)
        flow = hole.flow(Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port))
        if not flow.call_id:
            self.table.note_whose(hole, flow)
        known = len(flow.anomalies)
        if event.copied != "all":
            hole.is_sampled = flow.is_sampled = True
        flow.take(datagram.payload, self._clock.now_ns)
        outputs = self._pinholes.inspect(hole, flow, datagram)
        if hole.is_overdue:
            outputs += self._pinholes.resumed(hole)
        if len(flow.anomalies) != known and not outputs:
            outputs = [Write(flow_record("changed", hole, self._policy, self._clock.wall_ns, datagram))]
        if hole.way.latches:
            outputs += self._pinholes.latch(hole, flow)
        return self._told(outputs)

    def concerns(self, datagram: Datagram) -> bool:
        """Tell whether a UDP datagram that is no signalling is media: of an open pinhole, or to be refused."""
        if self._policy.media.mode == "off":
            return False
        return self._pinholes.fitting(datagram) is not None or self.refused.is_media(datagram)

    def facts(self, datagram: Datagram) -> Facts | None:
        """Return what the rules see of a packet that an open pinhole fits; None where none does."""
        hole = self._pinholes.fitting(datagram)
        return media_facts(datagram, hole.way, hole.emergency) if hole is not None else None

    def flow(self, datagram: Datagram) -> MediaFlow | None:
        """Return a packet's flow if only its counts are still to be told (``MediaFlow.waiting``), None for others."""
        hole = self._pinholes.fitting(datagram)
        if hole is None:
            return self.refused.flow(Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port))
        flow = hole.flows.get((datagram.src_ip, datagram.src_port))
        return flow if flow is not None and flow.is_plain else None

    def counted(self, event: FlowsCounted) -> list[Output]:
        """Take over what the kernel counted."""
        self.table.is_watched = True
        outputs: list[Output] = []
        for count in event.counts:
            hole = self.table.holes.get(count.key)
            if hole is None:
                continue
            elapsed_ns, more = self._clock.now_ns - hole.counted_ns, count.packets - hole.counted
            is_flood_now = hole.counted_ns and elapsed_ns >= _RATE_NS and is_flood(more, elapsed_ns)
            is_one_call = len(hole.owners) == 1 and is_speech(hole.way.formats)
            if is_flood_now and is_one_call and not hole.is_flooded:
                hole.is_flooded = True
                outputs.append(Write(flow_record("changed", hole, self._policy, self._clock.wall_ns)))
            hole.is_sampled = True
            if more > 0:
                hole.last_ns = self._clock.now_ns
                if hole.is_overdue:
                    outputs += self._pinholes.resumed(hole)
            hole.counted, hole.counted_octets, hole.counted_ns = count.packets, count.octets, self._clock.now_ns
        self.refused.total = max(self.refused.total, event.refused_packets)
        return self._told(outputs)

    def recover_flows(self, flows: tuple[tuple[Pinhole, Way], ...]) -> list[Output]:
        """Open again what an earlier run had opened for calls that are still in progress, as its log tells."""
        for pinhole, way in flows:
            call = self._calls.get(pinhole.call_id)
            if call is not None:
                self._pinholes.recover(call, pinhole, way)
        return self._told([])

    def recovered(self, pinholes: tuple[Pinhole, ...]) -> list[Output]:
        """Know again the pinholes that an earlier run left in the kernel."""
        for pinhole in pinholes:
            if self.table.holes.get(pinhole.key) is None:
                self._pinholes.recover(self._calls.get(pinhole.call_id), pinhole, None)
        return self._told([])

    def heard_ns(self, call: Call) -> int:
        """Return when media of a call last passed; 0 where none did, or nobody knows whose it was."""
        held = call.media.held if call.media is not None else ()
        instants = [0]
        for hole in self.table.open_among(held):
            if len(hole.owners) == 1 and hole.packets:
                instants.append(hole.quiet_since_ns())
            known = [flow for flow in hole.flows.values() if flow.is_call_known and flow.call_id == call.call_id]
            instants += [flow.last_ns for flow in known]
        return max(instants)

    def forgotten(self, call: Call) -> list[Output]:
        """Close what a call holds of which nothing more is expected."""
        if call.media is None:
            return []
        held = [(key, True) for key in call.media.held]
        return self._told(self._pinholes.release(call, call.media, held, "expired"))

    def expire(self) -> list[Output]:
        """Do what an instant brings: close pinholes, ask whether calls are heard in both directions."""
        outputs: list[Output] = [*self._checks.expire()]
        for hole in self.table.due(self._clock.now_ns):
            outputs += self._pinholes.close_due(hole)
        outputs += [Write(record) for record in self.refused.ended()]
        return self._told(outputs)

    def stopped(self) -> list[Output]:
        """Tell the counts of what is open when the firewall stops."""
        outputs: list[Output] = []
        for hole in self.table.holes.values():
            hole.cause = "stopped"
            outputs += [Write(record) for record in closed_records(hole, self._policy, self._clock.wall_ns)]
        return outputs + [Write(record) for record in self.refused.ended(everything=True)]

    def due_keys(self, now_ns: int) -> tuple[PinholeKey, ...]:
        """Return the pinholes whose counts matter to what ``expire`` will do at an instant."""
        keys = dict.fromkeys(self.table.due_keys(now_ns))
        keys.update(dict.fromkeys(self._checks.due_keys(now_ns)))
        return tuple(keys)

    def next_deadline(self) -> int:
        """Return the earliest instant at which ``expire`` has something to do."""
        due_ns, check_ns = self.table.deadlines.due_ns, self._checks.deadlines.due_ns
        due_ns = due_ns if due_ns < check_ns else check_ns  # asked with each message: min() takes longer
        return min(due_ns, self.refused.next_deadline()) if self.refused.flows else due_ns

    def _told(self, outputs: list[Output]) -> list[Output]:
        """What is to be told, then what is to be opened and closed.

        Where media is left alone nothing is told, but the ways are known, in case a new policy looks at media again.
        """
        changed = self.table.changes()
        if self._policy.media.mode == "off":
            outputs = []
        if changed is not None:
            outputs.append(changed)
        return outputs

    def _refuse(self, event: MediaReceived, opened: Hole | None) -> list[Output]:
        """Tell of a packet that did not pass; ``opened`` is the pinhole that was opened for its like after that."""
        refused, record, is_news = self.refused.refuse(event, opened, self._calls)
        outputs: list[Output] = [Write(record)] if record is not None else []
        call = self._calls.get(refused.call_id)
        if call is not None and call.media is not None:
            call.media.note_refused(refused.reason, refused.counts)
            self._checks.doubt(call, call.media)
            if refused.reason == "media_timeout" and is_news and refused.way is not None:
                outputs += self._pinholes.missed(call, refused.way)
        return outputs


def _taken_note(call: Call, media: CallMedia, message: Message, facts: Facts) -> Cause | None:
    """Take note of what a message agrees on or ends; return why pinholes are to change, None where none does."""
    negotiation, datagram = media.negotiation, facts.datagram
    changed = False
    cause: Cause = "renegotiated"
    may_agree = message.body or (negotiation.offers and isinstance(message, Response) and message.status_code >= 200)
    if may_agree and not call.comes_late(message):
        source, target = Party(facts.zone_src, datagram.src_ip), Party(facts.zone_dst, datagram.dst_ip)
        is_strange = not call.has_tag_of(message)
        changed = negotiation.note(message, source, target, call.dialog_of(message), is_strange=is_strange)
    if len(negotiation.sessions) > 1 or negotiation.ringing or negotiation.early is not None:
        changed |= negotiation.note_ringing(call.dialogs)
    if "terminated" in call.dialogs.values():
        for dialog, state in call.dialogs.items():
            if state == "terminated" and negotiation.forget(dialog):
                changed, cause = True, "bye"
        if _is_over(call, message):
            media.forget_descriptions()
            media.is_recovered = False  # nor is anything of an earlier run kept
            cause = "bye" if message.cseq_method == "BYE" else "failed"
            return cause if changed or media.held else None
    if changed and not negotiation.sessions and not negotiation.offers:
        cause = "failed"
    return cause if changed else None


def _mover(zones: tuple[Zone, ...]) -> Callable[[Party], Party]:
    """Return what tells where a party is by these zones: where it was, if that zone takes it still, or where its
    address is; by which interface it was met is not known any more."""
    by_name, find = {zone.name: zone for zone in zones}, zone_finder(zones)

    def moved(party: Party) -> Party:
        zone = by_name.get(party.zone or "")
        if zone is not None and zone_fit(zone, address_number(party.ip)) == "inside":
            return party
        return Party(find((party.ip, None)), party.ip)

    return moved


def _is_over(call: Call, message: Message) -> bool:
    """Tell whether a call of which a dialog has ended has no other, and none is to come."""
    if call.is_over:
        return True
    # After a restart an INVITE that is only repeated looks like one that waits: the BYE ends the call all the same.
    return message.cseq_method == "BYE" and set(call.dialogs.values()) == {"terminated"}
