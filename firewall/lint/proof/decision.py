"""What a policy does with a message, by a rule or without one: ``engine/decide.py`` in the words of the formula."""

from dataclasses import dataclass

from firewall.lint.proof.encoding import EncodedRule
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a message: the verdict, the status of a reject, how long a ban its sender gets."""

    verdict: str
    status: int | None = None
    ban_ns: int | None = None


def outcome_of(each: EncodedRule, *, is_answered: bool) -> Outcome:
    """Return what a rule does; what nobody may answer (a response, an ACK) is dropped, not rejected."""
    rule = each.rule
    if rule.action == "reject":
        return Outcome("reject", rule.status) if is_answered else Outcome("drop")
    return Outcome(rule.action, ban_ns=rule.ban_ns)


def without_rule(policy: Policy, facts: Facts, *, follows: bool) -> str:
    """Return the verdict on a message that no rule decides (``engine/decide.py``)."""
    if facts.malformed is not None:
        return policy.exceptions.malformed
    if facts.message is None or follows:
        return "allow"
    return policy.default
