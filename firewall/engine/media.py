"""Media of the calls: pinholes opened and closed as session descriptions come and go, packets decided and counted.

``passed`` is told each message that was let through, ``received`` and ``counted`` what a capture or the kernel tells of
packets. Each returns what must be done; pinholes come before the message that announces them.
"""

from collections.abc import Sequence
from dataclasses import replace as with_changes

import msgspec

from firewall.engine.alarm import AlarmMemory, plain_alarm
from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.call_table import CallTable
from firewall.engine.decide import Decision, Rules
from firewall.engine.events import FlowsCounted, MediaReceived
from firewall.engine.ledger import Ledger
from firewall.engine.media_check import TwoWayChecks, flows_elsewhere
from firewall.engine.media_flow import FIRST_PACKETS, Ends, MediaFlow, is_flood, is_speech
from firewall.engine.media_plan import NEVER_OPENED, Planner, Way
from firewall.engine.media_record import closed_records, flow_record, refused_way_record
from firewall.engine.media_verdict import MediaVerdicts, media_facts, media_mark
from firewall.engine.negotiation import Party
from firewall.engine.outputs import Output, Write
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.pinhole_table import Cause, Hole, PinholeTable, Shut
from firewall.engine.recovery import RecoveredCall
from firewall.engine.refused_media import RefusedMedia
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import Policy
from firewall.ruleset.zones import zone_finder
from firewall.sip.media_endpoint import Formats

MAX_PINHOLES = 400_000
"""Of ordinary calls; four make a call."""
_RATE_NS = 500_000_000  # between shorter looks one burst is no rate
_RECOVERED = Decision("allow", "media_recovered")
_TAKEN_OVER = Decision("allow", "media_takeover")
_NO_FORMATS = Formats(frozenset(), (), ())
_NOBODY = Party(None, "")


