"""A replay's findings as one JSON document (DESIGN section 7)."""

from typing import Any

import msgspec

from firewall.engine.record import DecisionFields
from firewall.replay.media_report import flow_changes
from firewall.replay.report import Change, PolicyTally, ReplayReport, sip_summary

_OF_A_DECISION = ("verdict", "enforced", "rule", "line", "reason")


def replay_document(report: ReplayReport) -> dict[str, Any]:
    """Return the findings as plain data. With ``--against``, ``against`` and ``changed`` are added."""
    document: dict[str, Any] = {"captures": msgspec.to_builtins(report.captures), **_tally(report.policy)}
    if report.against is not None:
        document["against"] = _tally(report.against)
        document["changed"] = [_change(change) for change in report.changed]
        flows = flow_changes(report.policy.media, report.against.media)
        document["media_changed"] = msgspec.to_builtins(flows)
    return document


def _tally(tally: PolicyTally) -> dict[str, Any]:
    policy = tally.policy
    return {
        "policy": {"name": policy.name, "file": policy.file, "sha256": policy.sha256},
        "verdicts": dict(tally.verdicts),
        "emergency": {
            "calls": tally.calls,
            "hurt": len(tally.hurt),
            "guarded": tally.guarded,
            "by_outcome": tally.by_outcome,
            "hurt_calls": msgspec.to_builtins(list(tally.hurt.values())),
        },
        "media": {
            "packets": dict(tally.media.packets),
            "dropped_by": dict(sorted(tally.media.refused.items())),
            "flows": msgspec.to_builtins(tally.media.flows),
        },
    }


def _change(change: Change) -> dict[str, Any]:
    sip = change.sip
    return {
        "capture": change.capture,
        "packet": change.packet,
        "timestamp": change.timestamp,
        "sip": {"message": sip_summary(sip), "call_id": sip.call_id if sip else None},
        "before": _decision(change.before),
        "after": _decision(change.after),
        "emergency": msgspec.to_builtins(change.emergency),
    }


def _decision(decision: DecisionFields | None) -> dict[str, Any] | None:
    return None if decision is None else {name: getattr(decision, name) for name in _OF_A_DECISION}
