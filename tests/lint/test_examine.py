from firewall.lint.check import lint_policy
from firewall.lint.examine import examine
from tests.lint.policies import examined, loaded, rule, text


def test_the_text_adds_places_and_fixes_but_changes_no_finding() -> None:
    written = text(rule('sip.Method == "CANCEL"'), default="allow", extra="sets: {lost: {values: [b]}}\n")
    policy = loaded(written)
    alone, together = lint_policy(policy), examine(policy, written)
    assert [(each.code, each.message, each.rule) for each in together.findings] == [
        (each.code, each.message, each.rule) for each in alone.findings
    ]
    assert all(each.marks for each in together.findings)
    assert together.result == alone.result


def test_a_finding_about_the_whole_policy_gets_a_place() -> None:
    written = text(emergency="emergency:\n  from: [carrier]\n  to: [psap]\n  guard: alert\n")
    (finding,) = examined(written).findings
    line = written.split("\n").index("  guard: alert") + 1
    assert (finding.code, finding.place.line, finding.place.column) == ("SOS208", line, 10)


def test_a_text_with_line_breaks_that_editors_do_not_know_is_judged_without_its_text() -> None:
    written = text(default="allow").replace("policy: test\n", "policy: test  # \r")
    (finding,) = examined(written).findings
    assert (finding.code, finding.marks, finding.fix) == ("SOS204", (), None)
