"""Why a call went as it did, in one sentence, and what to change: from its records in the decision log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from firewall.engine.attempt import ATTEMPT_METHODS, CHALLENGES, LAST_TRY_NS, SENT_BACK, TIMER_C_NS
from firewall.engine.reasons import REASONS
from firewall.engine.record import LogRecord
from firewall.engine.recording import decider, printable
from firewall.engine.timestamp import instant
from firewall.engine.trunk import DOWN_NS
from firewall.errors import Place
from firewall.replay.consequence import asked_method, consequence, exchange_of, has_passed, is_reinvite
from firewall.replay.media_story import loss_cause
from firewall.replay.remedy import remedy

_BEGINNING = ATTEMPT_METHODS | {"REGISTER", "SUBSCRIBE", "OPTIONS", "PUBLISH", "REFER"}
_NEVER_ANSWERED = "the called side never answered"
_NAMED_LOSSES = 4
_GIVEN_UP = 487  # RFC 3261 §21.4.25: the request was cancelled


@dataclass(frozen=True, slots=True)
class CallLog:
    """What the log has of one call: its decisions, the ledger's last word, when the ledger first told it as hurt, the
    alarms of blocked keep-alives (which say when a trunk was taken down), and the file of each policy by its sha256."""

    decisions: Sequence[LogRecord]
    ledger: LogRecord | None
    hurt_at: str | None
    keep_alives: Sequence[LogRecord]
    policy_files: Mapping[str, str]

    @property
    def outcome(self) -> str | None:
        """The ledger's last word, None for an ordinary call."""
        return self.ledger["outcome"] if self.ledger else None

    @property
    def is_callback(self) -> bool:
        """Whether it goes to the caller of an emergency call (RFC 7090): who calls is no emergency caller then."""
        return self.ledger is not None and self.ledger["emergency"]["class"] == "callback"

    @property
    def hurt_by(self) -> LogRecord | None:
        """The decision that hurt it, as the ledger has it."""
        return self.ledger["hurt_by"] if self.ledger else None

    @property
    def hurting(self) -> LogRecord | None:
        """The message whose loss hurt it; None where that was no message of signalling, or is in no log."""
        hurt_by = self.hurt_by or {}
        is_unsent = hurt_by.get("reason") == "forward_failed"
        lost = [record for record in self.decisions if is_unsent or _is_blocked(record)]
        found = [record for record in lost if _summary(record) == hurt_by.get("message")]
        return next((record for record in found if record["timestamp"] == self.hurt_at), found[0] if found else None)

    @property
    def guarded(self) -> LogRecord | None:
        """The first decision that would have hurt it but for the guard."""
        return next((record for record in self.decisions if not record["decision"]["enforced"]), None)

    @property
    def blocked(self) -> LogRecord | None:
        """The first message that did not pass."""
        return next((record for record in self.decisions if _is_blocked(record)), None)

    def place(self, decision: LogRecord) -> Place:
        """Return where in its policy a decision comes from."""
        return Place(self.policy_files.get(decision["policy_sha256"], decision["policy"]), decision["line"])


def message_words(record: LogRecord) -> str:
    """Return a message in a few words: ``INVITE sip:911@psap.example``, ``180 Ringing``, ``200 OK (BYE)``."""
    sip = record["sip"]
    if sip is None:
        return "unreadable message"
    line = str(sip.get("request_line") or sip.get("response_line") or "")
    words = line.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 ")
    asked = asked_method(sip)
    return words if sip.get("method") or asked in ("", "INVITE") else f"{words} ({asked})"


def because(decision: LogRecord) -> str:
    """Return what decided, in the few words of a ladder."""
    if decision["rule"]:
        by = "ban by rule" if decision["reason"] == "banned" else "rule"
        return f'{by} "{decision["rule"]}", line {decision["line"]}'
    reason = REASONS.get(decision["reason"])
    return reason.title if reason else decision["reason"]


