"""Findings as diagnostics of the Language Server Protocol 3.17."""

from collections.abc import Sequence
from dataclasses import replace

from lsprotocol import types
from pygls.workspace import PositionCodec

from firewall.errors import Place, PolicyError
from firewall.lint.finding import Edit, Finding, Mark, Report
from firewall.lint.outcome import Unusable
from firewall.lint.rendering.sentence import witness_sentence

SOURCE = "sosgate"
_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
}
_UNNECESSARY = frozenset(("SOS201", "SOS202", "SOS206", "SOS211"))


class Coordinates:
    """Places of a text, 1-based in characters, as the positions a client counts, 0-based in its own units."""

    def __init__(self, lines: Sequence[str], codec: PositionCodec) -> None:
        self._lines = lines
        self._codec = codec

    def position(self, line: int, column: int) -> types.Position:
        """Return the client's position of a place; beyond the end of its line, that end."""
        index = line - 1
        bare = self._lines[index].rstrip("\r\n") if index < len(self._lines) else ""
        inside = types.Position(index, min(column - 1, len(bare)))
        return self._codec.position_to_client_units(self._lines, inside) if index < len(self._lines) else inside

    def range(self, stretch: Edit | Mark) -> types.Range:
        """Return the client's range of a stretch."""
        return types.Range(
            self.position(stretch.line, stretch.column), self.position(stretch.end_line, stretch.end_column)
        )

    def rest_of_line(self, place: Place) -> types.Range:
        """Return the range from a place to the end of its line, the first line where it names none."""
        line = place.line or 1
        text = self._lines[line - 1].partition(" #")[0].rstrip() if line <= len(self._lines) else ""
        column = place.column or len(text) - len(text.lstrip()) + 1
        return types.Range(self.position(line, column), self.position(line, max(len(text), column) + 1))


def findings_of(outcome: Report | PolicyError, path: str) -> tuple[Finding, ...]:
    """Return what there is to show: lint's findings, or why the policy cannot be used, be it for a list file of it."""
    if not isinstance(outcome, PolicyError):
        return outcome.findings
    found = Unusable(path, outcome).finding
    if found.place.file != path:
        found = replace(found, message=f"{found.place}: {found.message}", place=Place(path))
    return (found,)


def diagnostic(finding: Finding, uri: str, coordinates: Coordinates) -> types.Diagnostic:
    """Return a finding as a diagnostic: where it points first, the rest as related places."""
    if finding.marks:
        first, *others = finding.marks
        where = coordinates.range(first)
    else:
        others = []
        where = coordinates.rest_of_line(finding.place)
    witness = (f"witness: {witness_sentence(finding.witness)}",) if finding.witness is not None else ()
    return types.Diagnostic(
        range=where,
        message="\n".join((finding.message, *finding.because, *witness, f"help: {finding.help}")),
        severity=_SEVERITIES[finding.kind.severity],
        code=finding.code,
        source=SOURCE,
        tags=[types.DiagnosticTag.Unnecessary] if finding.code in _UNNECESSARY else None,
        related_information=[
            types.DiagnosticRelatedInformation(types.Location(uri, coordinates.range(mark)), mark.label or "and here")
            for mark in others
        ]
        or None,
    )
