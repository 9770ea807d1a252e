"""One call's story from the decision log: who sent what, what was decided, what became of it, and the cause.

Reads the records as the log has them (``engine/record.py``), of a live run or of a replay alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from firewall.engine.reasons import REASONS
from firewall.engine.record import decode
from firewall.engine.timestamp import instant
from firewall.replay.media_story import loss_cause, media_lines, setting_to_mend

LogRecord = dict[str, Any]
_HOUR_NS = 3600 * 1_000_000_000

# What the loss of a message does to the call, as the two ends see it.
_CONSEQUENCES = {
    "ACK": "without it the called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "PRACK": "without it the call does not get beyond ringing and fails after 32 seconds",  # RFC 3262 §3
    "BYE": "without it the other side goes on with a call that is over",  # RFC 3261 §15.1
    # RFC 3261 §9.1
    "CANCEL": "without it the called side goes on ringing for a caller who has hung up, and may answer nobody",
    # RFC 6086 §4.2.2
    "INFO": "without it the other side does not learn what it says (a dialled digit, a location); the call goes on",
    "UPDATE": "without it the session stays as it was: a hold, a change of media or a session refresh did not happen, "
    "and a session timer may end the call",  # RFC 3311 §5.1, RFC 4028 §10
    "REFER": "without it the call is not transferred and stays where it is",  # RFC 3515 §2.4
    "OPTIONS": "without it the other side may take the trunk out of service",
    "MESSAGE": "without it the text never reaches the called side",  # RFC 3428 §4
    "re-INVITE": "without it the session stays as it was: a hold, a change of media or a session refresh did not "
    "happen, and a session timer may end the call",  # RFC 3261 §14.1, RFC 4028 §10
}
# The same of responses to INVITE, by status: an exact one before its class.
_LOST_RESPONSES = {
    "100": "without it the caller's side goes on sending the INVITE, and gives up after 32 seconds if no other "
    "response comes",  # RFC 3261 §17.1.1.2
    "183": "without it the caller hears nothing before the answer (no announcement, no ringing tone)",
    "1": "without it the caller hears no ringing and may hang up, though the called side rings",  # RFC 3261 §13.2.2.1
    "2": "without it the called side has answered and the caller does not know: the caller goes on waiting, and the "
    "called side ends the call after 32 seconds",  # RFC 3261 §13.3.1.4
    "3": "without it the caller does not learn where else to try and waits until the call times out",
    "": "without it the caller does not learn that the call was refused, tries nobody else and waits in vain",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One message: when (the log's timestamp, and seconds since the first), between whom, and the decision in words."""

    at: str
    seconds: float
    source: str
    destination: str
    message: str
    passed: bool
    verdict: str
    because: str


@dataclass(frozen=True, slots=True)
class Story:
    """One call. ``outcome`` and ``problem`` are the ledger's last word, None for an ordinary call; ``media`` has a line
    for each of its flows."""

    call_id: str
    steps: tuple[Step, ...]
    evidence: tuple[str, ...]
    outcome: str | None
    problem: str | None
    attribution: str | None
    cause: str | None
    mend: str | None
    media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLines:
    """The records of one call, how many lines of the log were no records, and the alarms of blocked keep-alives."""

    records: tuple[LogRecord, ...]
    unreadable_lines: int
    keep_alives: tuple[LogRecord, ...] = ()


def call_records(lines: Iterable[bytes], call_id: str) -> LogLines:
    """Pick the records of one Call-ID out of a log; a line that is no record (a torn last one) is counted."""
    wanted: list[LogRecord] = []
    keep_alives: list[LogRecord] = []
    unreadable = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            record = decode(line)
        except (msgspec.DecodeError, RecursionError):
            unreadable += 1
            continue
        if _call_id(record) == call_id:
            wanted.append(record)
        elif record.get("event_type") == "alarm" and record["alarm"].get("code") == "keep_alive_blocked":
            keep_alives.append(record)
    return LogLines(tuple(wanted), unreadable, tuple(keep_alives))