def cause_of(call: CallLog) -> str | None:
    """Return why the call went as it did; None for one that went well."""
    hurt_by, lost = call.hurt_by, loss_cause(call.ledger)
    if lost is not None:
        return lost
    if hurt_by is not None and call.outcome == "failed_downstream":
        return _trunk_cause(call, hurt_by)
    if hurt_by is not None and call.ledger is not None:
        return _joined(_our_doing(call, hurt_by, call.ledger), _what_followed(call, call.ledger))
    if call.guarded is not None:
        return _joined(_guards_doing(call, call.guarded), _how_it_failed(call))
    if call.blocked is not None and call.ledger is None:
        return _message_cause(call, call.blocked)
    how = _how_it_failed(call)
    return f"{_passed(call)}; {how}" if how else None


def mend_of(call: CallLog) -> str | None:
    """Return what to change, here or at others; None where nothing went wrong."""
    hurt_by, ledger = call.hurt_by, call.ledger
    if call.outcome == "failed_downstream" and hurt_by is not None:
        return f"allow OPTIONS and their answers between these two addresses, then run sosgate lint {hurt_by['file']}"
    if hurt_by is not None and ledger is not None and hurt_by["reason"] == "forward_failed":
        return f"nothing in the policy: see whether {ledger['dest_ip']} can be reached, and the alarm forward_failed"
    if hurt_by is not None and ledger is not None:
        sender = (call.hurting or ledger)["src_ip"]
        mend = remedy(hurt_by["rule"], hurt_by["reason"], Place(hurt_by["file"], hurt_by["line"]), sender)
        stranger = f"nothing, if {sender} is no peer of yours; if it is one, "
        return f"{stranger}{mend}" if ledger["attribution"] == "attack" else mend
    decided = call.guarded or (call.blocked if ledger is None and _is_emergency(call.blocked) else None)
    asked = _whom_to_ask(call)
    if decided is not None:
        decision = decided["decision"]
        return _joined(
            remedy(decision["rule"], decision["reason"], call.place(decision), decided["src_ip"]), asked, also="and "
        )
    return _loss_mend(call) or (f"nothing in the policy: {asked}" if asked else None)


def _joined(first: str, then: str | None, *, also: str = "") -> str:
    return f"{first}; {also}{then}" if then else first


def _is_blocked(record: LogRecord) -> bool:
    return not has_passed(record) and record["decision"]["reason"] != "reject_ack"


def _summary(record: LogRecord) -> str:
    """Return a message in the words of the ledger and the alarms (``recording.summary``)."""
    sip = record["sip"] or {}
    if sip.get("method"):
        return printable(f"{sip['method']} {sip.get('uri')}")
    return printable(f"{sip.get('code')} {sip.get('reason')} ({asked_method(sip)})")


def _is_emergency(record: LogRecord | None) -> bool:
    return record is not None and record["emergency"] is not None


def _loss_mend(call: CallLog) -> str | None:
    losses: Sequence[LogRecord] = call.ledger.get("media_loss", ()) if call.ledger else ()
    reason = next((loss["reason"] for loss in losses if loss["reason"] is not None), None)
    if reason is None or not call.decisions:
        return None
    return remedy(None, reason, Place(call.place(call.decisions[0]["decision"]).file), losses[0]["src_ip"])


def _whom_to_ask(call: CallLog) -> str | None:
    """Return whom to ask about a call that others failed."""
    ledger = call.ledger
    if ledger is None or ledger["outcome"] not in ("failed_downstream", "impaired"):
        return None
    if ledger["outcome"] == "impaired":
        return f"ask who runs {ledger['src_ip']} whether the answer came there, and where its ACK went"
    refusal = _refusal_of(call)
    if refusal is not None:
        return f"ask who runs {refusal.source} why it answered {refusal.status}"
    tried = next(iter(_last_try(call.decisions)), ledger)
    return f"ask who runs {tried['dest_ip']} why it did not answer"


