"""Lint of a policy together with its text: places to point at, ignore comments heard, fixes offered."""

from dataclasses import replace

from firewall.errors import Place
from firewall.lint.check import lint_policy
from firewall.lint.finding import Finding, Report, sorted_findings
from firewall.lint.fix import fix_of
from firewall.lint.ignore import judge
from firewall.lint.mark import marks_of
from firewall.lint.passed import with_passed_rules
from firewall.lint.source import PolicySource
from firewall.ruleset.policy import Policy


def examine(policy: Policy, text: str) -> Report:
    """Return lint's report about a policy that was loaded from ``text``, the byte order mark left out."""
    report = replace(lint_policy(policy), text=text)
    if not report.findings and "sosgate" not in text:
        return report
    try:
        source = PolicySource(text)
    except ValueError:  # line breaks that editors do not know: nothing can be pointed at, ignored or fixed
        return report
    pointed = [with_passed_rules(_pointed(finding, source), policy) for finding in report.findings]
    judged = judge(pointed, source, policy.file)
    fixed = [replace(finding, fix=fix_of(finding, policy, source)) for finding in judged.findings]
    return replace(report, findings=sorted_findings(fixed), suppressed=judged.suppressed)


def _pointed(finding: Finding, source: PolicySource) -> Finding:
    marks = marks_of(finding, source)
    place = finding.place
    if place.column is None and marks:
        place = Place(place.file, marks[0].line, marks[0].column)
    return replace(finding, place=place, marks=marks)
