"""What others did to a call: who refused it, who never answered, how far it had come; and whom to ask about it."""

from collections.abc import Sequence
from typing import NamedTuple

from firewall.engine.attempt import ATTEMPT_METHODS, CHALLENGES, LAST_TRY_NS, SENT_BACK, TIMER_C_NS
from firewall.engine.record import LogRecord
from firewall.engine.timestamp import instant
from firewall.replay.call_log import CallLog, asked_method, exchange_of, is_blocked, is_reinvite, status_of

_BEGINNING = ATTEMPT_METHODS | {"REGISTER", "SUBSCRIBE", "OPTIONS", "PUBLISH", "REFER"}
_NEVER_ANSWERED = "the called side never answered"
_GIVEN_UP = 487  # RFC 3261 §21.4.25: the request was cancelled


def how_it_failed(call: CallLog) -> str | None:
    """Return what others did to a call; None for one that went well here, or of which no message is in the log."""
    outcome = call.outcome
    if not call.decisions:
        return None
    if outcome == "in_progress":
        return _as_it_stands(call)
    if outcome == "impaired":
        return "nobody acknowledged the answer, and the called side waits for that no longer than 32 s"
    if outcome == "completed":
        moved = _refusal_of(call)
        return f"the called side {moved.words}, and it went on with another Call-ID" if moved is not None else None
    return _how_a_try_failed(call) if outcome in (None, "failed_downstream", "abandoned") else None


def what_followed(call: CallLog, ledger: LogRecord) -> str | None:
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


def whom_to_ask(call: CallLog) -> str | None:
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


def begins_call(record: LogRecord) -> bool:
    """Tell whether a message that passed is a first try at a call, or at what else a Call-ID is for."""
    sip, dialog = record["sip"], record["dialog"]
    is_first = sip is not None and sip.get("method") in _BEGINNING and not dialog.get("to_tag")
    return bool(is_first and not dialog.get("retransmission") and not is_blocked(record))


def _other_try(call: CallLog) -> str:
    """Return that a try at a call passed of which one did not: after it, or beside it (RFC 3261 §16.6)."""
    lost = call.hurting
    is_later = lost is None or any(begins_call(each) for each in call.decisions[call.decisions.index(lost) :])
    return "a later try passed" if is_later else "another try had passed"


def _is_waiting(call: CallLog, ledger: LogRecord) -> bool:
    """Tell whether the answer to a call may still have come when the log ended, as where the firewall was stopped."""
    passed = [each for each in _last_try(call.decisions) if not is_blocked(each)]
    if not passed:
        return False
    waits_ns = TIMER_C_NS if status_of(passed[-1]) else LAST_TRY_NS
    return instant(ledger["timestamp"]) - instant(passed[-1]["timestamp"]) < waits_ns


def _how_a_try_failed(call: CallLog) -> str | None:
    """Return how a call ended that was not answered; None where an answer came, be it that it was blocked."""
    if call.outcome == "abandoned" or (call.ledger is not None and call.ledger["final_status"] == _GIVEN_UP):
        return f"{'who called back' if call.is_callback else 'the caller'} hung up before an answer"
    refusal = _refusal_of(call)
    if refusal is not None:
        may_go_on = call.ledger is None and refusal.status in SENT_BACK
        return f"the called side {refusal.words}{' before the log ended' if may_go_on else ''}"
    statuses = [status_of(record) for record in _last_try(call.decisions)]
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
    passed = [record for record in call.decisions if not is_blocked(record)]
    if call.ledger is None:
        found = [record for record in _last_try(passed) if status_of(record) >= 300]
        status = status_of(found[-1]) if found else 0
    else:
        status = call.ledger["final_status"] or 0
        found = [record for record in passed if status_of(record) == status]
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
    begins = bool(behind) and begins_call(behind[0])
    within = {exchange_of(each) for each in behind if is_reinvite(each)}
    first = [each for each in behind if not each["dialog"].get("retransmission") and exchange_of(each) not in within]
    asked = (behind[0]["sip"].get("cseq") or "").split() if begins else None
    return [each for each in first if asked is None or (each["sip"].get("cseq") or "").split() == asked]


def _since_last_try(decisions: Sequence[LogRecord]) -> Sequence[LogRecord]:
    """Return the readable messages from the last one that begins the call on; all where none does."""
    begins = [number for number, record in enumerate(decisions) if begins_call(record)]
    return [each for each in decisions[begins[-1] if begins else 0 :] if each["sip"] is not None]


def _as_it_stands(call: CallLog) -> str:
    """Return how far a call has come that the log tells no end of."""
    read = [record for record in call.decisions if record["sip"] is not None]
    invited = [status_of(record) for record in read if asked_method(record["sip"]) == "INVITE"]
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