def _trunk_cause(call: CallLog, hurt_by: LogRecord) -> str:
    """Return the cause of a call that failed on a trunk whose keep-alive sosgate had blocked."""
    alarm = _trunk_alarm(call)
    said = alarm["alarm"]["message"] if alarm else _not_passed(hurt_by)
    at = f", at {alarm['timestamp']}" if alarm else ""
    failed = _joined(_passed(call), _how_it_failed(call))
    return f"{failed}; before it{at}, sosgate itself took the trunk down: {said}"


def _trunk_alarm(call: CallLog) -> LogRecord | None:
    """Return the last blocked keep-alive between the two ends of a try at the call in the hour before it."""
    tries = [record for record in call.decisions if _begins(record)] or ([call.ledger] if call.ledger else [])
    for tried in tries:
        begin_ns = instant(tried["timestamp"])
        near = [alarm for alarm in call.keep_alives if _same_ends(alarm, tried)]
        before = [alarm for alarm in near if 0 <= begin_ns - instant(alarm["timestamp"]) <= DOWN_NS]
        if before:
            return before[-1]
    return None


def _message_cause(call: CallLog, blocked: LogRecord) -> str:
    """Return why a message that is in no ledger did not pass: of an ordinary call, or of what is no call."""
    cause = f"sosgate did not let {message_words(blocked)} pass: {_decided(call, blocked)}"
    is_keep_alive = blocked["sip"] is not None and asked_method(blocked["sip"]) == "OPTIONS"
    if is_keep_alive and not any(_same_ends(it, blocked) for it in call.keep_alives):
        return cause  # between strangers there is no trunk to lose
    return _joined(cause, consequence(blocked, call.decisions))


def _decided(call: CallLog, record: LogRecord) -> str:
    """Return the verdict on a message and whose it is: ``drop by rule "x" (p.yaml:7)``."""
    decision = record["decision"]
    return f"{decision['verdict']} by {decider(decision['rule'], decision['reason'], call.place(decision))}"


def _same_ends(one: LogRecord, other: LogRecord) -> bool:
    return {one["src_ip"], one["dest_ip"]} == {other["src_ip"], other["dest_ip"]}


def _not_passed(hurt_by: LogRecord) -> str:
    who = decider(hurt_by["rule"], hurt_by["reason"], Place(hurt_by["file"], hurt_by["line"]))
    return f"sosgate did not let {hurt_by['message']} pass: {hurt_by['verdict']} by {who}"


def _our_doing(call: CallLog, hurt_by: LogRecord, ledger: LogRecord) -> str:
    cause = _not_passed(hurt_by)
    if hurt_by["reason"] == "forward_failed":
        cause = f"sosgate let {hurt_by['message']} pass, and it could not be sent on (reason forward_failed)"
    if ledger["attribution"] == "attack":
        return f"{cause}, which had banned this address; no call from it ever passed before: taken for an attack"
    if ledger["problem"] == "MediaLoss":
        return f"{cause}; the call connects, and nobody is heard"
    lost = call.hurting
    if lost is None:
        return cause
    cause = _joined(cause, consequence(lost, call.decisions))
    return _joined(cause, _lost_besides(call, lost)) if ledger["problem"] == "MidTrafficBlocked" else cause


def _lost_besides(call: CallLog, lost: LogRecord) -> str | None:
    """Return what else of a call did not pass: the first loss may be the least of them, as that of a 100 Trying."""
    later = [message_words(each) for each in call.decisions[call.decisions.index(lost) :] if _is_blocked(each)]
    others = [words for words in dict.fromkeys(later) if words != message_words(lost)]
    if not others:
        return None
    more = f" and {len(others) - _NAMED_LOSSES} more" if len(others) > _NAMED_LOSSES else ""
    return f"nor did it let {', '.join(others[:_NAMED_LOSSES])}{more} pass"


