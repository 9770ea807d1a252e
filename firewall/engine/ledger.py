"""The emergency-call ledger: every attempt of an emergency call and what became of it (DESIGN section 8)."""

from msgspec.structs import replace

from firewall.engine.alarm import downstream_alarm, media_loss_alarm
from firewall.engine.attempt import Attempt, begins_call, ledger_record
from firewall.engine.call import Call
from firewall.engine.clock import Clock
from firewall.engine.decide import Decision, decision_line
from firewall.engine.media_record import media_line
from firewall.engine.outputs import Write
from firewall.engine.record import Attribution, EmergencyCall, HurtBy, MediaLoss, Outcome
from firewall.engine.recording import datagram_flow_id, endpoint_text, printable, summary
from firewall.engine.timestamp import timestamp
from firewall.engine.transaction import own_transaction_id, says_nothing
from firewall.engine.trunk import Trunks
from firewall.engine.way import Way
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request, Response

_NO_CALL_METHODS = frozenset({"REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "PUBLISH", "MESSAGE"})


class Ledger:
    """Every emergency call attempt, told to the log when it is hurt and when its outcome is known."""

    def __init__(self, trunks: Trunks, clock: Clock) -> None:
        self._trunks = trunks
        self._clock = clock
        self.attempts = 0
        self.hurt = 0

    def seen(self, call: Call, facts: Facts) -> None:
        """Open an attempt with the request that begins it, whatever becomes of the request."""
        request, mark = facts.message, facts.emergency
        if mark is None or mark.emergency_class == "registration":
            return
        if not isinstance(request, Request) or not begins_call(request):
            return
        attempt, tried = call.attempt, own_transaction_id(request)
        if attempt is not None and tried != attempt.tried and tried in call.transactions:
            return  # a copy of an earlier try, or of another branch
        if (
            attempt is None
            or attempt.is_followed_by(request, call.tags)
            or (attempt.never_began and is_anothers(call, facts))
        ):
            call.attempt = attempt = self._begun(facts, mark, request.method)
            if request.from_tag is not None:
                call.admit((request.from_tag,))
        if request.method != attempt.method:
            return
        if attempt.tried is None or tried != attempt.tried:
            attempt.latest = _sent(facts)
            attempt.trunk_down = attempt.trunk_down or self._trunks.taken_down(facts.datagram, self._clock.now_ns)
            call.heard(self._clock.now_ns)  # copies of it may come for as long as those of one that passes
        attempt.expect_answer(tried, self._clock.now_ns)

    def _begun(self, facts: Facts, mark: EmergencyMark, method: str) -> Attempt:
        self.attempts += 1
        clock = self._clock
        return Attempt(_sent(facts), datagram_flow_id(facts.datagram), mark, clock.now_ns, clock.wall_ns, method)

    def _joined(self, call: Call, facts: Facts) -> Attempt | None:
        """Open an attempt of whose call only the middle was seen: it began before the firewall or the capture did."""
        message, mark = facts.message, facts.emergency
        if mark is None or mark.emergency_class == "registration" or message is None or message.to_tag is None:
            return None
        if message.cseq_method in _NO_CALL_METHODS:
            return None
        call.attempt = self._begun(facts, mark, "INVITE")
        call.attempt.is_recovered = True
        return call.attempt

    def passed(self, call: Call, facts: Facts, *, repeated: bool) -> list[Write]:
        """Take note of a message that was let through; tell the outcome when it is known by it.

        ``repeated``: an earlier copy of it passed. An answer that only comes again may be one to an earlier try.
        """
        attempt, message = call.attempt, facts.message
        if attempt is None or message is None:
            return []
        if repeated and isinstance(message, Response):
            attempt.response_repeated(message)
            return []
        method = message.method if isinstance(message, Request) else None
        if says_nothing(call.transaction_of(message), method) or attempt.is_of_earlier(message):
            return []
        is_up = "confirmed" in call.dialogs.values()
        outcome = attempt.passed(message, self._clock.now_ns, others=call.awaits_answer(), is_up=is_up)
        if outcome is None:
            return []
        return self._told(call, attempt, outcome, facts.datagram.frame_number)

    def moved(self, call: Call | None, leg: Call | None) -> list[Write]:
        """Tell that a call that was redirected goes on with another Call-ID, unless a stranger calls there."""
        attempt = call.attempt if call is not None else None
        if call is None or attempt is None or not attempt.is_redirected:
            return []
        if leg is None or leg.caller is None or call.caller is None or not leg.caller.may_be(call.caller):
            return []
        attempt.ended_ns, attempt.answer_due_ns = self._clock.now_ns, None
        attempt.outcome = "impaired" if attempt.is_hurt else "completed"
        return [self._write(call, attempt, attempt.outcome)]

    def blocked(
        self, call: Call, facts: Facts, decision: Decision, policy: Policy, *, guarded: bool, repeated: bool = False
    ) -> list[Write]:
        """Take note of a message that was blocked, or would have been but for the guard; tell it at once.

        ``repeated``: an earlier copy of it passed.
        """
        attempt = call.attempt or self._joined(call, facts)
        if attempt is None:
            return []
        if guarded:
            attempt.guarded = True
            return []
        who = attribution(decision, is_trunk=self._trunks.knows(facts.datagram))
        return self._hurt(call, attempt, facts, hurt_by(facts, decision, policy), who, repeated=repeated)

    def blocked_unnamed(self, facts: Facts, decision: Decision, policy: Policy) -> list[Write]:
        """Tell of a blocked attempt that has no entry of its own: unreadable, no Call-ID, or no place in the table."""
        message, mark = facts.message, facts.emergency
        now_ns = self._clock.now_ns
        call = Call(facts.call_id or "", now_ns, now_ns, now_ns)
        if message is None and mark is not None:
            call.attempt = self._begun(facts, mark, "")
        self.seen(call, facts)
        return self.blocked(call, facts, decision, policy, guarded=False)

    def media_blocked(self, call: Call, way: Way, decision: Decision, policy: Policy, *, guarded: bool) -> list[Write]:
        """Take note of media of a call that is blocked, or would have been but for the guard; tell it at once."""
        attempt = call.attempt
        if attempt is None:
            return []
        if guarded:
            attempt.guarded = True
            return []
        if attempt.hurt_by is not None:
            return []
        flow = f"{printable(way.kind)} to {endpoint_text(printable(way.key.dst_ip), way.key.dst_port)}"
        rule = decision.rule.name if decision.rule is not None else None
        line = media_line(decision, policy, way.dst.zone)
        attempt.hurt_by = HurtBy(flow, decision.verdict, rule, policy.file, line, decision.reason)
        attempt.attribution = "limit" if decision.rule is not None and decision.rule.limit is not None else "policy"
        attempt.media_blocked = True
        self.hurt += 1
        return [self._write(call, attempt, "impaired")]

    def media_lost(self, call: Call, losses: tuple[MediaLoss, ...], policy: Policy) -> list[Write]:
        """Tell that an answered call is not heard in both directions."""
        attempt = call.attempt
        if attempt is None or attempt.outcome is not None:
            return []
        attempt.media_loss = losses
        self.hurt += attempt.hurt_by is None
        if attempt.attribution is None:
            is_refused = any(loss.reason is not None for loss in losses)
            is_callers = all(loss.src_ip == attempt.first.src_ip for loss in losses)
            attempt.attribution = "policy" if is_refused else "caller" if is_callers else "downstream"
        alarm = media_loss_alarm(call.call_id, attempt, losses, policy, self._clock.wall_ns)
        return [Write(alarm, urgent=True), self._write(call, attempt, "impaired")]

    def lost(self, call: Call, facts: Facts, policy: Policy, *, downstream: bool) -> list[Write]:
        """Take note of an allowed message that could not be sent on; ``downstream``: the other side's doing."""
        attempt = call.attempt
        if attempt is None:
            return []
        if begins_call(facts.message):
            attempt.initial_passed -= attempt.initial_passed > 0
            if downstream:
                return self._unreached(call, attempt, facts)
        if downstream and attempt.outcome == "failed_downstream":
            return []  # the CANCEL of what reached nobody
        is_over = attempt.method == "INVITE" and attempt.outcome == "completed"
        if downstream and is_over and isinstance(facts.message, Response):
            return []  # whoever closes its connection behind its BYE waits for no answer
        unsent = HurtBy(summary(facts), "allow", None, policy.file, None, "forward_failed")
        return self._hurt(call, attempt, facts, unsent, "downstream" if downstream else "exception")

    def _unreached(self, call: Call, attempt: Attempt, facts: Facts) -> list[Write]:
        """Tell that a call failed when the last try at it reached nobody: another may ring, or be answered by now."""
        if isinstance(facts.message, Request):
            call.undelivered(facts.message)
        is_last = attempt.answered_ns is None and not call.awaits_answer()
        if not is_last or not attempt.is_open or attempt.hurt_by is not None:
            return []
        attempt.outcome = "failed_downstream"
        return [self._write(call, attempt, attempt.outcome, facts.datagram.frame_number)]

    def expired(self, call: Call, due_ns: int) -> list[Write]:
        """Tell the outcome of a call whose answer has not come in time, or of which nothing more is expected."""
        attempt = call.attempt
        if attempt is None:
            return []
        outcome = attempt.overdue(due_ns) if attempt.answer_due_ns is not None else attempt.expired(due_ns)
        if outcome is None:
            return []
        return self._told(call, attempt, outcome, wall_ns=due_ns - self._clock.offset_ns)

    def stopped(self, calls: list[Call]) -> list[Write]:
        """Tell how the calls stand that are still open when the firewall stops: what was hurt stays hurt."""
        attempts = [(call, call.attempt) for call in calls if call.attempt is not None and call.attempt.is_open]
        return [write for call, each in attempts for write in self._told(call, each, each.stopped(self._clock.now_ns))]

    def told_before(self, call: Call, told: EmergencyCall) -> None:
        """Take over what an earlier run told of a call and no message of it tells."""
        attempt = call.attempt
        if attempt is None or told.started != timestamp(attempt.started_ns):
            return
        attempt.guarded, attempt.media_loss = told.guarded, told.media_loss
        if told.outcome in ("blocked", "impaired"):  # of one that failed downstream it is about no message of its own
            attempt.hurt_by = told.hurt_by
            attempt.attribution = told.attribution if attempt.is_hurt else None
        attempt.initial_blocked = told.problem == "InitialTrafficBlocked"
        if told.outcome == "blocked" and told.hurt_by is not None and told.hurt_by.reason == "forward_failed":
            attempt.initial_passed -= attempt.initial_passed > 0  # it was let through, but could not be sent on
        attempt.media_blocked = told.problem == "MediaLoss" and told.hurt_by is not None
        if told.outcome == "failed_downstream" and attempt.outcome is None:
            attempt.outcome, attempt.answer_due_ns = told.outcome, None
            attempt.is_overdue = attempt.final_status is None

    def _hurt(
        self, call: Call, attempt: Attempt, facts: Facts, cause: HurtBy, who: Attribution, *, repeated: bool = False
    ) -> list[Write]:
        if attempt.hurt_by is not None:
            return []
        self.hurt += 1
        attempt.hurt_by = cause
        attempt.attribution = who
        attempt.initial_blocked = facts.message is None or (begins_call(facts.message) and not repeated)
        if attempt.initial_blocked:
            attempt.try_blocked(others=call.awaits_answer())
        outcome: Outcome = "blocked" if attempt.initial_blocked else "impaired"
        return [self._write(call, attempt, outcome, facts.datagram.frame_number)]

    def _told(
        self,
        call: Call,
        attempt: Attempt,
        outcome: Outcome,
        frame_number: int | None = None,
        *,
        wall_ns: int | None = None,
    ) -> list[Write]:
        """Return the record of an outcome, and the alarm where others failed an emergency call."""
        wall_ns = self._clock.wall_ns if wall_ns is None else wall_ns
        writes = [Write(ledger_record(call.call_id, attempt, outcome, wall_ns, frame_number), urgent=True)]
        if outcome == "failed_downstream" or attempt.is_unheard:
            writes.append(Write(downstream_alarm(call.call_id, attempt, wall_ns), urgent=True))
        return writes

    def _write(self, call: Call, attempt: Attempt, outcome: Outcome, frame_number: int | None = None) -> Write:
        return Write(ledger_record(call.call_id, attempt, outcome, self._clock.wall_ns, frame_number), urgent=True)


def is_anothers(call: Call, facts: Facts) -> bool:
    """Tell whether a request begins a call of somebody else, who has the Call-ID in common with this one, or forged it.

    Who tries again has the same tag (RFC 3261 §8.1.3.5), or at least the same address, and was not answered yet. So
    has who passes it on: some session border controllers keep the Call-ID and give it a tag of their own.
    """
    request, attempt = facts.message, call.attempt
    if attempt is None or not isinstance(request, Request) or not begins_call(request):
        return False
    is_from_elsewhere = facts.datagram.src_ip not in (attempt.first.src_ip, attempt.first.dst_ip)
    return request.from_tag not in call.tags and (is_from_elsewhere or attempt.answered_ns is not None)


def hurt_by(facts: Facts, decision: Decision, policy: Policy) -> HurtBy:
    """Return the decision that blocked a message as the ledger tells it."""
    return HurtBy(
        message=summary(facts),
        verdict=decision.verdict,
        rule=decision.rule.name if decision.rule else None,
        file=policy.file,
        line=decision_line(decision, policy),
        reason=decision.reason,
    )


def attribution(decision: Decision, *, is_trunk: bool) -> Attribution:
    """Return whose doing a blocked message is.

    A ban on an address that never got a call through is taken for what it was meant for: an attack.
    """
    if decision.reason == "banned":
        return "policy" if is_trunk else "attack"
    if decision.reason == "connection_limit":
        return "limit"
    if decision.rule is None:
        return "policy" if decision.reason == "default" else "exception"
    return "limit" if decision.rule.limit is not None else "policy"


def _sent(facts: Facts) -> Datagram:
    """Return what was sent without its payload: a long one would fill the memory, and nobody reads it again."""
    return replace(facts.datagram, payload=b"")
