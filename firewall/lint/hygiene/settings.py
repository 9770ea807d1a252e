"""Settings that are seldom meant: shadow rules, an open default, a guard that does not guard, bans by a broad key."""

from collections.abc import Iterator

from firewall.errors import Place
from firewall.lint.finding import Finding
from firewall.lint.proof.load import OWN_TO_A_CALL
from firewall.ruleset.policy import Policy

_OF_ONE_SOURCE = OWN_TO_A_CALL | {"net.src", "ip.src", "ipv6.src"}


def check(policy: Policy) -> list[Finding]:
    """Return what is to be said of a policy's settings."""
    return [*_shadow_rules(policy), *_broad_bans(policy), *_whole_policy(policy)]


def _shadow_rules(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        if rule.shadow:
            message = f'rule "{rule.name}" is in shadow mode: what it would {rule.action} passes on to the next rules'
            yield Finding.about("SOS205", message, rule)


def _broad_bans(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        if rule.ban_ns is not None and rule.limit is not None and _OF_ONE_SOURCE.isdisjoint(rule.limit.per):
            counts = f"for each {' and '.join(rule.limit.per)}" if rule.limit.per else "for all senders together"
            message = f'rule "{rule.name}" bans a source, but its limit counts {counts}'
            yield Finding.about("SOS226", message, rule)


def _whole_policy(policy: Policy) -> Iterator[Finding]:
    if policy.default == "allow":
        yield Finding.about("SOS204", "what no rule matches is allowed", policy.default_place)
    if policy.emergency.guard != "enforce":
        message = f"`guard: {policy.emergency.guard}` does not let a blocked emergency call pass"
        yield Finding.about("SOS208", message, Place(policy.file))
    if not policy.emergency.numbers:
        message = "no number reaches emergency services: a call to 911 or 112 is one only where its message says so"
        yield Finding.about("SOS232", message, Place(policy.file))
    if not policy.zones:
        message = "the policy names no zones, so lint cannot tell who calls whom"
        yield Finding.about("SOS209", message, Place(policy.file))