def tell(call_id: str, records: Iterable[LogRecord], keep_alives: Iterable[LogRecord] = ()) -> Story | None:
    """Return the story that records tell of a call, None when there is no decision among them.

    ``keep_alives``: the log's alarms of blocked keep-alives, which say when a trunk was taken down.
    """
    records = tuple(records)
    decisions = [record for record in records if record["event_type"] == "sip_decision"]
    ledger = [record for record in records if record["event_type"] == "emergency_call"]
    if not decisions:
        return None
    last = ledger[-1] if ledger else None
    hurt_by = last["hurt_by"] if last else None
    guarded = next((record for record in decisions if not record["decision"]["enforced"]), None)
    emergency = next((record["emergency"] for record in decisions if record["emergency"]), None)
    cause, mend = _cause(decisions, last, guarded), _mend(last, hurt_by, guarded)
    if last is not None and hurt_by is not None and last["outcome"] == "failed_downstream":
        cause = _trunk_cause(decisions, last, keep_alives)
        mend = "allow OPTIONS and their answers between these two addresses, then run sosgate lint"
    return Story(
        call_id=call_id,
        steps=tuple(_step(record, decisions[0]) for record in decisions),
        evidence=tuple(emergency["evidence"]) if emergency else (),
        outcome=last["outcome"] if last else None,
        problem=last["problem"] if last else None,
        attribution=last["attribution"] if last else None,
        cause=cause,
        mend=mend,
        media=media_lines(records),
    )


def _trunk_cause(decisions: list[LogRecord], ledger: LogRecord, keep_alives: Iterable[LogRecord]) -> str:
    """Return the cause of a call that failed on a trunk whose keep-alive sosgate had blocked."""
    alarm = _trunk_alarm(decisions[0], keep_alives)
    said = alarm["alarm"]["message"] if alarm else _our_doing(ledger["hurt_by"], "", is_first=False)
    at = f", at {alarm['timestamp']}" if alarm else ""
    return f"{_others_doing(decisions, ledger)}; before it{at}, sosgate itself took the trunk down: {said}"


def _trunk_alarm(first: LogRecord, keep_alives: Iterable[LogRecord]) -> LogRecord | None:
    """Return the last blocked keep-alive between the call's two ends in the hour before it."""
    ends, begin_ns = {first["src_ip"], first["dest_ip"]}, instant(first["timestamp"])
    before = [
        alarm
        for alarm in keep_alives
        if {alarm["src_ip"], alarm["dest_ip"]} == ends and 0 <= begin_ns - instant(alarm["timestamp"]) <= _HOUR_NS
    ]
    return before[-1] if before else None


def _call_id(record: LogRecord) -> str | None:
    match record.get("event_type"):
        case "sip_decision":
            dialog = record.get("dialog")
            return dialog["call_id"] if dialog else None
        case "emergency_call" | "rtp_decision":
            return str(record.get("call_id"))
        case _:
            return None


def _step(record: LogRecord, first: LogRecord) -> Step:
    sip, decision = record["sip"], record["decision"]
    message = sip.get("request_line") or sip.get("response_line") or ""
    verdict = decision["verdict"]
    if not decision["enforced"]:
        verdict = f"{verdict}, but passed ({decision['override']})"
    return Step(
        at=record["timestamp"],
        seconds=(instant(record["timestamp"]) - instant(first["timestamp"])) / 1e9,
        source=_endpoint(record["src_ip"], record["src_port"]),
        destination=_endpoint(record["dest_ip"], record["dest_port"]),
        message=message.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 ")
        + (" (again)" if record["dialog"].get("retransmission") else ""),
        passed=decision["verdict"] == "allow" or not decision["enforced"],
        verdict=verdict,
        because=_because(decision),
    )


