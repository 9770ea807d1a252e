"""Everything that is looked at when the rules are read alone."""

from firewall.lint.finding import Finding
from firewall.lint.hygiene import families, opening, overlap, regexes, settings
from firewall.lint.hygiene.reach import Reach
from firewall.lint.hygiene.redundancy import Redundancy
from firewall.ruleset.policy import Policy


def check(policy: Policy) -> list[Finding]:
    """Return what is wrong with the rules themselves."""
    reach = Reach(policy)
    own = list(reach.findings())
    odd = regexes.check(policy)
    # A regex that no text fits says why the condition is never true.
    explained = {each.rule for each in odd if each.code == "SOS223"}
    return [
        *(each for each in own if each.code != "SOS203" or each.rule not in explained),
        *odd,
        *Redundancy(policy, reach).findings(),
        *opening.check(policy, reach),
        *families.rule_gaps(policy, reach),
        *families.zone_gaps(policy),
        *overlap.check(policy),
        *settings.check(policy),
    ]
