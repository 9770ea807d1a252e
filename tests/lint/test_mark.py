import pytest

from firewall.lint.finding import Mark
from tests.lint.policies import CALLS, examined, rule, text


def pointed_at(written: str) -> list[str]:
    """What stands under the carets of the only finding."""
    (finding,) = examined(written).findings
    lines = written.split("\n")
    return [_stretch(lines, mark) for mark in finding.marks]


def _stretch(lines: list[str], mark: Mark) -> str:
    part = lines[mark.line - 1 : mark.end_line]
    part[-1] = part[-1][: mark.end_column - 1]
    part[0] = part[0][mark.column - 1 :]
    return "\n".join(part)


@pytest.mark.parametrize(
    ("written", "stretches"),
    [
        (text(rule('sip.Method == "CANCEL"'), emergency=CALLS), ['sip.Method == "CANCEL"']),
        (text(rule("'sip.Method == \"CANCEL\"'  # why"), emergency=CALLS), ["'sip.Method == \"CANCEL\"'"]),
        (
            text(rule('>  # folded\n\n      sip.Method ==\n      "CANCEL"\n'), emergency=CALLS),
            ['sip.Method ==\n      "CANCEL"'],
        ),
        (
            text(rule('sip.Method == "INVITE"', more="limit: {rate: 2/1s, per: net.src}")),
            ['sip.Method == "INVITE"', "{rate: 2/1s, per: net.src}"],
        ),
        (text(rule('not emergency and sip.Method == "REFER"', more="mode: shadow")), ["shadow"]),
        (text(default="allow"), ["default"]),
        (text(extra="sets:\n  lists: {values: [a]}\n"), ["lists"]),
        (text(emergency="emergency: {from: [carrier], to: [psap], guard: alert}\n"), ["alert"]),
        (text(extra="exceptions: {internal_error: drop}\n"), ["drop"]),
        (text(extra="media: {mode: enforce, timeout: 60s}\n"), ["60s"]),
        (text(extra="media: {mode: enforce, ports: 20000-20050}\n"), ["20000-20050"]),
    ],
)
def test_a_finding_points_at_what_is_at_fault(written: str, stretches: list[str]) -> None:
    assert pointed_at(written) == stretches


def test_a_rule_without_a_condition_is_pointed_at_by_its_action() -> None:
    report = examined(text("  - name: all\n    action: drop\n", after=""))
    assert [mark.label for mark in report.findings[0].marks] == ["whatever the message"]
