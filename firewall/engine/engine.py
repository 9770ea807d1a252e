"""The engine: every message's way from bytes to a recorded decision (DESIGN section 3).

Sans-IO: ``handle(event, now_ns)`` takes one event and returns all that must be done, in order. It is told the time.
Live, replay and tests drive this same class.
"""

from hashlib import blake2b
from typing import Literal

from firewall.engine.alarm import connection_alarm, forward_alarm
from firewall.engine.clock import Clock
from firewall.engine.decide import Decision, Rules
from firewall.engine.events import (
    ConnectionRefused,
    DatagramReceived,
    DeadlineReached,
    Event,
    FlowsCounted,
    FlowsRecovered,
    ForwardFailed,
    InterceptionLost,
    LogFailed,
    LogRecovered,
    MachineEvent,
    MediaReceived,
    PinholesRecovered,
    PolicyRefused,
    PolicyReplaced,
    Recalled,
    Started,
    Stopped,
)
from firewall.engine.glance import glance
from firewall.engine.media import Media
from firewall.engine.media_flow import MediaFlow
from firewall.engine.observe import TAKEOVER_NS
from firewall.engine.outputs import Forward, Output, Reply, Write, WriteDecision
from firewall.engine.own_alarm import defect_told, machine_told, table_full
from firewall.engine.pinhole import PinholeKey
from firewall.engine.record import PolicyChange, PolicyFields, Stats, StatsFields
from firewall.engine.related import MAX_EXPECTED
from firewall.engine.status import CallStatus, call_status
from firewall.engine.timestamp import NEVER_NS, timestamp
from firewall.engine.tracking import Tracking
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import recognise_bytes
from firewall.ruleset.facts import Facts
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request
from firewall.sip.response import build_response, response_target
from firewall.sip.unreadable import call_id_in

_IN_THE_PAST = "in going through the log of an earlier run, of whose calls some may not be known"