def _what_followed(call: CallLog, ledger: LogRecord) -> str | None:
    """Return how a call that was hurt then went: so that nobody takes what others did for what was done here."""
    if ledger["timestamp"] == call.hurt_at or ledger["outcome"] != "impaired":
        return None
    is_late = ledger["problem"] == "InitialTrafficBlocked"
    if ledger["answered_s"] is not None:
        return f"{_other_try(call)} and was answered" if is_late else None
    how = _how_a_try_failed(call) if call.decisions else None
    if how == _NEVER_ANSWERED and _is_waiting(call, ledger):
        how = _as_it_stands(call)
        return f"{_other_try(call)}, and {how}" if is_late else how
    return f"{f'{_other_try(call)}, and' if is_late else 'in the end'} {how}" if how else None


def _other_try(call: CallLog) -> str:
    """Return that a try at a call passed of which one did not: after it, or beside it (RFC 3261 §16.6)."""
    lost = call.hurting
    is_later = lost is None or any(_begins(each) for each in call.decisions[call.decisions.index(lost) :])
    return "a later try passed" if is_later else "another try had passed"


def _is_waiting(call: CallLog, ledger: LogRecord) -> bool:
    """Tell whether the answer to a call may still have come when the log ended, as where the firewall was stopped."""
    passed = [each for each in _last_try(call.decisions) if not _is_blocked(each)]
    if not passed:
        return False
    waits_ns = TIMER_C_NS if _status(passed[-1]) else LAST_TRY_NS
    return instant(ledger["timestamp"]) - instant(passed[-1]["timestamp"]) < waits_ns


def _guards_doing(call: CallLog, guarded: LogRecord) -> str:
    return f"sosgate would have blocked {message_words(guarded)} ({_decided(call, guarded)}); the guard let it pass"


def _passed(call: CallLog) -> str:
    """Return that nothing of a call was blocked that its ends lack (the ACK of a refusal, say, is nothing such)."""
    lost = call.blocked
    if lost is None:
        return "sosgate let every message pass"
    return f"sosgate let every message pass but {message_words(lost)} ({_decided(call, lost)}), which harms nobody"


def _how_it_failed(call: CallLog) -> str | None:
    """Return what others did to a call; None for one that went well, or of which no message is in the log."""
    outcome = call.outcome
    if not call.decisions:
        return None
    if outcome == "in_progress":
        return _as_it_stands(call)
    if outcome == "impaired":
        return "nobody acknowledged the answer, so the called side gave up after 32 s"
    if outcome in (None, "failed_downstream", "abandoned"):
        return _how_a_try_failed(call)
    return None


def _how_a_try_failed(call: CallLog) -> str | None:
    """Return how a call ended that was not answered; None where an answer came, be it that it was blocked."""
    if call.outcome == "abandoned" or (call.ledger is not None and call.ledger["final_status"] == _GIVEN_UP):
        return f"{'who called back' if call.is_callback else 'the caller'} hung up before an answer"
    refusal = _refusal_of(call)
    if refusal is not None:
        may_go_on = call.ledger is None and refusal.status in SENT_BACK
        return f"the called side {refusal.words}{' before the log ended' if may_go_on else ''}"
    statuses = [_status(record) for record in _last_try(call.decisions)]
    if call.outcome != "failed_downstream" and (max(statuses, default=0) >= 200 or _has_gone_on(call)):
        return None
    if call.ledger is None:  # of an ordinary call nobody tells the end, of an emergency call it is still to come
        return f"{'it rang, and ' if max(statuses, default=0) > 100 else ''}the log has no answer of the called side"
    return _NEVER_ANSWERED


def _has_gone_on(call: CallLog) -> bool:
    """Tell whether only an answered call has messages such as this one, whoever saw the answer (a restart, say)."""
    inside = [each for each in _since_last_try(call.decisions) if each["dialog"].get("to_tag")]
    return any(is_reinvite(each) or each["sip"].get("method") == "BYE" for each in inside)


