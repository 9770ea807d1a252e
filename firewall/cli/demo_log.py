"""The decision log as the demo reads it: while it grows, and what it says about one round of calls."""

import time
from dataclasses import dataclass
from pathlib import Path

from firewall.engine.call import SECOND_NS
from firewall.engine.record import LogRecord, decode
from firewall.engine.timestamp import instant


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, and when it was first seen in the file (seconds since the epoch)."""

    record: LogRecord
    seen_at_s: float


class GrowingLog:
    """A decision log that a daemon is writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_bytes = 0
        self.entries: list[Entry] = []

    def update(self) -> list[Entry]:
        """Read what was added, and return all entries so far."""
        if self._path.exists():
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                added = file.read()
            whole_lines = added[: added.rfind(b"\n") + 1]
            self._read_bytes += len(whole_lines)
            seen_at_s = time.time()
            self.entries += [Entry(decode(line), seen_at_s) for line in whole_lines.splitlines()]
        return self.entries

    def since(self, start: int) -> list[Entry]:
        """Return the entries from number ``start`` on."""
        return self.update()[start:]


@dataclass(frozen=True, slots=True)
class RoundInLog:
    """What the log says about one round of calls."""

    entries: list[Entry]

    def decisions(self, *, source: str | None = None, call_id: str | None = None) -> list[LogRecord]:
        """Return the decisions on messages from an address, or of a call."""
        return [
            entry.record
            for entry in self._of_type("sip_decision")
            if (source is None or entry.record["src_ip"] == source)
            and (call_id is None or _call_id(entry.record) == call_id)
        ]

    def hurt_emergency_decisions(self) -> list[LogRecord]:
        """Return the decisions that did not allow a message of an emergency call."""
        return [
            record
            for record in self.decisions()
            if record["emergency"] is not None and record["decision"]["verdict"] != "allow"
        ]

    def alarm(self) -> Entry | None:
        """Return the first alarm about a blocked emergency call."""
        alarms = self._of_type("alarm")
        return next((entry for entry in alarms if entry.record["alarm"]["code"] == "emergency_blocked"), None)

    def alarm_delay_s(self) -> float | None:
        """Return how long after the message's arrival the alarm stood in the log, as measured by reading it."""
        alarm, hurt = self.alarm(), self.hurt_emergency_decisions()
        if alarm is None or not hurt:
            return None
        return alarm.seen_at_s - instant(hurt[0]["timestamp"]) / SECOND_NS

    def outcomes(self) -> list[str]:
        """Return the outcomes of emergency calls, in the order they were told."""
        return [str(entry.record["outcome"]) for entry in self._of_type("emergency_call")]

    def policy_actions(self) -> list[str]:
        """Return what became of policies: ``loaded applied refused``."""
        return [str(entry.record["policy"]["action"]) for entry in self._of_type("policy")]

    def _of_type(self, event_type: str) -> list[Entry]:
        return [entry for entry in self.entries if entry.record["event_type"] == event_type]


def _call_id(record: LogRecord) -> str | None:
    sip = record["sip"]
    return sip.get("call_id") if sip else None
