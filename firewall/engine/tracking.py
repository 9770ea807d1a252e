"""What a decision means for the calls: they are followed, and what hurts one is said.

An earlier run's log is gone through in the same way (``engine/recovery.py``), so that it makes no difference to a call
whether the firewall was restarted meanwhile; but for what passed while no daemon ran.
"""

from hashlib import blake2b

from firewall.engine.alarm import AlarmMemory, emergency_alarm, keep_alive_alarm
from firewall.engine.call import Call
from firewall.engine.clock import Clock
from firewall.engine.decide import Decision, Reading
from firewall.engine.events import Recalled, Started
from firewall.engine.ledger import Ledger, attribution, hurt_by, is_anothers
from firewall.engine.observe import Observer
from firewall.engine.outputs import Output, Write, WriteDecision
from firewall.engine.record import Alarm, EmergencyCall, Record, SipDecision, Stats
from firewall.engine.trunk import BlockedKeepAlive, Trunks, is_keep_alive
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request


class Tracking:
    """The calls, trunks and the ledger, and which alarms were raised of late.

    ``untold`` is what an earlier run had to say of the last message in its log, and was killed before it said it.
    """

    def __init__(self, policy: Policy, clock: Clock) -> None:
        self.clock = clock
        self.policy = policy
        self.observer = Observer(policy)
        self.trunks = Trunks()
        self.ledger = Ledger(self.trunks, clock)
        self.alarms = AlarmMemory(clock)
        self._recalled_ns = 0
        self.untold: list[Output] = []

    def adopt(self, policy: Policy) -> None:
        """Go on with another policy; what is known of calls stays."""
        self.policy = policy
        self.observer.adopt(policy)

    def follow(self, reading: Reading, write: WriteDecision, outputs: list[Output]) -> Call | None:
        """Follow a call with a message that was decided on, and say what that means for it; return the call."""
        facts, call, decision = reading.facts, reading.call, write.decision
        emergency = facts.emergency is not None
        if emergency or (write.passes and call is None):
            call = self.observer.call_for(reading, self.clock.now_ns)
            if call is not None and reading.call is None:
                call.began_ns = self.clock.wall_ns
        if emergency:
            own = call if call is None or write.passes or not is_anothers(call, facts) else None
            self.observer.remember_caller(call, facts, self.clock.now_ns)
            if own is not None:
                self.ledger.seen(own, facts)
            if decision.is_block:
                outputs += self._hurt(own, reading, write)
        if not write.passes:
            if is_keep_alive(facts.message):
                outputs += self._keep_alive_blocked(facts, decision)
            if decision.verdict == "reject":
                self.observer.rejected(call, facts, self.clock.now_ns)
            return call
        if isinstance(facts.message, Request):
            self.trunks.passed(facts.message, facts.datagram)
            if emergency:
                redirected = self.observer.related.redirected(facts.message, self.clock.now_ns)
                outputs += self.ledger.moved(self.observer.calls.get(redirected), call)
        if call is not None:
            self.observer.forwarded(call, reading, decision, self.clock.now_ns)
            if call.attempt is not None:
                outputs += self.ledger.passed(call, facts, repeated=reading.place.is_repeated)
                self.observer.calls.schedule(call)
        return call

    def resume(self, event: Started | Recalled) -> None:
        """Take note of when no daemon ran, at the start of another: until the last record of the one before."""
        if isinstance(event, Started) or event.is_start:
            for call in self.observer.calls.all():
                if call.attempt is not None:
                    call.attempt.recovered(self._recalled_ns, self.clock.now_ns)
            self.ledger.attempts = self.ledger.hurt = 0
        self._recalled_ns = self.clock.now_ns

    def go_through(self, event: Recalled) -> None:
        """Go through what an earlier run wrote, as its messages were decided on."""
        match event.record:
            case SipDecision() as record if event.message is not None:
                reading = self.observer.read_again(record, event.message)
                decided = record.decision
                rule = self.policy.rule_named(decided.rule) if decided.verdict != "allow" else None
                decision = Decision(decided.verdict, decided.reason, rule)
                write = WriteDecision(reading.facts, decision, self.policy, decided.override, self.clock.wall_ns)
                self.untold = []
                self.follow(reading, write, self.untold)
            case EmergencyCall() as told:
                call = self.observer.calls.get(told.call_id)
                if call is not None:
                    self.ledger.told_before(call, told)
                self._note_said(EmergencyCall)
            case Alarm():
                self._note_said(Alarm)
            case Stats():
                self.untold = []
            case _:
                pass

    def _note_said(self, kind: type[Record]) -> None:
        self.untold = [each for each in self.untold if not (isinstance(each, Write) and isinstance(each.record, kind))]

    def _hurt(self, call: Call | None, reading: Reading, write: WriteDecision) -> list[Write]:
        """Tell that an emergency message is blocked, or would have been: alarm once for each call and cause, ledger."""
        facts, decision, repeated = reading.facts, write.decision, reading.place.is_repeated
        guarded = write.override is not None
        write.hurts = call is None or call.misses(facts.message)
        if not write.hurts:
            return []
        outputs: list[Write] = []
        # Without a Call-ID only a retransmission, byte for byte the same, is taken for the same call.
        subject = facts.call_id or blake2b(facts.datagram.payload).hexdigest()
        culprit = f"{decision.rule.name if decision.rule else ''} {'guard' if guarded else ''}"
        if self.alarms.first(subject, facts.datagram.src_ip, culprit, decision.reason):
            alarm = emergency_alarm(
                facts, decision, self.policy, guarded=guarded, repeated=repeated, now_ns=self.clock.wall_ns
            )
            outputs.append(Write(alarm, urgent=True))
            if call is None and not guarded:
                outputs += self.ledger.blocked_unnamed(facts, decision, self.policy)
        if call is not None:
            outputs += self.ledger.blocked(call, facts, decision, self.policy, guarded=guarded, repeated=repeated)
        return outputs

    def _keep_alive_blocked(self, facts: Facts, decision: Decision) -> list[Write]:
        datagram = facts.datagram
        if not self.trunks.knows(datagram):
            return []
        cause = hurt_by(facts, decision, self.policy)
        who = attribution(decision, is_trunk=True)
        self.trunks.blocked(facts.message, datagram, BlockedKeepAlive(self.clock.now_ns, cause, who))
        ends = sorted((datagram.src_ip, datagram.dst_ip))
        if not self.alarms.first("keep_alive", *ends, decision.reason):
            return []
        return [Write(keep_alive_alarm(facts, decision, self.policy, self.clock.wall_ns), urgent=True)]
