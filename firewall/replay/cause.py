"""Why a call went as it did, in one sentence, and what to change: from its records in the decision log."""

from collections.abc import Sequence

from firewall.engine.record import LogRecord
from firewall.engine.recording import decider
from firewall.engine.timestamp import instant
from firewall.engine.trunk import DOWN_NS
from firewall.errors import Place
from firewall.replay.call_log import CallLog, asked_method, is_blocked, message_words
from firewall.replay.consequence import consequence
from firewall.replay.failure import begins_call, how_it_failed, what_followed, whom_to_ask
from firewall.replay.media_story import loss_cause
from firewall.replay.remedy import remedy

_NAMED_LOSSES = 4


def cause_of(call: CallLog) -> str | None:
    """Return why the call went as it did; None for one that went well."""
    hurt_by, lost = call.hurt_by, loss_cause(call.ledger)
    if lost is not None:
        return lost
    if hurt_by is not None and call.outcome == "failed_downstream":
        return _trunk_cause(call, hurt_by)
    if hurt_by is not None and call.ledger is not None:
        return _joined(_our_doing(call, hurt_by, call.ledger), what_followed(call, call.ledger))
    if call.guarded is not None:
        return _joined(_guards_doing(call, call.guarded), how_it_failed(call))
    if call.blocked is not None and call.ledger is None:
        return _message_cause(call, call.blocked)
    how = how_it_failed(call)
    return f"{_passed(call)}; {how}" if how else None


def mend_of(call: CallLog) -> str | None:
    """Return what to change, here or at others; None where nothing went wrong."""
    hurt_by, ledger = call.hurt_by, call.ledger
    if call.outcome == "failed_downstream" and hurt_by is not None:
        return f"allow OPTIONS and their answers between these two addresses, then run sosgate lint {hurt_by['file']}"
    if hurt_by is not None and ledger is not None and hurt_by["reason"] == "forward_failed":
        receiver = (call.hurting or ledger)["dest_ip"]
        return f"nothing in the policy: see whether {receiver} can be reached, and the alarm forward_failed"
    if hurt_by is not None and ledger is not None:
        sender = (call.hurting or ledger)["src_ip"]
        mend = remedy(hurt_by["rule"], hurt_by["reason"], Place(hurt_by["file"], hurt_by["line"]), sender)
        stranger = f"nothing, if {sender} is no peer of yours; if it is one, "
        return f"{stranger}{mend}" if ledger["attribution"] == "attack" else mend
    blocked = call.blocked
    decided = call.guarded or (blocked if ledger is None and blocked and blocked["emergency"] else None)
    asked = whom_to_ask(call)
    if decided is not None:
        decision = decided["decision"]
        return _joined(
            remedy(decision["rule"], decision["reason"], call.place(decision), decided["src_ip"]), asked, also="and "
        )
    return _loss_mend(call) or (f"nothing in the policy: {asked}" if asked else None)


def _joined(first: str, then: str | None, *, also: str = "") -> str:
    return f"{first}; {also}{then}" if then else first


def _loss_mend(call: CallLog) -> str | None:
    losses: Sequence[LogRecord] = call.ledger.get("media_loss", ()) if call.ledger else ()
    reason = next((loss["reason"] for loss in losses if loss["reason"] is not None), None)
    if reason is None or not call.decisions:
        return None
    return remedy(None, reason, Place(call.place(call.decisions[0]["decision"]).file), losses[0]["src_ip"])


def _trunk_cause(call: CallLog, hurt_by: LogRecord) -> str:
    """Return the cause of a call that failed on a trunk whose keep-alive sosgate had blocked."""
    alarm = _trunk_alarm(call)
    said = alarm["alarm"]["message"] if alarm else _not_passed(hurt_by)
    at = f", at {alarm['timestamp']}" if alarm else ""
    failed = _joined(_passed(call), how_it_failed(call))
    return f"{failed}; before it{at}, sosgate itself took the trunk down: {said}"


def _trunk_alarm(call: CallLog) -> LogRecord | None:
    """Return the last blocked keep-alive between the two ends of a try at the call in the hour before it."""
    tries = [record for record in call.decisions if begins_call(record)] or ([call.ledger] if call.ledger else [])
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
    later = [message_words(each) for each in call.decisions[call.decisions.index(lost) :] if is_blocked(each)]
    others = [words for words in dict.fromkeys(later) if words != message_words(lost)]
    if not others:
        return None
    more = f" and {len(others) - _NAMED_LOSSES} more" if len(others) > _NAMED_LOSSES else ""
    return f"nor did it let {', '.join(others[:_NAMED_LOSSES])}{more} pass"


def _guards_doing(call: CallLog, guarded: LogRecord) -> str:
    return f"sosgate would have blocked {message_words(guarded)} ({_decided(call, guarded)}); the guard let it pass"


def _passed(call: CallLog) -> str:
    """Return that nothing of a call was blocked that its ends lack (the ACK of a refusal, say, is nothing such)."""
    lost = call.blocked
    if lost is None:
        return "sosgate let every message pass"
    return f"sosgate let every message pass but {message_words(lost)} ({_decided(call, lost)}), which harms nobody"
