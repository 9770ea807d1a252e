"""One call's story from the decision log: who sent what, what was decided, what became of it, and the cause.

Reads the records as the log has them (``engine/record.py``), of a live run or of a replay alike.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec

from firewall.engine.alarm import emergency_words
from firewall.engine.reasons import REASONS
from firewall.engine.record import LogRecord, check, decode
from firewall.engine.recording import endpoint_text, escaped, printable
from firewall.engine.timestamp import instant
from firewall.replay.call_log import CallLog, has_passed, message_words
from firewall.replay.cause import cause_of, mend_of
from firewall.replay.media_story import media_lines


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
    """One call. ``kind`` is ``call``, or of emergencies one such as ``emergency callback``. ``outcome`` and ``problem``
    are the ledger's last word, None for an ordinary call; ``others`` says how other attempts with its Call-ID ended;
    ``carried`` are its location and the like, in words; ``media`` has a line for each of its flows."""

    call_id: str
    kind: str
    steps: tuple[Step, ...]
    evidence: tuple[str, ...]
    carried: tuple[str, ...]
    outcome: str | None
    problem: str | None
    attribution: str | None
    cause: str | None
    mend: str | None
    others: str | None
    media: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LogLines:
    """The records of one call, how many lines of the log were no records, whether any was one, the alarms of blocked
    keep-alives, and the file of each policy by its sha256."""

    records: tuple[LogRecord, ...]
    unreadable_lines: int
    has_records: bool = True
    keep_alives: tuple[LogRecord, ...] = ()
    policy_files: Mapping[str, str] = field(default_factory=dict)


def call_records(lines: Iterable[bytes], call_id: str) -> LogLines:
    """Pick the records of one Call-ID out of a log; a line that is no record (a torn last one) is counted."""
    wanted: list[LogRecord] = []
    keep_alives: list[LogRecord] = []
    policy_files: dict[str, str] = {}
    unreadable = 0
    has_records = False
    for line in lines:
        if not line.strip():
            continue
        try:
            record = decode(line)
            is_wanted, kind = _is_named(_call_id(record), call_id), record["event_type"]
            has_records = True
            if not is_wanted and kind not in ("alarm", "policy"):
                continue
            check(record)
        except (msgspec.DecodeError, RecursionError, KeyError):
            unreadable += 1
            continue
        if is_wanted:
            wanted.append(record)
        elif kind == "policy" and record["policy"]["sha256"]:
            policy_files[record["policy"]["sha256"]] = record["policy"]["file"]
        elif kind == "alarm" and record["alarm"]["code"] == "keep_alive_blocked":
            keep_alives.append(record)
    return LogLines(tuple(wanted), unreadable, has_records, tuple(keep_alives), policy_files)


def tell(call_id: str, log: LogLines) -> Story | None:
    """Return the story that a log's lines tell of a call, None when there is neither a decision nor ledger in them."""
    decisions = [record for record in log.records if record["event_type"] == "sip_decision"]
    attempts = [record for record in log.records if record["event_type"] == "emergency_call"]
    ledger = _attempt(attempts)
    if not decisions and not ledger:
        return None
    last = ledger[-1] if ledger else None
    hurt_at = next((record["timestamp"] for record in ledger if record["hurt_by"]), None)
    emergency = next((record["emergency"] for record in (*decisions, *ledger) if record["emergency"]), None)
    known = CallLog(decisions, last, hurt_at, log.keep_alives, log.policy_files)
    return Story(
        call_id=call_id,
        kind=emergency_words(emergency["class"]) if emergency else "call",
        steps=tuple(_step(record, decisions[0]) for record in decisions),
        evidence=tuple(emergency["evidence"]) if emergency else (),
        carried=_carried(decisions),
        outcome=last["outcome"] if last else None,
        problem=last["problem"] if last else None,
        attribution=last["attribution"] if last else None,
        cause=cause_of(known),
        mend=mend_of(known),
        others=_other_attempts(attempts, ledger),
        media=media_lines(log.records),
    )


def _carried(decisions: list[LogRecord]) -> tuple[str, ...]:
    """Return what the requests that began the call carried beside the session, each thing once."""
    carried: dict[str, None] = {}
    for record in decisions:
        for data in (record["sip"] or {}).get("emergency_data", ()):
            where = "elsewhere" if data["content_type"] is None else f"in the body, {data['content_type']}"
            referring = f", by {data['referred_by'].title()}" if data["referred_by"] else ""
            carried[f"{data['kind'].replace('_', ' ')} ({where}{referring})"] = None
    return tuple(carried)


def _attempt(ledger: list[LogRecord]) -> list[LogRecord]:
    """Return the records of the attempt to tell of: the last one that was hurt, or the last one.

    A Call-ID has several where the caller tries again after a while, or sends a text message after another.
    """
    hurt = [record for record in ledger if record["hurt_by"]]
    started = (hurt or ledger)[-1]["started"] if ledger else None
    return [record for record in ledger if record["started"] == started]


def _other_attempts(ledger: list[LogRecord], told: list[LogRecord]) -> str | None:
    """Return how the attempts ended that are not told of: texts of a session, or whose Call-ID somebody forged."""
    outcomes = {record["started"]: record["outcome"] for record in ledger if record["started"] != told[0]["started"]}
    if not outcomes:
        return None
    ended = ", ".join(f"{count} {outcome}" for outcome, count in sorted(Counter(outcomes.values()).items()))
    return f"other attempts have this Call-ID: {ended}"


def _call_id(record: LogRecord) -> str | None:
    match record.get("event_type"):
        case "sip_decision":
            dialog = record.get("dialog")
            return dialog.get("call_id") if isinstance(dialog, dict) else None
        case "emergency_call" | "rtp_decision":
            return str(record.get("call_id"))
        case _:
            return None


def _is_named(logged: str | None, call_id: str) -> bool:
    """Tell whether this is the Call-ID of a record: as it is, or as it was shown to a person (``printable``)."""
    if logged is None or logged == call_id:
        return logged is not None
    is_as_shown = "\\x" in call_id or call_id.endswith("…")
    return is_as_shown and call_id in (escaped(logged), printable(logged))


def _step(record: LogRecord, first: LogRecord) -> Step:
    decision = record["decision"]
    guarded = "" if decision["enforced"] else f", but passed ({decision.get('override')})"
    return Step(
        at=record["timestamp"],
        seconds=(instant(record["timestamp"]) - instant(first["timestamp"])) / 1e9,
        source=endpoint_text(record["src_ip"], record["src_port"]),
        destination=endpoint_text(record["dest_ip"], record["dest_port"]),
        message=message_words(record) + _remark(record),
        passed=has_passed(record),
        verdict=f"{decision['verdict']}{guarded}",
        because=_because(decision),
    )


def _remark(record: LogRecord) -> str:
    """Return what a person must know of a message beside its first line."""
    dialog, sip = record["dialog"], record["sip"]
    if dialog.get("retransmission"):
        return " (again)"
    is_inside = sip is not None and sip.get("method") not in (None, "ACK") and bool(dialog.get("to_tag"))
    return " (of no dialog that is known)" if is_inside and dialog["state"] == "none" else ""


def _because(decision: LogRecord) -> str:
    """Return what decided, in the few words of a ladder."""
    if decision["rule"]:
        by = "ban by rule" if decision["reason"] == "banned" else "rule"
        return f'{by} "{decision["rule"]}", line {decision["line"]}'
    reason = REASONS.get(decision["reason"])
    return reason.title if reason else decision["reason"]
