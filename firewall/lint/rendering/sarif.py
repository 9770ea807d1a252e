"""SARIF 2.1.0 (OASIS), as code-scanning services read it. Section numbers are those of the standard."""

from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from firewall import __version__
from firewall.lint.codes import CODES, Code
from firewall.lint.finding import Edit, Finding, Fix, Mark
from firewall.lint.outcome import Outcome, all_findings, all_suppressed
from firewall.lint.rendering.sentence import witness_sentence

_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def sarif_document(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the document of one run. What a comment ignores is a result with a suppression (§3.27.23)."""
    driver = {"name": "sosgate", "version": __version__, "rules": [_rule(code) for code in CODES.values()]}
    results = [_result(finding) for finding in all_findings(outcomes)]
    results += [
        {**_result(each.finding), "suppressions": [{"kind": "inSource", "justification": each.reason}]}
        for each in all_suppressed(outcomes)
    ]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(code: Code) -> dict[str, Any]:
    example = f"\n\n```diff\n{code.example}```" if code.example else ""
    return {
        "id": code.code,
        "name": code.name,
        "shortDescription": {"text": code.title},
        "fullDescription": {"text": code.why},
        "help": {"text": code.mend, "markdown": code.mend + example},
        "defaultConfiguration": {"level": _LEVELS[code.severity]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    witness = f"\nWitness: {witness_sentence(finding.witness)}" if finding.witness is not None else ""
    result = {
        "ruleId": finding.code,
        "ruleIndex": list(CODES).index(finding.code),
        "level": _LEVELS[finding.kind.severity],
        "message": {"text": f"{finding.message}{witness}\nHelp: {finding.help}"},
        "locations": [_location(finding)],
        "partialFingerprints": {"codeAndRule/v1": ":".join(finding.identity)},
    }
    if finding.marks:
        result["relatedLocations"] = [_related(finding, mark) for mark in finding.marks]
    if finding.fix is not None:
        result["fixes"] = [_fix(finding, finding.fix)]
    return result


def _location(finding: Finding) -> dict[str, Any]:
    place = finding.place
    region = {} if place.line is None else {"region": {"startLine": place.line, "startColumn": place.column or 1}}
    return {"physicalLocation": {"artifactLocation": _artifact(finding), **region}}


def _related(finding: Finding, mark: Mark) -> dict[str, Any]:
    message = {"message": {"text": mark.label}} if mark.label else {}
    return {"physicalLocation": {"artifactLocation": _artifact(finding), "region": _region(mark)}, **message}


def _fix(finding: Finding, fix: Fix) -> dict[str, Any]:
    replacements = [{"deletedRegion": _region(edit), "insertedContent": {"text": edit.text}} for edit in fix.edits]
    return {
        "description": {"text": fix.description},
        "artifactChanges": [{"artifactLocation": _artifact(finding), "replacements": replacements}],
    }


def _artifact(finding: Finding) -> dict[str, Any]:
    """Return where a file is (§3.4.3): as it was named, an absolute path with its scheme."""
    path = PurePath(finding.place.file)
    return {"uri": path.as_uri() if path.is_absolute() else quote(bytes(path))}


def _region(stretch: Edit | Mark) -> dict[str, int]:
    """Return a region (§3.30): columns begin with 1, the end column is the one behind the last character."""
    return {
        "startLine": stretch.line,
        "startColumn": stretch.column,
        "endLine": stretch.end_line,
        "endColumn": stretch.end_column,
    }
