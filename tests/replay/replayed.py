"""Captures replayed with all their records at hand."""

from dataclasses import dataclass

from firewall.engine.record import Record, SipDecision
from firewall.replay.driver import replay
from firewall.replay.report import ReplayReport
from firewall.ruleset.policy import Policy


@dataclass(frozen=True)
class ReplayResult:
    """The report, and every record that the daemon would have logged."""

    report: ReplayReport
    records: list[Record]

    @property
    def decisions(self) -> list[SipDecision]:
        """The decisions among the records, in the capture's order."""
        return [record for record in self.records if isinstance(record, SipDecision)]


def replay_capture(paths: list[str], policy: Policy) -> ReplayResult:
    records: list[Record] = []
    return ReplayResult(replay(paths, policy, log=records.append), records)
