"""Lint of one policy: every check, one report."""

from dataclasses import replace

from firewall.lint import ban, emergency, exception, hygiene, surge
from firewall.lint.finding import Finding, Report, sorted_findings
from firewall.lint.probe import Questioner
from firewall.ruleset.policy import Policy


class UnconfirmedWitness(AssertionError):
    """A witness that the engine does not block a second time: a defect of lint, never a finding."""


def lint_policy(policy: Policy) -> Report:
    """Return all that lint has to say about a policy. Every witness was blocked by the engine twice.

    Raises:
        UnconfirmedWitness: lint and the engine disagree, which is a defect of ours.
    """
    questioner = Questioner(policy)
    asked = emergency.corpus(policy)
    blocked, extent = emergency.check(policy, questioner, asked)
    surged, messages = surge.check(policy, questioner, asked)
    findings = _without_repeats(
        [*blocked, *surged, *ban.check(policy, questioner, asked), *exception.check(policy, questioner, asked)]
    )
    for finding in findings:
        if finding.witness is not None and not questioner.confirms(finding.witness):
            raise UnconfirmedWitness(f"{finding.code} of rule {finding.rule}")
    return Report(
        policy,
        sorted_findings([*findings, *hygiene.check(policy)]),
        replace(extent, messages=extent.messages + messages),
    )


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Keep the first finding of each rule and code: a single call says more than a flood."""
    kept: dict[tuple[str, str | None, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.code, finding.rule, str(finding.place)), finding)
    return list(kept.values())
