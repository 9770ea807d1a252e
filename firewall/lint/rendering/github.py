"""Annotations for GitHub's workflow log: one line for each finding (workflow commands)."""

from firewall.lint.finding import Finding
from firewall.lint.outcome import Outcome, all_findings
from firewall.lint.rendering.sentence import witness_sentence

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}


def annotations(outcomes: list[Outcome]) -> list[str]:
    """Return one annotation for each finding."""
    return [_annotation(finding) for finding in all_findings(outcomes)]


def _annotation(finding: Finding) -> str:
    kind, place = finding.kind, finding.place
    properties = {"file": place.file, "line": place.line, "col": place.column, "title": f"{kind.code} {kind.name}"}
    shown = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None)
    witness = f"\nwitness: {witness_sentence(finding.witness)}" if finding.witness is not None else ""
    return f"::{_COMMANDS[kind.severity]} {shown}::{_data(f'{finding.message}{witness}{chr(10)}help: {finding.help}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
