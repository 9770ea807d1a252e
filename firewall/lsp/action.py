"""Fixes as quick fixes of the Language Server Protocol 3.17."""

from collections.abc import Iterable, Iterator

from lsprotocol import types

from firewall.lint.finding import Finding
from firewall.lsp.diagnostic import Coordinates, diagnostic


def quick_fixes(
    findings: Iterable[Finding], wanted: types.Range, document: types.VersionedTextDocumentIdentifier, at: Coordinates
) -> Iterator[types.CodeAction]:
    """Yield the fix of each finding that lies in a range. One that a person has to weigh is not the preferred one."""
    for finding in findings:
        shown = diagnostic(finding, document.uri, at)
        if finding.fix is None or not _meet(shown.range, wanted):
            continue
        edits = [types.TextEdit(at.range(edit), edit.text) for edit in finding.fix.edits]
        changed = types.TextDocumentEdit(
            types.OptionalVersionedTextDocumentIdentifier(document.uri, document.version), list(edits)
        )
        yield types.CodeAction(
            title=f"{finding.fix.description} ({finding.code})",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[shown],
            is_preferred=finding.fix.is_certain,
            edit=types.WorkspaceEdit(document_changes=[changed]),
        )


def _meet(one: types.Range, other: types.Range) -> bool:
    return one.start <= other.end and other.start <= one.end