def _endpoint(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _because(decision: LogRecord) -> str:
    if decision["rule"]:
        return f'rule "{decision["rule"]}", line {decision["line"]}'
    reason = REASONS.get(decision["reason"])
    return reason.title if reason else decision["reason"]


def _cause(decisions: list[LogRecord], ledger: LogRecord | None, guarded: LogRecord | None) -> str | None:
    hurt_by = ledger["hurt_by"] if ledger else None
    lost = loss_cause(ledger)
    if lost is not None:
        return lost
    if hurt_by is not None:
        is_first = ledger is not None and ledger["problem"] == "InitialTrafficBlocked"
        return _our_doing(hurt_by, str(ledger["attribution"]) if ledger else "", is_first=is_first)
    if guarded is not None:
        return f"{_because(guarded['decision'])} would have blocked this call; the guard let it pass"
    blocked = next((record for record in decisions if record["decision"]["verdict"] != "allow"), None)
    if blocked is not None:
        step = _step(blocked, blocked)
        cause = f"sosgate did not let {step.message} pass: {step.verdict} by {step.because}"
        sip, cseq = blocked["sip"], str(blocked["sip"].get("cseq", ""))
        lost = sip.get("method") or f"{sip.get('code')} ({cseq.rpartition(' ')[2]})"
        consequence = _consequence(lost, is_first=not blocked["dialog"].get("to_tag"))
        return f"{cause}; {consequence}" if consequence else cause
    return _others_doing(decisions, ledger)


def _our_doing(hurt_by: LogRecord, attribution: str, *, is_first: bool) -> str:
    who = f'rule "{hurt_by["rule"]}"' if hurt_by["rule"] else f"reason {hurt_by['reason']}"
    where = f"{hurt_by['file']}:{hurt_by['line']}" if hurt_by["line"] else hurt_by["file"]
    cause = f"sosgate did not let {hurt_by['message']} pass: {hurt_by['verdict']} by {who} ({where})"
    if hurt_by["reason"] == "forward_failed":
        cause = f"sosgate let {hurt_by['message']} pass, and it could not be sent on (reason forward_failed)"
    if attribution == "attack":
        return f"{cause}, which had banned this address; no call from it ever passed before: taken for an attack"
    consequence = _consequence(str(hurt_by["message"]), is_first=is_first)
    if str(hurt_by["reason"]).startswith("media_") or " to " in str(hurt_by["message"]):
        consequence = consequence or "the call connects, and nobody is heard"
    return f"{cause}; {consequence}" if consequence else cause


def _consequence(message: str, *, is_first: bool) -> str | None:
    """Return what the call's two ends experience when a message (``INVITE URI`` or ``200 OK (1 INVITE)``) is lost."""
    first_word, _, rest = message.partition(" ")
    if not first_word.isdigit():
        method = "re-INVITE" if first_word == "INVITE" and not is_first else first_word
        return _CONSEQUENCES.get(method)
    method = rest.rstrip(")").rpartition(" ")[2].lstrip("(")
    if method != "INVITE":
        return f"without it the side that sent the {method} sends it again and gives up after 32 seconds"
    return next(
        (text for status, text in _LOST_RESPONSES.items() if status and first_word.startswith(status)),
        _LOST_RESPONSES[""],
    )


def _others_doing(decisions: list[LogRecord], ledger: LogRecord | None) -> str | None:
    outcome = ledger["outcome"] if ledger else None
    if outcome == "abandoned":
        return "sosgate let every message pass; the caller hung up before an answer"
    if outcome == "in_progress":
        return None
    if outcome == "impaired":
        return "sosgate let every message pass; nobody acknowledged the answer, so the called side gave up after 32 s"
    final = next((r["sip"] for r in reversed(decisions) if int(r["sip"].get("code", "0")) >= 300), None)
    if final is not None and outcome in (None, "failed_downstream"):
        did = "redirected the call with" if final["code"].startswith("3") else "answered"
        return f"sosgate let every message pass; the called side {did} {final['code']} {final['reason']}"
    if outcome == "failed_downstream" or not any(record["sip"].get("code") for record in decisions):
        return "sosgate let every message pass; the called side never answered"
    return None


def _mend(ledger: LogRecord | None, hurt_by: LogRecord | None, guarded: LogRecord | None) -> str | None:
    rule = hurt_by["rule"] if hurt_by else guarded["decision"]["rule"] if guarded else None
    if rule:
        return f'add "and not emergency" to the condition of rule "{rule}", then run sosgate lint'
    if hurt_by is not None and hurt_by["reason"] == "default":
        return "add a rule that allows this message between these zones, then run sosgate lint"
    losses = ledger.get("media_loss", ()) if ledger else ()
    reasons = [hurt_by["reason"]] if hurt_by is not None else [loss["reason"] for loss in losses]
    return next((mend for reason in reasons if (mend := setting_to_mend(reason)) is not None), None)
