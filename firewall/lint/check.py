"""Lint of one policy: every check, one report."""

from firewall.errors import Place
from firewall.lint import ban, emergency, exception, hygiene, media, surge
from firewall.lint.codes import CODES
from firewall.lint.finding import Extent, Finding, Report, sorted_findings
from firewall.lint.probe import Questioner
from firewall.ruleset.policy import Policy


class UnconfirmedWitnessError(AssertionError):
    """A witness that the engine does not block a second time: a defect of lint, never a finding."""


def lint_policy(policy: Policy) -> Report:
    """Return all that lint has to say about a policy. Every witness was blocked by the engine twice.

    Raises:
        UnconfirmedWitnessError: lint and the engine disagree, which is a defect of ours.
    """
    questioner = Questioner(policy)
    asked = emergency.corpus(policy)
    if not asked.pairs:
        place = Place(policy.file)
        message = "no address of `emergency.from` can call one of `emergency.to`: no address family is common to both"
        nobody = Finding("SOS113", message, place, CODES["SOS113"].mend)
        return Report(policy, sorted_findings([nobody, *hygiene.check(policy)]), Extent())
    blocked, extent = emergency.check(policy, questioner, asked)
    surged, loads = surge.check(policy, questioner, asked)
    banned, bans = ban.check(policy, questioner, asked)
    findings = _without_repeats([*blocked, *surged, *banned, *exception.check(policy, questioner, asked)])
    for finding in findings:
        if finding.witness is not None and not questioner.confirms(finding.witness):
            raise UnconfirmedWitnessError(f"{finding.code} of rule {finding.rule}")
    findings += media.check(policy, asked.plain)
    would_block = {finding.rule for finding in findings if finding.code == "SOS112"}
    own = [each for each in hygiene.check(policy) if each.code != "SOS205" or each.rule not in would_block]
    return Report(
        policy,
        sorted_findings([*findings, *own]),
        extent + loads + bans,
    )


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Keep the first finding of each rule and code: a single call says more than a flood."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault((finding.code, finding.rule or finding.message), finding)
    return list(kept.values())
