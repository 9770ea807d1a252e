"""The decision log as the demo reads it."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from firewall.cli.demo_log import Entry, GrowingLog, RoundInLog

BEGUN_S = 1_800_000_000.0
MARK = {"class": "call", "service": "urn:service:sos", "evidence": []}


def decision(
    call_id: str, verdict: str, emergency: dict[str, Any] | None, source: str = "192.0.2.10"
) -> dict[str, Any]:
    return {
        "event_type": "sip_decision",
        "timestamp": "2027-01-15T08:00:00.000000+0000",
        "src_ip": source,
        "sip": {"call_id": call_id},
        "decision": {"verdict": verdict},
        "emergency": emergency,
    }


ALARM = {"event_type": "alarm", "alarm": {"code": "emergency_blocked", "rule": "r", "file": "p", "line": 3}}


def in_log(*records: dict[str, Any], seen_at_s: float = BEGUN_S) -> RoundInLog:
    return RoundInLog([Entry(record, seen_at_s) for record in records])


def test_a_line_is_read_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    log = GrowingLog(path)
    assert log.update() == []
    line = json.dumps(ALARM).encode()
    path.write_bytes(line[:20])
    assert log.update() == []
    path.write_bytes(line + b"\n" + line[:5])
    assert [entry.record for entry in log.update()] == [ALARM]
    assert [entry.record for entry in log.update()] == [ALARM]
    assert log.since(1) == []


def test_an_entry_knows_when_it_was_first_seen(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    path.write_text(json.dumps(ALARM) + "\n")
    before_s = time.time()
    log = GrowingLog(path)
    seen_at_s = log.update()[0].seen_at_s
    assert before_s <= seen_at_s <= time.time()
    assert log.update()[0].seen_at_s == seen_at_s


def test_the_alarms_delay_is_from_the_messages_arrival_to_the_reading() -> None:
    hurt = decision("a", "drop", MARK)
    assert in_log(hurt, ALARM, seen_at_s=BEGUN_S + 0.25).alarm_delay_s() == pytest.approx(0.25)


def test_without_an_alarm_there_is_no_delay() -> None:
    assert in_log(decision("a", "drop", MARK)).alarm_delay_s() is None


def test_only_an_emergency_call_that_was_not_allowed_counts_as_hurt() -> None:
    hurt = decision("a", "reject", MARK)
    found = in_log(decision("b", "drop", None), decision("c", "allow", MARK), hurt)
    assert found.hurt_emergency_decisions() == [hurt]


def test_decisions_are_found_by_source_and_by_call() -> None:
    first, second = decision("a", "allow", None), decision("b", "drop", None, "203.0.113.66")
    malformed = decision("", "drop", None) | {"sip": None}
    found = in_log(first, second, malformed)
    assert found.decisions(source="203.0.113.66") == [second]
    assert found.decisions(call_id="a") == [first]


def test_outcomes_and_policy_changes_are_told_in_order() -> None:
    found = in_log(
        {"event_type": "policy", "policy": {"action": "loaded"}},
        {"event_type": "emergency_call", "outcome": "blocked"},
        {"event_type": "emergency_call", "outcome": "completed"},
    )
    assert found.outcomes() == ["blocked", "completed"]
    assert found.policy_actions() == ["loaded"]
