from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.finding import Extent, Finding, sorted_findings
from tests.lint.policies import lint, only, rule


def finding(code: str, line: int) -> Finding:
    return Finding(code, "message", Place("test.yaml", line, 1), "help")


def test_findings_stand_by_severity_then_by_line() -> None:
    mixed = [finding("SOS205", 1), finding("SOS101", 9), finding("SOS206", 2), finding("SOS102", 4)]
    assert [each.code for each in sorted_findings(mixed)] == ["SOS102", "SOS101", "SOS206", "SOS205"]


def test_extents_add_up() -> None:
    assert Extent(probes=1, blocked=1) + Extent(probes=2, messages=3) == Extent(probes=3, messages=3, blocked=1)


def test_only_a_finding_of_level_error_refutes_a_policy() -> None:
    assert lint(default="allow").result == "clean"
    assert lint(rule("emergency")).result == "refuted"


def test_a_witness_shows_the_blocked_message() -> None:
    witness = only(lint(rule('sip.Method == "CANCEL"'))).witness
    assert witness is not None
    assert witness.start_line == "CANCEL urn:service:sos SIP/2.0"
    assert witness.blocked is witness.sent[-1]
    assert witness.text.startswith("CANCEL urn:service:sos SIP/2.0\r\nVia: ")
    assert CODES[only(lint(rule('sip.Method == "CANCEL"'))).code].severity == "error"
