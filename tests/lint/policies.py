"""Policies for the tests of lint, in a few words."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from firewall.cli.policy_file import FileSources, read_policy
from firewall.errors import Place
from firewall.lint.check import lint_policy
from firewall.lint.examine import examine
from firewall.lint.finding import Finding, Report
from firewall.ruleset.expression import Condition
from firewall.ruleset.load import load_policy
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import Policy

ZONES = """zones:
  carrier: {interfaces: [f0], networks: [192.0.2.0/24, "2001:db8:1::/64"]}
  psap: {interfaces: [f1], networks: [198.51.100.0/24, "2001:db8:2::/64"]}
"""
IPV4_ZONES = """zones:
  carrier: {interfaces: [f0], networks: [192.0.2.0/24]}
  psap: {interfaces: [f1], networks: [198.51.100.0/24]}
"""
BESIDE_MANAGEMENT = """zones:
  management: {interfaces: [f9]}
  carrier: {networks: [192.0.2.0/24]}
  psap: {networks: [198.51.100.0/24]}
"""
"""Only by an interface that no zone names is a packet in one of the last two."""
EMERGENCY = (
    'emergency: {numbers: ["911"], test_numbers: ["933"], dial_prefixes: ["9", "+1"], from: [carrier], to: [psap]}\n'
)
CALLS = EMERGENCY.replace("}", ", flows: [voice]}")
"""Only calls are asked about, no callbacks: a CANCEL that is blocked is one finding."""
ALLOW_ALL = """  - name: from-carrier
    when: zone.src == "carrier"
    action: allow
  - name: from-psaps
    when: zone.src == "psap"
    action: allow
"""


def policy(
    rules: str = "",
    *,
    zones: str = ZONES,
    emergency: str = EMERGENCY,
    extra: str = "",
    after: str = ALLOW_ALL,
    default: str = "drop",
) -> Policy:
    """A policy that lets everything between carrier and PSAP pass, but for ``rules``, which come first."""
    return loaded(text(rules, zones=zones, emergency=emergency, extra=extra, after=after, default=default))


def text(
    rules: str = "",
    *,
    zones: str = IPV4_ZONES,
    emergency: str = EMERGENCY,
    extra: str = "",
    after: str = ALLOW_ALL,
    default: str = "drop",
) -> str:
    """The text of such a policy."""
    listed = rules + after
    return f"policy: test\n{zones}{emergency}{extra}rules:{' []' if not listed else ''}\n{listed}default: {default}\n"


def loaded(written: str) -> Policy:
    return load_policy(written.encode(), file="test.yaml", sources=FileSources("test.yaml"))


def examined(written: str) -> Report:
    """Lint's report about a policy and its text, but for the note that it is of one address family."""
    return _without_family_note(examine(loaded(written), written))


def _without_family_note(report: Report) -> Report:
    return replace(report, findings=tuple(each for each in report.findings if each.code != "SOS230"))


def condition(written: str) -> Condition:
    """An expression of the rule language."""
    return parse_expression(written, sets={}, place=Place("test", 1, 1))


def rule(when: str, action: str = "drop", name: str = "guilty", more: str = "") -> str:
    more = "".join(f"    {line}\n" for line in more.splitlines())
    return f"  - name: {name}\n    when: {when}\n    action: {action}\n{more}"


def lint(rules: str = "", *, zones: str = IPV4_ZONES, **options: str) -> Report:
    """Lint such a policy, of one address family unless the test is about both: half the probes, half the time."""
    return _without_family_note(lint_policy(policy(rules, zones=zones, **options)))


@cache
def linted(path: Path) -> tuple[Policy, Report]:
    """A policy of the repository and lint's report about it, made once for all tests."""
    tested = read_policy(str(path))
    return tested, examine(tested, path.read_text(encoding="utf-8"))


def codes(report: Report) -> set[tuple[str, str | None]]:
    return {(finding.code, finding.rule) for finding in report.findings}


def only(report: Report) -> Finding:
    assert len(report.findings) == 1, report.findings
    return report.findings[0]
