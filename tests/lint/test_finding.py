from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.finding import UNDECIDED, Extent, Finding, Report, sorted_findings
from tests.lint.policies import CALLS, lint, only, policy, rule


def finding(code: str, line: int) -> Finding:
    return Finding(code, "message", Place("test.yaml", line, 1), "help")


def test_a_finding_is_at_its_rule_or_its_place_and_its_help_names_the_rule() -> None:
    guilty = policy(rule("sip")).rules[0]
    assert (found := Finding.about("SOS101", "x", guilty)).rule == "guilty"
    assert 'rule "guilty"' in found.help
    assert Finding.about("SOS206", "x", guilty.place).rule is None


def test_findings_stand_by_severity_then_by_line() -> None:
    mixed = [finding("SOS205", 1), finding("SOS101", 9), finding("SOS206", 2), finding("SOS102", 4)]
    assert [each.code for each in sorted_findings(mixed)] == ["SOS102", "SOS101", "SOS206", "SOS205"]


def test_only_a_finding_of_level_error_refutes_a_policy() -> None:
    assert lint(default="allow").result == "proved"
    assert lint(rule("emergency")).result == "refuted"


def test_what_is_not_decided_is_never_counted_as_proved() -> None:
    tested = policy()
    assert Report(tested, (finding(UNDECIDED, 1),), Extent()).result == "undecided"
    assert Report(tested, (finding(UNDECIDED, 1), finding("SOS101", 2)), Extent()).result == "refuted"


def test_a_witness_shows_the_blocked_message() -> None:
    found = only(lint(rule('sip.Method == "CANCEL"'), emergency=CALLS))
    witness = found.witness
    assert witness is not None
    assert witness.start_line == "CANCEL urn:service:sos SIP/2.0"
    assert witness.blocked is witness.sent[-1]
    assert witness.text.startswith("CANCEL urn:service:sos SIP/2.0\r\nVia: ")
    assert CODES[found.code].severity == "error"
