"""SARIF 2.1.0 (OASIS), as code-scanning services read it."""

from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from firewall import __version__
from firewall.lint.codes import CODES, Code
from firewall.lint.finding import Finding
from firewall.lint.outcome import Outcome, all_findings
from firewall.lint.rendering.sentence import witness_sentence

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif_document(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the document of one run."""
    driver = {"name": "sosgate", "version": __version__, "rules": [_rule(code) for code in CODES.values()]}
    results = [_result(finding) for finding in all_findings(outcomes)]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(code: Code) -> dict[str, Any]:
    return {
        "id": code.code,
        "name": code.name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {"text": code.mend},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    place = finding.place
    region = {} if place.line is None else {"region": {"startLine": place.line, "startColumn": place.column or 1}}
    witness = f"\nWitness: {witness_sentence(finding.witness)}" if finding.witness is not None else ""
    return {
        "ruleId": finding.code,
        "ruleIndex": list(CODES).index(finding.code),
        "level": _LEVELS[finding.kind.severity],
        "message": {"text": f"{finding.message}{witness}\nHelp: {finding.help}"},
        "locations": [
            {"physicalLocation": {"artifactLocation": {"uri": quote(PurePath(place.file).as_posix())}, **region}}
        ],
    }
