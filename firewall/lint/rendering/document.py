"""The JSON document of ``sosgate lint --format json`` (DESIGN section 7)."""

from dataclasses import asdict
from typing import Any

from firewall.lint.finding import Finding, Fix, Suppressed, Witness
from firewall.lint.outcome import Outcome, all_findings, all_suppressed, result
from firewall.lint.rendering.sentence import packet_fields, witness_sentence


def lint_document(outcomes: list[Outcome], captures: dict[Finding, str]) -> dict[str, Any]:
    """Return the document; ``captures`` are the files that witnesses were written to."""
    return {
        "result": result(outcomes),
        "findings": [_finding(finding, captures.get(finding)) for finding in all_findings(outcomes)],
        "suppressed": [_suppressed(each) for each in all_suppressed(outcomes)],
    }


def _finding(finding: Finding, capture: str | None) -> dict[str, Any]:
    kind = finding.kind
    return {
        "code": kind.code,
        "name": kind.name,
        "severity": kind.severity,
        "message": finding.message,
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "rule": finding.rule,
        "witness": _witness(finding.witness, capture) if finding.witness is not None else None,
        "help": finding.help,
        "fix": _fix(finding.fix) if finding.fix is not None else None,
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "description": fix.description,
        "certain": fix.is_certain,
        "edits": [asdict(edit) for edit in fix.edits],
    }


def _suppressed(suppressed: Suppressed) -> dict[str, Any]:
    finding = suppressed.finding
    return {
        "code": finding.code,
        "message": finding.message,
        "file": finding.place.file,
        "line": finding.place.line,
        "rule": finding.rule,
        "reason": suppressed.reason,
        "ignored_at": suppressed.line,
    }


def _witness(witness: Witness, capture: str | None) -> dict[str, Any]:
    mark = witness.emergency
    return {
        "summary": witness_sentence(witness),
        "probe": witness.name,
        "message": witness.text,
        "messages": len(witness.sent),
        **packet_fields(witness.blocked),
        "verdict": witness.verdict,
        "reason": witness.reason,
        "emergency": None
        if mark is None
        else {"class": mark.emergency_class, "service": mark.service, "evidence": list(mark.evidence)},
        "pcap": capture,
    }