class Engine:
    """The firewall's decisions and all the state behind them.

    ``strict`` (tests, lint) lets a defect of ours raise; without it the defect becomes a decision with reason
    ``internal_error`` and an alarm, because one message must not stop the calls of others. ``is_logged``: every record
    is going to be read; without it those of messages are made only when they are asked for, and media flows of ordinary
    calls are not told of where no packet came, nor refused ones before they have ended.
    """

    def __init__(self, policy: Policy, *, strict: bool = True, is_logged: bool = True) -> None:
        self.policy = policy
        self._strict = strict
        self._is_logged = is_logged
        self._clock = Clock()
        self._tracking = Tracking(policy, self._clock)
        self._observer, self._ledger = self._tracking.observer, self._tracking.ledger
        self._alarms = self._tracking.alarms
        self._glance = glance(policy.emergency)
        self._rules = Rules(policy)
        self._media = Media(self._tracking, self._rules, is_logged=is_logged)
        self._due_ns = NEVER_NS
        self._past_defect: Exception | None = None
        self._counts = {"allow": 0, "drop": 0, "reject": 0}

    def handle(self, event: Event, now_ns: int) -> list[Output]:
        """Take one event at an instant (ns since the epoch); return everything to be done, in order."""
        self._clock.tell(now_ns)
        outputs: list[Output] = []
        try:
            if not isinstance(event, DatagramReceived):  # as nearly all events are
                if isinstance(event, FlowsCounted):
                    outputs += self._media.counted(event)  # first: what is due may ask for these very counts
                elif isinstance(event, Started | Recalled):
                    self._tracking.resume(event)  # first: what is due may have come while no daemon ran
            if self._clock.now_ns >= self._due_ns or self._media.refused.flows:
                outputs += self._expire()
        except Exception as defect:  # in what is about others than this event, which is taken all the same
            if self._strict or isinstance(event, DeadlineReached):
                raise
            outputs += self._defect_told(event, defect, "in what was due")
        try:
            if isinstance(event, DatagramReceived):
                outputs += self._received(event.datagram)
            else:
                outputs += self._told_of(event)
        except Exception as defect:  # a defect of ours must not stop other calls
            if self._strict or not isinstance(event, DatagramReceived | MediaReceived | Recalled):
                raise
            outputs += self._internal_error(event, defect)
        calls_ns, media_ns = self._observer.calls.deadlines.due_ns, self._media.next_deadline()
        self._due_ns = calls_ns if calls_ns < media_ns else media_ns
        return outputs

    def _told_of(self, event: Event) -> list[Output]:
        """Take whatever else the world may tell."""
        outputs: list[Output] = []
        match event:
            case DatagramReceived() | DeadlineReached() | FlowsCounted():
                pass
            case MediaReceived():
                outputs += self._media.received(event)
            case PinholesRecovered(pinholes):
                outputs += self._media.recovered(pinholes)
            case Started(takeover):
                if takeover:
                    self._expect_unknown_calls()
                outputs.append(self._policy_write("loaded", takeover=takeover))
                if self._past_defect is not None:
                    outputs += defect_told(self._past_defect, _IN_THE_PAST, self._alarms)
                outputs += self._tracking.untold
            case Recalled():
                self._tracking.go_through(event)
            case FlowsRecovered(flows):
                outputs += self._media.recover_flows(flows)
            case PolicyReplaced(policy):
                outputs += self._adopt(policy)
            case PolicyRefused(error, place):
                fields = PolicyFields("refused", None, place.file if place else None, None, None, error)
                outputs.append(Write(PolicyChange(timestamp(self._clock.wall_ns), fields)))
            case ForwardFailed(datagram, error, downstream):
                outputs += self._forward_failed(datagram, error, downstream=downstream)
            case ConnectionRefused(said, limit):
                outputs += self._connection_refused(said, limit)
            case Stopped():
                outputs += self._ledger.stopped(self._observer.calls.all())
                outputs += self._media.stopped()
                outputs.append(Write(Stats(timestamp(self._clock.wall_ns), self.stats())))
            case _:
                self._take_note(event)
                outputs += machine_told(event, self._alarms)
        return outputs

    def next_deadline(self) -> int | None:
        """Return the instant at which ``DeadlineReached`` is due (ns since the epoch), None when nothing waits."""
        return self._due_ns - self._clock.offset_ns if self._due_ns < NEVER_NS else None

    def media_due(self, now_ns: int) -> tuple[PinholeKey, ...]:
        """Return the pinholes whose counts matter to what an event at this instant will do (``FlowsCounted``)."""
        return self._media.due_keys(self._clock.at(now_ns))

    def facts(self, datagram: Datagram, now_ns: int) -> Facts:
        """Return what the rules would see of a datagram; nothing is remembered of it."""
        return self._observer.read(datagram, self._clock.at(now_ns)).facts

    def clock_was_set(self, by_ns: int) -> None:
        """Take the times of events from now on as later by so much than they would be: nothing grows older by it."""
        self._clock.offset_ns -= by_ns

    def may_be_emergency(self, datagram: Datagram) -> bool:
        """Tell at a glance whether a datagram may be of an emergency call, new or known; nothing is remembered."""
        call = self._observer.calls.get(call_id_in(datagram.payload))
        return (call is not None and call.emergency is not None) or self._glance(datagram.payload)

    def media_facts(self, datagram: Datagram) -> Facts | None:
        """Return what the rules would see of a media packet of an open pinhole; None for any other."""
        return self._media.facts(datagram)

    def concerns(self, datagram: Datagram) -> bool:
        """Tell whether a UDP datagram that is no signalling is media to the policy, to be let pass or refused."""
        return self._media.concerns(datagram)

    def media_flow(self, datagram: Datagram) -> MediaFlow | None:
        """Return the media flow of a packet if only its counts are still to be told, None where packets are decided.

        A capture's packets of such a flow may be appended to ``MediaFlow.waiting`` in place of ``handle``, as long as
        it ``is_plain`` and no deadline has come.
        """
        return self._media.flow(datagram)

    def calls(self) -> list[CallStatus]:
        """Return the calls in progress, oldest first."""
        return [call_status(call) for call in self._observer.calls.all() if not call.is_over]

    def stats(self) -> StatsFields:
        """Return the counts since the start."""
        return StatsFields(
            messages=sum(self._counts.values()),
            allowed=self._counts["allow"],
            dropped=self._counts["drop"],
            rejected=self._counts["reject"],
            emergency_calls=self._ledger.attempts,
            emergency_calls_hurt=self._ledger.hurt,
            calls_tracked=len(self._observer.calls),
            bans=len(self._rules.bans.banned),
            pinholes=len(self._media.table.holes),
            media_refused=self._media.refused.packets,
        )

    def _received(self, datagram: Datagram) -> list[Output]:
        clock = self._clock
        reading = self._observer.read(datagram, clock.now_ns)
        received_ns = clock.wall_ns + clock.offset_ns  # what else was told meanwhile may be of a little later
        decision, facts = self._rules.decide(reading, clock.wall_ns, received_ns), reading.facts
        self._counts[decision.verdict] += 1
        is_block = facts.emergency is not None and decision.is_block
        # The head of a message that is too large comes alone: it would take what follows in its stream for its body.
        is_guarded = is_block and self.policy.emergency.guard == "enforce" and facts.malformed != "message_too_large"
        override = "guard" if is_guarded else None
        write = self._decided(facts, decision, override, repeated=reading.place.is_repeated)
        outputs: list[Output] = [write]
        call = self._tracking.follow(reading, write, outputs)
        if facts.emergency is not None:
            outputs += self._made_room()
        if not write.passes:
            return outputs + self._reject(facts, decision) if decision.verdict == "reject" else outputs
        if call is not None:
            outputs += self._media.passed(call, facts)
        elif reading.is_untracked:
            outputs += table_full("calls", len(self._observer.calls), self._alarms)
        outputs.append(Forward(facts.datagram))
        return outputs

    def _decided(
        self, facts: Facts, decision: Decision, override: str | None, *, repeated: bool = False
    ) -> WriteDecision:
        write = WriteDecision(facts, decision, self.policy, override, self._clock.wall_ns, repeated=repeated)
        if self._is_logged or (facts.emergency is not None and decision.verdict != "allow"):
            _ = write.record  # a defect in making it must be found here, where it is guarded against
        return write

    def _made_room(self) -> list[Output]:
        """Tell of emergency calls and callers that made room for newer ones, and close what the calls held."""
        outputs: list[Output] = []
        table, related = self._observer.calls, self._observer.related
        if table.crowded_out:
            calls, table.crowded_out = table.crowded_out, []
            outputs += self._ledger.stopped(calls)
            for call in calls:
                outputs += self._media.forgotten(call)
            outputs += table_full("emergency_calls", len(table), self._alarms)
        if related.has_forgotten:
            related.has_forgotten = False
            outputs += table_full("callers", MAX_EXPECTED, self._alarms)
        return outputs

    def _reject(self, facts: Facts, decision: Decision) -> list[Output]:
        request, datagram, rule = facts.message, facts.datagram, decision.rule
        if not isinstance(request, Request) or rule is None:
            return []
        # RFC 3261 §8.2.7: a stateless answer has the same To tag for every retransmission.
        to_tag = blake2b(
            text_bytes(f"{request.call_id} {request.from_tag} {request.cseq_number}"),
            digest_size=8,
        ).hexdigest()
        dst_ip, dst_port = response_target(request, datagram.src_ip, datagram.src_port)
        payload = build_response(request, rule.status, to_tag, datagram.src_ip, datagram.src_port)
        return [Reply(Datagram(datagram.dst_ip, datagram.dst_port, dst_ip, dst_port, payload, datagram.transport))]

    def _take_note(self, event: MachineEvent) -> None:
        """Have what befalls the machine matter to the decisions that follow."""
        match event:
            case LogFailed() | LogRecovered():
                self._observer.log_failing = isinstance(event, LogFailed)
            case InterceptionLost(effect="unseen"):
                self._expect_unknown_calls()
            case _:
                pass

    def _expect_unknown_calls(self) -> None:
        """Calls may have begun unseen: for a while what may be of them is let follow."""
        self._observer.takeover_until_ns = self._media.takeover_until_ns = self._clock.now_ns + TAKEOVER_NS

    def _forward_failed(self, datagram: Datagram, error: str, *, downstream: bool) -> list[Output]:
        """An allowed message that the machine would not send is lost all the same: say so."""
        reading = self._observer.read(datagram, self._clock.now_ns)
        facts, call = reading.facts, reading.call
        mark = facts.emergency
        subject = datagram.dst_ip if mark is None or call is None else call.call_id
        outputs: list[Output] = []
        if self._alarms.first("forward_failed", subject, error):
            outputs.append(Write(forward_alarm(facts, error, self._clock.wall_ns), urgent=mark is not None))
        if mark is not None and call is not None:
            outputs += self._ledger.lost(call, facts, self.policy, downstream=downstream)
        return outputs

    def _connection_refused(self, said: Datagram, limit: str) -> list[Output]:
        """A connection that a limit of our own refused: nobody decided on what it would have carried, so say it."""
        facts = self._observer.read(said, self._clock.now_ns).facts
        outputs: list[Output] = []
        call_id = (facts.message.call_id if facts.message is not None else None) or ""
        subject = (said.src_ip, limit) if facts.emergency is None else (said.src_ip, limit, call_id)
        if self._alarms.first("connection_refused", *subject):
            outputs.append(Write(connection_alarm(facts, limit, self.policy, self._clock.wall_ns), urgent=True))
            if facts.emergency is not None:
                decision = Decision("drop", "connection_limit")
                outputs += self._ledger.blocked_unnamed(facts, decision, self.policy)
        return outputs

    def _internal_error(self, event: DatagramReceived | MediaReceived | Recalled, defect: Exception) -> list[Output]:
        """Say what is wrong with sosgate, and let the exception policy decide on a message that it failed on.

        What the kernel lets pass of media does not depend on it, and it is better to start with less than not to start.
        """
        if isinstance(event, Recalled):
            return self._defect_told(event, defect, _IN_THE_PAST)
        datagram = event.datagram
        told = self._defect_told(event, defect, f"on a message from {datagram.src_ip}")
        if isinstance(event, MediaReceived):
            return told
        mark = recognise_bytes(datagram.payload, self.policy.emergency)
        verdict = self.policy.exceptions.internal_error if mark is None else "allow"
        self._counts[verdict] += 1
        decided = self._decided(Facts(datagram, emergency=mark), Decision(verdict, "internal_error"), None)
        return [decided, *told, *([Forward(datagram)] if verdict == "allow" else ())]

    def _defect_told(self, event: Event, defect: Exception, where: str) -> list[Output]:
        if isinstance(event, Recalled):  # nobody would be told now
            self._past_defect = self._past_defect or defect
            return []
        return [*defect_told(defect, where, self._alarms)]

    def _expire(self) -> list[Output]:
        outputs: list[Output] = []
        calls = self._observer.calls
        now_ns = self._clock.now_ns
        due = calls.expire(now_ns, self._media.heard_ns) if now_ns >= calls.deadlines.due_ns else []
        for call, due_ns in due:
            outputs += self._ledger.expired(call, due_ns)
            if calls.get(call.call_id) is not call:
                outputs += self._media.forgotten(call)
        if now_ns >= self._media.next_deadline() or self._media.refused.flows:
            outputs += self._media.expire()
        return outputs

    def _adopt(self, policy: Policy) -> list[Output]:
        self.policy = policy
        outputs: list[Output] = [self._policy_write("applied")]
        self._rules = Rules(policy, self._rules)
        self._tracking.adopt(policy)
        self._glance = glance(policy.emergency)
        return outputs + self._media.adopt(self._rules)

    def _policy_write(self, action: Literal["loaded", "applied"], *, takeover: bool = False) -> Write:
        policy = self.policy
        fields = PolicyFields(action, policy.name, policy.file, policy.sha256, len(policy.rules), takeover=takeover)
        return Write(PolicyChange(timestamp(self._clock.wall_ns), fields))
