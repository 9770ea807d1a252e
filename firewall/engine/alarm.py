"""Alarms: the sentence a person must read at once, and how often it is said."""

from collections import OrderedDict

from firewall.engine.attempt import CHALLENGES, SENT_BACK, Attempt
from firewall.engine.clock import Clock
from firewall.engine.decide import Decision, decision_line
from firewall.engine.media_record import culprit, media_line
from firewall.engine.record import Alarm, AlarmCode, AlarmFields, MediaLoss
from firewall.engine.recording import decider, endpoint_text, printable, summary
from firewall.engine.timestamp import timestamp
from firewall.engine.way import Way
from firewall.errors import Place
from firewall.net.datagram import Datagram
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import Policy
from firewall.sip.message import Request

REPEAT_NS = 600 * 1_000_000_000
"""What goes on is said again after ten minutes."""
_REMEMBERED = 10_000
_CLASS_WORDS = {"test": "test call", "callback": "callback", "registration": "registration"}

Subject = tuple[str, ...]


class AlarmMemory:
    """Which alarms were raised of late, so that a retransmission does not repeat one; bounded."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._raised: OrderedDict[Subject, int] = OrderedDict()

    def first(self, *subject: str) -> bool:
        """Tell whether an alarm about this subject is the first one in ``REPEAT_NS``, and remember it."""
        now_ns, raised_ns = self.clock.now_ns, self._raised.pop(subject, None)
        is_first = raised_ns is None or now_ns - raised_ns >= REPEAT_NS
        if len(self._raised) >= _REMEMBERED:
            self._raised.popitem(last=False)
        self._raised[subject] = now_ns if raised_ns is None or is_first else raised_ns
        return is_first


def emergency_alarm(
    facts: Facts, decision: Decision, policy: Policy, *, guarded: bool, repeated: bool, now_ns: int
) -> Alarm:
    """Return the alarm for an emergency message that was blocked, or would have been but for the guard.

    ``repeated``: an earlier copy of it passed.
    """
    is_lost = _begins(facts) and not repeated
    words = emergency_words(facts.emergency.emergency_class if facts.emergency is not None else "call")
    what = f"{words} {'blocked' if is_lost else 'impaired, a message of it blocked'}"
    if guarded:
        what = f"{words} would have been blocked, the guard let it pass"
    sentence = f"{what}: {_what_became(facts, decision, policy)}; Call-ID {printable(facts.call_id or 'none')}"
    code: AlarmCode = "emergency_guarded" if guarded else "emergency_blocked"
    return _message_alarm(code, sentence, facts, decision, policy, now_ns)


def keep_alive_alarm(facts: Facts, decision: Decision, policy: Policy, now_ns: int) -> Alarm:
    """Return the alarm for a blocked keep-alive of a trunk that calls went over."""
    consequence = "the trunk may be taken out of service, and every call over it then fails"
    sentence = f"keep-alive of a trunk blocked: {_what_became(facts, decision, policy)}; {consequence}"
    return _message_alarm("keep_alive_blocked", sentence, facts, decision, policy, now_ns)


def media_alarm(
    call_id: str, mark: EmergencyMark, way: Way, decision: Decision, policy: Policy, *, guarded: bool, now_ns: int
) -> Alarm:
    """Return the alarm for media of an emergency call that is blocked, or would have been but for the guard."""
    what = f"media of an {emergency_words(mark.emergency_class)} "
    what += "would have been blocked, the guard let it pass" if guarded else "blocked"
    key, rule = way.key, decision.rule
    sentence = (
        f"{what}: {printable(way.kind)} from {way.src.zone or way.src.ip} to "
        f"{endpoint_text(printable(key.dst_ip), key.dst_port)}; drop by {culprit(decision, way, policy)}; "
        f"Call-ID {printable(call_id)}"
    )
    fields = AlarmFields(
        code="emergency_media_guarded" if guarded else "emergency_media_blocked",
        message=sentence,
        rule=rule.name if rule is not None else None,
        file=policy.file,
        line=media_line(decision, policy, way.dst.zone),
        call_id=wire_text(call_id),
        reason=decision.reason,
    )
    source, target = (key.src_ip or way.src.ip, key.src_port or 0), (wire_text(key.dst_ip), key.dst_port)
    return _alarm(fields, mark, Datagram(*source, *target, b"", key.transport), now_ns)


def media_loss_alarm(
    call_id: str, attempt: Attempt, losses: tuple[MediaLoss, ...], policy: Policy, now_ns: int
) -> Alarm:
    """Return the alarm for an answered emergency call that is not heard in both directions."""
    parts = [
        f"nothing of {loss.side} reaches {endpoint_text(loss.dest_ip, loss.dest_port)}: {loss.cause}" for loss in losses
    ]
    words = emergency_words(attempt.mark.emergency_class)
    sentence = f"{words} without media: {'; '.join(parts)}; Call-ID {printable(call_id)}"
    reason = next((loss.reason for loss in losses if loss.reason is not None), None)
    line = media_line(Decision("drop", reason), policy) if reason is not None else None
    fields = AlarmFields(
        code="emergency_media_lost",
        message=sentence,
        file=policy.file if line is not None else None,
        line=line,
        call_id=wire_text(call_id),
        reason=reason,
    )
    return _alarm(fields, attempt.mark, attempt.first, now_ns)


def downstream_alarm(call_id: str, attempt: Attempt, now_ns: int) -> Alarm:
    """Return the alarm for an emergency call that sosgate let pass and that nobody answered, or that was refused."""
    status, tried = attempt.final_status, attempt.latest or attempt.first
    what = "left without an answer by the called side"
    if attempt.is_unheard:
        what = "answered, but nobody acknowledged that for 32 s"
    elif status in CHALLENGES:
        what = f"challenged with status {status} by the called side, and not tried again"
    elif status in SENT_BACK:
        what = f"sent back with status {status} by the called side, and not tried again"
    elif status is not None:
        what = f"{'redirected' if status < 400 else 'refused'} with status {status} by the called side"
    restarted = ", of those that it saw: it was restarted meanwhile" if attempt.is_recovered else ""
    words = emergency_words(attempt.mark.emergency_class)
    sentence = (
        f"{words} {what}: {attempt.method} {_ends(tried)}; sosgate let every message pass that "
        f"the call needs{restarted}{_trunk_down(attempt)}; Call-ID {printable(call_id)}"
    )
    fields = AlarmFields(code="emergency_failed_downstream", message=sentence, call_id=wire_text(call_id))
    return _alarm(fields, attempt.mark, tried, now_ns)


def _alarm(fields: AlarmFields, mark: EmergencyMark | None, sent: Datagram, now_ns: int) -> Alarm:
    """Return the alarm about a datagram."""
    return Alarm(
        timestamp=timestamp(now_ns),
        alarm=fields,
        emergency=mark,
        in_iface=sent.in_iface,
        pcap_cnt=sent.frame_number,
        src_ip=sent.src_ip,
        src_port=sent.src_port,
        dest_ip=sent.dst_ip,
        dest_port=sent.dst_port,
        proto=sent.transport,
    )


def _trunk_down(attempt: Attempt) -> str:
    trunk_down = attempt.trunk_cause
    if trunk_down is None:
        return ""
    cause = trunk_down.hurt_by
    who = decider(cause.rule, cause.reason, Place(cause.file, cause.line))
    return f", but had blocked a keep-alive of its trunk before: {cause.message}; {cause.verdict} by {who}"


def connection_alarm(facts: Facts, limit: str, policy: Policy, now_ns: int) -> Alarm:
    """Return the alarm for a TCP connection that a limit of the firewall's own refused."""
    said = facts.datagram
    what = "TCP connection refused" if facts.emergency is None else "TCP connection with an emergency call refused"
    told = f"; it had sent {summary(facts)}" if said.payload else ""
    decision = Decision("drop", "connection_limit")
    return _message_alarm("connection_refused", f"{what} {_ends(said)}: {limit}{told}", facts, decision, policy, now_ns)


