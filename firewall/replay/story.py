"""One call's story from the decision log: who sent what, what was decided, what became of it, and the cause.

Reads the records as the log has them (``engine/record.py``), of a live run or of a replay alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from firewall.engine.reasons import REASONS
from firewall.engine.record import decode

LogRecord = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One message: when (the log's timestamp), between whom, what it was, and the decision in words."""

    at: str
    source: str
    destination: str
    message: str
    verdict: str
    because: str


@dataclass(frozen=True, slots=True)
class Story:
    """One call. ``outcome`` and ``problem`` are the ledger's last word, None for an ordinary call."""

    call_id: str
    steps: tuple[Step, ...]
    evidence: tuple[str, ...]
    outcome: str | None
    problem: str | None
    cause: str | None
    mend: str | None


@dataclass(frozen=True, slots=True)
class LogLines:
    """The records of one call, and how many lines of the log were no records."""

    records: tuple[LogRecord, ...]
    unreadable_lines: int


def call_records(lines: Iterable[bytes], call_id: str) -> LogLines:
    """Pick the records of one Call-ID out of a log; a line that is no record (a torn last one) is counted."""
    wanted: list[LogRecord] = []
    unreadable = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            record = decode(line)
        except msgspec.DecodeError:
            unreadable += 1
            continue
        if _call_id(record) == call_id:
            wanted.append(record)
    return LogLines(tuple(wanted), unreadable)


def tell(call_id: str, records: Iterable[LogRecord]) -> Story | None:
    """Return the story that records tell of a call, None when there is no decision among them."""
    decisions = [record for record in records if record["event_type"] == "sip_decision"]
    ledger = [record for record in records if record["event_type"] == "emergency_call"]
    if not decisions:
        return None
    hurt_by = next((record["hurt_by"] for record in ledger if record.get("hurt_by")), None)
    guarded = next((record for record in decisions if not record["decision"]["enforced"]), None)
    emergency = next((record["emergency"] for record in decisions if record["emergency"]), None)
    return Story(
        call_id=call_id,
        steps=tuple(_step(record) for record in decisions),
        evidence=tuple(emergency["evidence"]) if emergency else (),
        outcome=ledger[-1]["outcome"] if ledger else None,
        problem=ledger[-1]["problem"] if ledger else None,
        cause=_cause(decisions, hurt_by, guarded),
        mend=_mend(hurt_by, guarded),
    )


def _call_id(record: LogRecord) -> str | None:
    match record.get("event_type"):
        case "sip_decision":
            dialog = record.get("dialog")
            return dialog["call_id"] if dialog else None
        case "emergency_call":
            return str(record.get("call_id"))
        case _:
            return None


def _step(record: LogRecord) -> Step:
    sip, decision = record["sip"], record["decision"]
    message = sip.get("request_line") or sip.get("response_line") or ""
    verdict = decision["verdict"]
    if not decision["enforced"]:
        verdict = f"{verdict}, but passed ({decision['override']})"
    return Step(
        at=record["timestamp"],
        source=_endpoint(record["src_ip"], record["src_port"]),
        destination=_endpoint(record["dest_ip"], record["dest_port"]),
        message=message.removesuffix(" SIP/2.0").removeprefix("SIP/2.0 "),
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


def _cause(decisions: list[LogRecord], hurt_by: LogRecord | None, guarded: LogRecord | None) -> str | None:
    if hurt_by is not None:
        who = f'rule "{hurt_by["rule"]}"' if hurt_by["rule"] else f"reason {hurt_by['reason']}"
        where = f"{hurt_by['file']}:{hurt_by['line']}" if hurt_by["line"] else hurt_by["file"]
        return f"sosgate did not let {hurt_by['message']} pass: {hurt_by['verdict']} by {who} ({where})"
    if guarded is not None:
        return f"{_because(guarded['decision'])} would have blocked this call; the guard let it pass"
    blocked = next((record for record in decisions if record["decision"]["verdict"] != "allow"), None)
    if blocked is not None:
        step = _step(blocked)
        return f"sosgate did not let {step.message} pass: {step.verdict} by {step.because}"
    final = next((r["sip"] for r in reversed(decisions) if int(r["sip"].get("code", "0")) >= 300), None)
    if final is not None:
        return f"sosgate let every message pass; the called side answered {final['code']} {final['reason']}"
    if not any(record["sip"].get("code") for record in decisions):
        return "sosgate let every message pass; the called side never answered"
    return None


def _mend(hurt_by: LogRecord | None, guarded: LogRecord | None) -> str | None:
    rule = hurt_by["rule"] if hurt_by else guarded["decision"]["rule"] if guarded else None
    if rule:
        return f'add "and not emergency" to the condition of rule "{rule}", then run sosgate lint'
    if hurt_by is not None and hurt_by["reason"] == "default":
        return "add a rule that allows this message between these zones, then run sosgate lint"
    return None
