import pytest

from tests.lint.policies import lint, only, rule


@pytest.mark.parametrize("name", ["internal_error", "log_unwritable", "table_full"])
def test_an_exception_policy_that_blocks_emergency_traffic_is_found(name: str) -> None:
    finding = only(lint(extra=f"exceptions: {{{name}: drop}}\n"))
    assert finding.code == "SOS105"
    assert f"`exceptions.{name}: drop`" in finding.message
    assert finding.because[0].startswith(f"dropped with reason {name}: ")


def test_a_defect_counts_for_every_message_whatever_the_rules_are_about() -> None:
    rules = rule('sip.Method == "REGISTER"', name="registrations", action="allow")
    report = lint(rules, extra="exceptions: {internal_error: drop}\n")
    assert "SOS105" in {finding.code for finding in report.findings}


def test_each_exception_policy_is_found_for_itself() -> None:
    report = lint(extra="exceptions: {internal_error: drop, log_unwritable: drop, table_full: drop}\n")
    assert [finding.code for finding in report.findings] == ["SOS105"] * 3


def test_dropping_what_is_malformed_is_harmless() -> None:
    assert lint(extra="exceptions: {malformed: drop}\n").findings == ()
