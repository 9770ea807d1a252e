"""Lint of one policy: the proof, the settings, the rules alone; one report."""

from dataclasses import replace

from firewall.errors import Place
from firewall.lint import exception, media, must
from firewall.lint.finding import UNDECIDED, Extent, Finding, Report, sorted_findings
from firewall.lint.hygiene.inspection import check as read_alone
from firewall.lint.probe import Questioner
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.prove import Proof, calling_pairs, prove
from firewall.lint.verdict import ban_finding, load_finding, open_finding, refuted_finding, shadow_finding
from firewall.ruleset.policy import Policy

_UNTOLD = "it is not decided whether the rules block a message of an emergency call"


class UnconfirmedWitnessError(AssertionError):
    """A witness that the engine does not block a second time: a defect of lint, never a finding."""


def lint_policy(policy: Policy) -> Report:
    """Return all that lint has to say about a policy. Every witness was blocked by the engine twice.

    Raises:
        UnconfirmedWitnessError: lint and the engine disagree, which is a defect of ours.
    """
    pairs = calling_pairs(policy)
    if not pairs:
        message = "no address of `emergency.from` can call one of `emergency.to`: no address family is common to both"
        nobody = Finding.about("SOS113", message, Place(policy.file))
        return Report(policy, sorted_findings([nobody, *read_alone(policy)]), Extent())
    questioner = Questioner(policy)
    proof = prove(policy, pairs, Encoding([policy]), questioner)
    findings = [
        *_findings(policy, proof),
        *exception.check(policy, questioner, pairs[0]),
        *media.check(policy),
    ]
    for finding in findings:
        if finding.witness is not None and not questioner.confirms(finding.witness):
            raise UnconfirmedWitnessError(f"{finding.code} of rule {finding.rule}")
    promises = [_shown(finding, questioner) for finding in must.check(policy)]
    would_block = {shadowed.rule.name for shadowed in proof.shadowed}
    own = [each for each in read_alone(policy) if each.code != "SOS205" or each.rule not in would_block]
    return Report(policy, sorted_findings([*_without_repeats(findings), *promises, *own]), proof.extent)


def _shown(finding: Finding, questioner: Questioner) -> Finding:
    """Leave out a broken promise's witness that only a call shows which began under other rules."""
    if finding.witness is None or questioner.confirms(finding.witness):
        return finding
    told = f"the message: {finding.witness.start_line}, in a call that was under way when these rules were loaded"
    return replace(finding, witness=None, because=(*finding.because, told))


def _findings(policy: Policy, proof: Proof) -> list[Finding]:
    blocked = [refuted_finding(policy, each) for each in proof.refuted]
    # Where real calls are blocked, that the test calls are too is no news.
    guilty = {finding.rule for finding in blocked if finding.code != "SOS110"}
    return [
        *(finding for finding in blocked if finding.code != "SOS110" or finding.rule not in guilty),
        *(load_finding(policy, each) for each in proof.surged),
        *(ban_finding(policy, each) for each in proof.banned),
        *(shadow_finding(each) for each in proof.shadowed),
        *(open_finding(policy, each) for each in proof.unanswered),
        *(Finding.about(UNDECIDED, f"{_UNTOLD}: {each}", Place(policy.file)) for each in proof.untold),
    ]


def _without_repeats(findings: list[Finding]) -> list[Finding]:
    """Keep the first finding of each rule and code: a single call says more than a flood."""
    kept: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        kept.setdefault(finding.identity, finding)
    return list(kept.values())
