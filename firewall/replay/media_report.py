"""What became of media in a replay, from the engine's own records: how each flow arrived, what did not pass."""

from collections import Counter
from dataclasses import dataclass
from typing import get_args

from firewall.engine.record import RtpDecision, StreamFields
from firewall.engine.way import Refusal

# Decisions that are the policy's doing; the others are about senders that the call does not know.
OWN_REASONS = frozenset({"rule", "media_timeout", *get_args(Refusal)})
_ENDS = ("closed", "ended")


@dataclass(frozen=True, slots=True)
class FlowQuality:
    """One media flow that had packets.

    ``verdict`` is what was decided on it; where the guard or a shadow policy let it, it ``passed`` all the same.
    ``streams`` are its RTP sources.
    """

    call_id: str | None
    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    kind: str
    protocol: str
    verdict: str
    reason: str
    rule: str | None
    passed: bool
    packets: int
    octets: int
    is_emergency: bool
    streams: tuple[StreamFields, ...]
    anomalies: tuple[str, ...]


class MediaTally:
    """The flows of one policy's replay; those of one capture after the other."""

    def __init__(self) -> None:
        self.flows: list[FlowQuality] = []
        self.packets: Counter[str] = Counter(allow=0, drop=0)
        """Packets by what became of them: a flow that the guard or a shadow policy let pass passed."""
        self.refused: Counter[str] = Counter()
        """Dropped packets by rule or reason."""

    def take(self, record: RtpDecision) -> None:
        """Count a flow when it has ended."""
        if record.state not in _ENDS or not record.rtp.packets:
            return
        decision, rtp = record.decision, record.rtp
        passes = decision.verdict == "allow" or not decision.enforced
        self.packets["allow" if passes else "drop"] += rtp.packets
        if not passes:
            self.refused[decision.rule or decision.reason] += rtp.packets
        self.flows.append(
            FlowQuality(
                record.call_id,
                record.src_ip,
                record.src_port,
                record.dest_ip,
                record.dest_port,
                rtp.kind,
                rtp.protocol,
                decision.verdict,
                decision.reason,
                decision.rule,
                passes,
                rtp.packets,
                rtp.octets,
                record.emergency is not None,
                rtp.streams,
                record.anomalies,
            )
        )


@dataclass(frozen=True, slots=True)
class FlowChange:
    """A flow that passes under one policy and not under the other. None where that policy took it for no media."""

    before: FlowQuality | None
    after: FlowQuality | None


def flow_changes(before: MediaTally, after: MediaTally) -> list[FlowChange]:
    """Return the flows of which two policies let pass different ones; one that is no media to a policy passes."""
    ours, theirs = _by_ends(before.flows), _by_ends(after.flows)
    changes = []
    for ends in dict.fromkeys((*ours, *theirs)):
        one, other = ours.get(ends), theirs.get(ends)
        if (one is None or one.passed) != (other is None or other.passed):
            changes.append(FlowChange(one, other))
    return changes


def _by_ends(flows: list[FlowQuality]) -> dict[tuple[str, int, str, int], FlowQuality]:
    """Flows by their ends; of several between the same ends, the one that did not pass."""
    found: dict[tuple[str, int, str, int], FlowQuality] = {}
    for flow in flows:
        ends = (flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port)
        if ends not in found or not flow.passed:
            found[ends] = flow
    return found
