from lsprotocol import types
from pygls.workspace import PositionCodec

from firewall.errors import Place, PolicyError
from firewall.lsp.diagnostic import Coordinates, diagnostic, findings_of
from tests.lint.policies import examined, rule, text

URI = "file:///test.yaml"


def coordinates(written: str) -> Coordinates:
    return Coordinates(written.splitlines(True), PositionCodec())


def test_a_limit_points_at_the_condition_and_relates_the_limit() -> None:
    written = text(rule('sip.Method == "INVITE"', more="limit: {rate: 2/1s}"))
    (finding,) = (each for each in examined(written).findings if each.code == "SOS103")
    shown = diagnostic(finding, URI, coordinates(written))
    assert shown.range == types.Range(types.Position(7, 10), types.Position(7, 32))
    assert shown.severity == types.DiagnosticSeverity.Error
    assert shown.related_information is not None
    (limit,) = shown.related_information
    assert limit.location.range.start == types.Position(9, 11)
    assert limit.message == "and there are more of them than this"


def test_what_is_not_needed_is_tagged_so() -> None:
    written = text(extra="sets: {lost: {values: [b]}}\n")
    (finding,) = examined(written).findings
    assert diagnostic(finding, URI, coordinates(written)).tags == [types.DiagnosticTag.Unnecessary]


def test_an_error_without_a_place_or_in_a_list_file_stands_at_the_top() -> None:
    (whole,) = findings_of(PolicyError("the policy is empty", place=Place("test.yaml")), "test.yaml")
    assert diagnostic(whole, URI, coordinates("a: b\n")).range == types.Range(
        types.Position(0, 0), types.Position(0, 4)
    )
    (listed,) = findings_of(PolicyError("not text", place=Place("lists/a.txt", 3, 1)), "test.yaml")
    assert (listed.place, listed.message) == (Place("test.yaml"), "lists/a.txt:3:1: not text")


def test_a_place_beyond_the_text_is_its_end() -> None:
    assert coordinates("a: b\n").position(1, 99) == types.Position(0, 4)
    assert coordinates("a: b\n").position(7, 1) == types.Position(6, 0)