def forward_alarm(facts: Facts, error: str, now_ns: int) -> Alarm:
    """Return the alarm for an allowed message, or a TCP connection, that the machine would not send on or make.

    It names an emergency call, of which it is raised for each; of the others one stands for all that go to an address.
    """
    lost, ends, mark = facts.datagram, _ends(facts.datagram), facts.emergency
    call_id = facts.call_id if mark is not None else None
    what = "a message of an emergency call" if mark is not None else "an allowed message"
    sentence = f"{what} could not be sent on: {summary(facts)} {ends}: {printable(error)}"
    if call_id is not None:
        sentence += f"; Call-ID {printable(call_id)}"
    if not lost.payload:
        sentence = f"a TCP connection {ends} could not be made: {printable(error)}; its client had sent nothing yet"
    fields = AlarmFields("forward_failed", sentence, call_id=wire_text(call_id) if call_id is not None else None)
    return _alarm(fields, mark, lost, now_ns)


def plain_alarm(code: AlarmCode, sentence: str, now_ns: int) -> Alarm:
    """Return an alarm that is about the firewall itself."""
    return Alarm(timestamp=timestamp(now_ns), alarm=AlarmFields(code=code, message=sentence))


def _message_alarm(
    code: AlarmCode, sentence: str, facts: Facts, decision: Decision, policy: Policy, now_ns: int
) -> Alarm:
    rule, call_id = decision.rule, facts.call_id
    fields = AlarmFields(
        code=code,
        message=sentence,
        rule=rule.name if rule else None,
        file=policy.file,
        line=decision_line(decision, policy),
        call_id=wire_text(call_id) if call_id is not None else None,
        reason=decision.reason,
    )
    return _alarm(fields, facts.emergency, facts.datagram, now_ns)


def _what_became(facts: Facts, decision: Decision, policy: Policy) -> str:
    rule = decision.rule.name if decision.rule is not None else None
    who = decider(rule, decision.reason, Place(policy.file, decision_line(decision, policy)))
    return f"{summary(facts)} {_ends(facts.datagram)}; {decision.verdict} by {who}"


def _ends(sent: Datagram) -> str:
    return f"from {endpoint_text(sent.src_ip, sent.src_port)} to {endpoint_text(sent.dst_ip, sent.dst_port)}"


def emergency_words(emergency_class: str) -> str:
    """Name what has an emergency mark of this class: ``emergency call``, ``emergency callback``."""
    return f"emergency {_CLASS_WORDS.get(emergency_class, 'call')}"


def _begins(facts: Facts) -> bool:
    """Whether all is lost with this message: it begins a call, or something that is no call."""
    message = facts.message
    if not isinstance(message, Request):
        return message is None
    return message.to_tag is None and message.method not in ("ACK", "CANCEL", "PRACK", "BYE")
