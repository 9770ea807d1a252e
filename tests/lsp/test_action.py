from lsprotocol import types
from pygls.workspace import PositionCodec

from firewall.lsp.action import quick_fixes
from firewall.lsp.diagnostic import Coordinates
from tests.lint.policies import examined, rule, text

WRITTEN = text(
    rule('sip.Method == "CANCEL"'),
    emergency="emergency:\n  from: [carrier]\n  to: [psap]\n  flows: [voice]\n  guard: alert\n",
)
DOCUMENT = types.VersionedTextDocumentIdentifier(version=3, uri="file:///test.yaml")


def actions(first_line: int, last_line: int) -> list[types.CodeAction]:
    where = types.Range(types.Position(first_line, 0), types.Position(last_line, 0))
    at = Coordinates(WRITTEN.splitlines(True), PositionCodec())
    return list(quick_fixes(examined(WRITTEN).findings, where, DOCUMENT, at))


def test_only_the_fixes_of_the_range_are_offered_and_a_certain_one_is_preferred() -> None:
    line = WRITTEN.split("\n").index('    when: sip.Method == "CANCEL"')
    (certain,) = actions(line, line + 1)
    assert certain.title == 'Exempt emergency calls from rule "guilty" (SOS102)'
    assert certain.is_preferred
    everywhere = actions(0, line + 1)
    assert [action.is_preferred for action in everywhere] == [True, False]
    assert actions(line + 3, line + 4) == []


def test_a_fix_is_for_the_version_it_was_found_in() -> None:
    action = actions(0, 99)[0]
    assert action.edit is not None
    assert action.edit.document_changes is not None
    (change,) = action.edit.document_changes
    assert isinstance(change, types.TextDocumentEdit)
    assert change.text_document.version == 3