class _Refusal(NamedTuple):
    """A refusal, challenge or redirection: its status, its status line in words, and who sent it."""

    status: int
    answer: str
    source: str

    @property
    def words(self) -> str:
        """What the called side did with it."""
        if self.status in CHALLENGES:
            return f"asked for credentials ({self.answer}), and the caller did not try again with them"
        if self.status in SENT_BACK:
            return f"sent it back to be amended ({self.answer}), and the caller did not try again"
        return f"redirected the call with {self.answer}" if self.status < 400 else f"answered {self.answer}"


def _refusal_of(call: CallLog) -> _Refusal | None:
    """Return the refusal that the call ended with, if the caller got one.

    Of an emergency call the ledger knows it, also where the log has only its end; and one branch may have refused while
    another was never answered.
    """
    passed = [record for record in call.decisions if not _is_blocked(record)]
    if call.ledger is None:
        found = [record for record in _last_try(passed) if _status(record) >= 300]
        status = _status(found[-1]) if found else 0
    else:
        status = call.ledger["final_status"] or 0
        found = [record for record in passed if _status(record) == status]
    if status < 300:
        return None
    if not found:
        return _Refusal(status, str(status), call.ledger["dest_ip"] if call.ledger else "")
    sip = found[-1]["sip"]
    return _Refusal(status, f"{sip['code']} {sip.get('reason')}", found[-1]["src_ip"])


def _last_try(decisions: Sequence[LogRecord]) -> Sequence[LogRecord]:
    """Return the last request that begins the call and what answers such a one from there on.

    What only comes again, or has another number, is left out: it may answer an earlier try, or a re-INVITE.
    """
    behind = _since_last_try(decisions)
    begins = bool(behind) and _begins(behind[0])
    within = {exchange_of(each) for each in behind if is_reinvite(each)}
    first = [each for each in behind if not each["dialog"].get("retransmission") and exchange_of(each) not in within]
    asked = (behind[0]["sip"].get("cseq") or "").split() if begins else None
    return [each for each in first if asked is None or (each["sip"].get("cseq") or "").split() == asked]


def _since_last_try(decisions: Sequence[LogRecord]) -> Sequence[LogRecord]:
    """Return the readable messages from the last one that begins the call on; all where none does."""
    begins = [number for number, record in enumerate(decisions) if _begins(record)]
    return [each for each in decisions[begins[-1] if begins else 0 :] if each["sip"] is not None]


def _begins(record: LogRecord) -> bool:
    sip, dialog = record["sip"], record["dialog"]
    is_first = sip is not None and sip.get("method") in _BEGINNING and not dialog.get("to_tag")
    return bool(is_first and not dialog.get("retransmission") and not _is_blocked(record))


def _as_it_stands(call: CallLog) -> str:
    """Return how far a call has come that the log tells no end of."""
    read = [record for record in call.decisions if record["sip"] is not None]
    invited = [_status(record) for record in read if asked_method(record["sip"]) == "INVITE"]
    if any(200 <= status < 300 for status in invited):
        return "it was answered, and had not ended when the log did"
    refusal = _refusal_of(call)
    if refusal is not None and (refusal.status < 400 or refusal.status in SENT_BACK):
        return f"the called side {refusal.words} before the log ended"
    if any(100 < status < 200 for status in invited):
        return "it was ringing, not yet answered, when the log ended"
    # The ledger says so when the daemon stops, or the capture ends: that is later than the last message.
    last = max(instant(record["timestamp"]) for record in (call.decisions[-1], call.ledger) if record is not None)
    seconds = (last - instant(call.decisions[0]["timestamp"])) / 1e9
    return f"no answer had come when the log ended, {seconds:.1f} s after its first message"


def _status(record: LogRecord) -> int:
    """Return the status code of a response, 0 for what is none."""
    return int(record["sip"].get("code") or 0) if record["sip"] is not None else 0