class Media:
    """All media that the engine knows of.

    Until ``takeover_until_ns`` media of unknown calls is let through: an earlier run was here not long ago.
    """

    def __init__(self, policy: Policy, rules: Rules, calls: CallTable, ledger: Ledger, alarms: AlarmMemory) -> None:
        self.table = PinholeTable()
        self.takeover_until_ns = 0
        self._calls = calls
        self._ledger = ledger
        self._alarms = alarms
        self._checks = TwoWayChecks(policy, self.table, calls, ledger, alarms)
        self._set_policy(policy, rules)
        self._refused = RefusedMedia(self.table, policy)

    def adopt(self, policy: Policy, rules: Rules, now_ns: int, wall_ns: int) -> list[Output]:
        """Decide from now on as this policy says, on the flows that are open, too."""
        self._set_policy(policy, rules)
        self._refused.adopt(policy)
        outputs: list[Output] = []
        for call in self._calls.all():
            if call.media is not None:
                outputs += self._renew(call, call.media, "policy", now_ns, wall_ns)
        return self._told(outputs)

    def passed(self, call: Call, facts: Facts, now_ns: int, wall_ns: int) -> list[Output]:
        """Take note of a message that was let through: open and close what it says."""
        message = facts.message
        if message is None:
            return []
        if call.media is None:
            if not message.body or b"m=" not in message.body:
                return []
            call.media = CallMedia()
        media, datagram = call.media, facts.datagram
        source, target = Party(facts.zone_src, datagram.src_ip), Party(facts.zone_dst, datagram.dst_ip)
        changed = media.negotiation.note(message, source, target)
        cause: Cause = "renegotiated"
        for dialog, state in call.dialogs.items():
            if state == "terminated" and media.negotiation.forget(dialog):
                changed, cause = True, "bye"
        states, is_bye = call.dialogs.values(), message.cseq_method == "BYE"
        # After a restart an INVITE that is only repeated looks like one that waits: the BYE ends the call all the same.
        is_over = bool(states) and all(state == "terminated" for state in states)
        is_over = is_over and (is_bye or not call.awaits_answer())
        if is_over:
            changed, cause = changed or bool(media.held), "bye" if is_bye else "failed"
            media.is_recovered = False
            media.negotiation.offers.clear()
        elif changed and not media.negotiation.sessions and not media.negotiation.offers:
            cause = "failed"
        outputs = self._renew(call, media, cause, now_ns, wall_ns) if changed else []
        self._checks.schedule(call, media, now_ns)
        return self._told(outputs)

    def received(self, event: MediaReceived, now_ns: int, wall_ns: int) -> list[Output]:
        """Decide on a media packet, or take note of a copy."""
        datagram = event.datagram
        if datagram.transport != "UDP" or self._policy.media.mode == "off":
            return []
        self._checks.is_watched = True
        hole = self._fitting(datagram)
        if hole is None:
            if event.copied == "all" and not self._refused.is_media(datagram):
                return []
            if now_ns < self.takeover_until_ns and self._refused.is_unknown(datagram, now_ns):
                return self._told(self._take_over(datagram, now_ns, wall_ns))
            return self._refuse(event, None, now_ns, wall_ns)
        # While a daemon that was restarted learns which calls there are, what it is told of has passed.
        if event.copied == "refused" and hole.decision not in (_RECOVERED, _TAKEN_OVER):
            return self._refuse(event, hole, now_ns, wall_ns)
        flow = hole.flow(Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port))
        flow.call_id = flow.call_id or self.table.whose(hole, flow.ends)
        known = len(flow.anomalies)
        if event.copied != "all":
            hole.is_sampled = flow.is_sampled = True
        flow.take(datagram.payload, now_ns)
        outputs = self._inspect(hole, flow, datagram, now_ns, wall_ns)
        if len(flow.anomalies) != known and not outputs:
            outputs = [Write(flow_record("changed", hole, self._policy, wall_ns, datagram))]
        if hole.way.latches and hole.latched is None:
            outputs += self._latch(hole, flow.ends, now_ns, wall_ns)
        return self._told(outputs)

    @property
    def refused_packets(self) -> int:
        """How many packets were refused: as the kernel counted them, or as they were seen."""
        return self._refused.packets

    def concerns(self, datagram: Datagram) -> bool:
        """Tell whether a UDP datagram that is no signalling is media: of an open pinhole, or to be refused."""
        if self._policy.media.mode == "off":
            return False
        return self._fitting(datagram) is not None or self._refused.is_media(datagram)

    def facts(self, datagram: Datagram) -> Facts | None:
        """Return what the rules see of a packet that an open pinhole fits; None where none does."""
        hole = self._fitting(datagram)
        return media_facts(datagram, hole.way, hole.emergency) if hole is not None else None

    def flow(self, ends: Ends) -> MediaFlow | None:
        """Return a flow of which only the counts are still to be told (``MediaFlow.waiting``), None for others."""
        for hole in self.table.toward((ends.dst_ip, ends.dst_port)):
            flow = hole.flows.get((ends.src_ip, ends.src_port))
            if flow is not None and flow.is_plain:
                return flow
        return self._refused.flow(ends)

    def counted(self, event: FlowsCounted, now_ns: int, wall_ns: int) -> list[Output]:
        """Take over what the kernel counted."""
        self._checks.is_watched = True
        outputs: list[Output] = []
        for count in event.counts:
            hole = self.table.get(count.key)
            if hole is None:
                continue
            elapsed_ns, more = now_ns - hole.counted_ns, count.packets - hole.counted
            is_flood_now = hole.counted_ns and elapsed_ns >= _RATE_NS and is_flood(more, elapsed_ns)
            is_one_call = len(hole.owners) == 1 and is_speech(hole.way.formats)
            if is_flood_now and is_one_call and not hole.is_flooded:
                hole.is_flooded = True
                outputs.append(Write(flow_record("changed", hole, self._policy, wall_ns)))
            hole.is_sampled = True
            if more > 0:
                hole.last_ns = now_ns
            hole.counted, hole.counted_octets, hole.counted_ns = count.packets, count.octets, now_ns
        self._refused.total = max(self._refused.total, event.refused_packets)
        return self._told(outputs)

    def recover_calls(self, recovered: Sequence[RecoveredCall], now_ns: int) -> list[Output]:
        """Open again what an earlier run had opened for calls that are still in progress, as its log tells."""
        for each in recovered:
            call = self._calls.get(each.call_id)
            if call is not None and call.media is None:
                for pinhole, way in each.ways.values():
                    self._recover(call, pinhole, way, now_ns)
        return list(self.table.changes())

    def recovered(self, pinholes: tuple[Pinhole, ...], now_ns: int) -> list[Output]:
        """Know again the pinholes that an earlier run left in the kernel."""
        for pinhole in pinholes:
            if self.table.get(pinhole.key) is None:
                way = Way(pinhole.key, "unknown", pinhole.kind, 0, _NO_FORMATS, "sendrecv", _NOBODY, _NOBODY)
                self._recover(self._calls.get(pinhole.call_id), pinhole, way, now_ns)
        return list(self.table.changes())

    def _recover(self, call: Call | None, pinhole: Pinhole, way: Way, now_ns: int) -> None:
        timed = msgspec.structs.replace(pinhole, timeout_ns=self._policy.media.timeout_ns)
        mark = media_mark(call) if call is not None else None
        hole = self.table.get(pinhole.key) or self._open(timed, way, _RECOVERED, None, mark, now_ns)
        if call is not None:
            call.media = call.media or CallMedia(is_recovered=True)
            call.media.held[pinhole.key] = way
            hole.hold(call.call_id, way)

    def forgotten(self, call: Call, now_ns: int, wall_ns: int) -> list[Output]:
        """Close what a call holds of which nothing more is expected."""
        if call.media is None:
            return []
        outputs: list[Output] = []
        for key in list(call.media.held):
            outputs += self._release(call, call.media, key, "expired", now_ns, wall_ns, is_at_once=True)
        return self._told(outputs)

    def expire(self, now_ns: int, wall_ns: int) -> list[Output]:
        """Do what an instant brings: close pinholes, ask whether calls are heard in both directions."""
        outputs: list[Output] = list(self._checks.expire(now_ns, wall_ns))
        for hole in self.table.due(now_ns):
            outputs += self._close_due(hole, now_ns, wall_ns)
        outputs += [Write(record) for record in self._refused.ended(now_ns, wall_ns)]
        return self._told(outputs)

    def stopped(self, now_ns: int, wall_ns: int) -> list[Output]:
        """Tell the counts of what is open when the firewall stops."""
        outputs: list[Output] = []
        for hole in self.table.all():
            hole.cause = "stopped"
            outputs += [Write(record) for record in closed_records(hole, self._policy, wall_ns)]
        return outputs + [Write(record) for record in self._refused.ended(now_ns, wall_ns, everything=True)]

    def due_keys(self, now_ns: int) -> tuple[PinholeKey, ...]:
        """Return the pinholes whose counts matter to what ``expire`` will do at an instant."""
        keys = dict.fromkeys(self.table.due_keys(now_ns))
        keys.update(dict.fromkeys(self._checks.due_keys(now_ns)))
        return tuple(keys)

    def next_deadline(self) -> int | None:
        """Return the earliest instant at which ``expire`` has something to do."""
        instants = (self.table.next_deadline(), self._refused.next_deadline(), self._checks.next_deadline())
        return min((instant for instant in instants if instant is not None), default=None)

    def _told(self, outputs: list[Output]) -> list[Output]:
        """What is to be told, then what is to be opened and closed.

        Where media is left alone nothing is told, but the ways are known, in case a new policy looks at media again.
        """
        return [*(outputs if self._policy.media.mode != "off" else []), *self.table.changes()]

    def _set_policy(self, policy: Policy, rules: Rules) -> None:
        self._policy = self._checks.policy = policy
        self._verdicts = MediaVerdicts(policy, rules, self._ledger, self._alarms)
        self._planner = Planner(policy)
        self._guarding_planner = Planner(policy, is_guarding=True)
        self._zone = zone_finder(policy.zones)

    def _fitting(self, datagram: Datagram) -> Hole | None:
        """Return the pinhole that lets a packet pass; the one for its source where there is one, as in the kernel."""
        fitting: Hole | None = None
        for hole in self.table.toward((datagram.dst_ip, datagram.dst_port)):
            key = hole.pinhole.key
            if key.src_ip is not None:
                if key.takes(datagram.src_ip, datagram.src_port):
                    return hole
            elif fitting is None and key.src_zone in (None, self._zone(datagram.src_ip, datagram.in_iface)):
                fitting = hole
        return fitting

    def _renew(self, call: Call, media: CallMedia, cause: Cause, now_ns: int, wall_ns: int) -> list[Output]:
        """Bring the open pinholes of a call to what it has negotiated."""
        is_guarded = call.emergency is not None and self._policy.emergency.guard == "enforce"
        wanted = (self._guarding_planner if is_guarded else self._planner).ways(media.negotiation)
        if media.is_recovered and not media.negotiation.sessions:
            wanted = {**media.held, **wanted}
        elif media.negotiation.sessions:
            media.is_recovered = False
        if any(way.latches for way in wanted.values()):
            wanted |= {key: way for key, way in media.held.items() if way.is_latched}
        outputs: list[Output] = []
        leaving = sum(way.is_early for key, way in media.held.items() if key not in wanted)
        for key, way in wanted.items():
            outputs += self._want(call, media, key, way, now_ns, wall_ns, leaving=leaving)
        for key in [key for key in media.held if key not in wanted]:
            outputs += self._release(call, media, key, cause, now_ns, wall_ns, is_at_once=media.held[key].is_early)
        media.refused = {key: way for key, way in media.refused.items() if key in wanted}
        return outputs

    def _want(
        self, call: Call, media: CallMedia, key: PinholeKey, way: Way, now_ns: int, wall_ns: int, *, leaving: int = 0
    ) -> list[Output]:
        """Open a way or say why not; ``leaving`` pinholes are closed at the same instant."""
        mark = media_mark(call)
        decision = self._verdicts.decide(way, mark, None, wall_ns, now_ns)
        override = self._verdicts.override(decision, way, mark)
        is_news = media.refused.get(key) != way
        outputs: list[Output] = []
        if decision.verdict != "allow" and is_news:
            media.refused[key] = way
            outputs += self._verdicts.hurt(call, way, decision, override, now_ns, wall_ns)
        if way.refusal is not None and (override is None or way.refusal in NEVER_OPENED):
            self.table.remember_shut(Shut(call.call_id, way, now_ns, way.refusal))
            if is_news:
                record = refused_way_record(call.call_id, way, decision, mark, self._policy, wall_ns)
                outputs.append(Write(record, urgent=mark is not None))
            return outputs
        hole = self.table.get(key)
        if hole is None and mark is None and len(self.table) - leaving >= MAX_PINHOLES:
            return outputs + self._no_room(call, media, way, now_ns, wall_ns)
        media.held[key] = way
        pinhole = self._verdicts.pinhole(call.call_id, way, decision, override)
        if hole is None:
            hole = self._open(pinhole, way, decision, override, mark, now_ns)
            hole.hold(call.call_id, way)
            outputs.append(Write(flow_record("opened", hole, self._policy, wall_ns)))
            return outputs
        self.table.keep(hole)
        is_shared = call.call_id not in hole.owners
        hole.hold(call.call_id, way)
        hole.emergency = mark or hole.emergency
        if (hole.decision.verdict, hole.decision.rule, hole.override) != (decision.verdict, decision.rule, override):
            outputs += self._change(hole, pinhole, decision, override, wall_ns, None)
        elif hole.pinhole != pinhole:
            hole.decision = decision
            self.table.change(hole, pinhole)
        if is_shared:
            outputs.append(Write(flow_record("opened", hole, self._policy, wall_ns)))
        return outputs

    def _no_room(self, call: Call, media: CallMedia, way: Way, now_ns: int, wall_ns: int) -> list[Output]:
        """Tell of a way that finds no place any more; those of emergency calls always do."""
        outputs: list[Output] = []
        if media.refused.get(way.key) != way:
            media.refused[way.key] = way
            decision = Decision("drop", "media_table_full")
            outputs.append(Write(refused_way_record(call.call_id, way, decision, None, self._policy, wall_ns)))
        if self._alarms.first(now_ns, "media_table_full"):
            sentence = f"the table of pinholes is full ({len(self.table)}): media of new calls is not let through"
            outputs.append(Write(plain_alarm("table_full", sentence, wall_ns)))
        return outputs

    def _open(
        self,
        pinhole: Pinhole,
        way: Way,
        decision: Decision,
        override: str | None,
        mark: EmergencyMark | None,
        now_ns: int,
    ) -> Hole:
        hole = Hole(
            pinhole, way, decision, now_ns, now_ns, now_ns + pinhole.timeout_ns, emergency=mark, override=override
        )
        self.table.open(hole)
        return hole

    def _inspect(self, hole: Hole, flow: MediaFlow, datagram: Datagram, now_ns: int, wall_ns: int) -> list[Output]:
        """Let the rules look at a packet if it is one they look at; the first that one drops closes its flow."""
        flow.looked_at += 1
        wants_all = hole.pinhole.inspect == "all" and self._verdicts.are_by_packet
        flow.is_plain = flow.looked_at >= FIRST_PACKETS and not wants_all
        if not self._verdicts.are_by_packet or hole.decision.verdict != "allow":
            return []
        if flow.looked_at > FIRST_PACKETS and not wants_all and not hole.is_sampled:
            return []
        decision = self._verdicts.decide(hole.way, hole.emergency, datagram, wall_ns, now_ns)
        if decision.verdict == "allow":
            return []
        override = self._verdicts.override(decision, hole.way, hole.emergency)
        pinhole = self._verdicts.pinhole(hole.pinhole.call_id, hole.way, decision, override)
        outputs = self._change(hole, pinhole, decision, override, wall_ns, datagram)
        call = self._calls.get(hole.pinhole.call_id)
        if call is not None:
            outputs += self._verdicts.hurt(call, hole.way, decision, override, now_ns, wall_ns)
        return outputs

    def _change(
        self,
        hole: Hole,
        pinhole: Pinhole,
        decision: Decision,
        override: str | None,
        wall_ns: int,
        datagram: Datagram | None,
    ) -> list[Output]:
        hole.decision, hole.override = decision, override
        for flow in hole.flows.values():
            flow.look_again()
        if hole.pinhole != pinhole:
            self.table.change(hole, pinhole)
        return [Write(flow_record("changed", hole, self._policy, wall_ns, datagram), urgent=hole.emergency is not None)]

    def _take_over(self, datagram: Datagram, now_ns: int, wall_ns: int) -> list[Output]:
        """Open the way of media whose call began before the firewall did."""
        key = PinholeKey("UDP", None, datagram.src_ip, None, datagram.dst_ip, datagram.dst_port)
        source = Party(self._zone(datagram.src_ip, datagram.in_iface), datagram.src_ip)
        target = Party(self._zone(datagram.dst_ip, None), datagram.dst_ip)
        way = Way(key, "unknown", "rtp", 0, _NO_FORMATS, "sendrecv", source, target)
        hole = self._open(self._verdicts.pinhole("", way, _TAKEN_OVER, None), way, _TAKEN_OVER, None, None, now_ns)
        hole.flow(Ends(datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)).take(
            datagram.payload, now_ns
        )
        return [Write(flow_record("opened", hole, self._policy, wall_ns, datagram))]

    def _latch(self, hole: Hole, ends: Ends, now_ns: int, wall_ns: int) -> list[Output]:
        """Open the way back to where the packets of a party come from that named another address."""
        hole.latched = (ends.src_ip, ends.src_port)
        way = hole.way
        call = self._calls.get(hole.pinhole.call_id)
        if call is None or call.media is None:
            return []
        key = PinholeKey("UDP", None, ends.dst_ip, None, ends.src_ip, ends.src_port)
        back = with_changes(way, key=key, src=way.dst, dst=way.src, latches=False, is_latched=True)
        return self._want(call, call.media, key, back, now_ns, wall_ns)

    def _release(
        self,
        call: Call,
        media: CallMedia,
        key: PinholeKey,
        cause: Cause,
        now_ns: int,
        wall_ns: int,
        *,
        is_at_once: bool,
    ) -> list[Output]:
        media.held.pop(key, None)
        hole = self.table.get(key)
        if hole is None or not hole.let_go(call.call_id):
            return []
        if is_at_once or not self._policy.media.grace_ns:
            return self._close(hole, cause, now_ns, wall_ns)
        self.table.close_at(hole, now_ns + self._policy.media.grace_ns, cause)
        return []

    def _close(self, hole: Hole, cause: Cause, now_ns: int, wall_ns: int) -> list[Output]:
        self.table.close(hole, now_ns, cause)
        return [Write(record) for record in closed_records(hole, self._policy, wall_ns)]

    def _close_due(self, hole: Hole, now_ns: int, wall_ns: int) -> list[Output]:
        if hole.closes_at_ns is not None:
            return self._close(hole, hole.cause, now_ns, wall_ns)
        outputs: list[Output] = []
        call = self._calls.get(hole.pinhole.call_id)
        decision = Decision("drop", "media_timeout")
        override = self._verdicts.override(decision, hole.way, hole.emergency)
        is_news = not hole.is_told_idle and hole.way.protocol == "rtp"
        if call is not None and is_news and not flows_elsewhere(call, hole, self.table, now_ns):
            hole.is_told_idle = True
            outputs += self._verdicts.hurt(call, hole.way, decision, override, now_ns, wall_ns)
        if override is not None:
            self.table.wait(hole, now_ns + hole.pinhole.timeout_ns)
            return outputs
        for owner in list(hole.owners):
            owning = self._calls.get(owner)
            if owning is not None and owning.media is not None:
                owning.media.held.pop(hole.pinhole.key, None)
        return outputs + self._close(hole, "timeout", now_ns, wall_ns)

    def _refuse(self, event: MediaReceived, opened: Hole | None, now_ns: int, wall_ns: int) -> list[Output]:
        """Tell of a packet that did not pass; ``opened`` is the pinhole that was opened for its like after that."""
        is_sample = event.copied != "all"
        found = self._refused.refuse(event.datagram, opened, self._calls, now_ns, wall_ns, is_sample=is_sample)
        outputs: list[Output] = [Write(found.record)] if found.record is not None else []
        call = self._calls.get(found.call_id)
        if call is not None and call.media is not None:
            call.media.note_refused(found.reason, found.flow)
        return outputs
