"""The rules read alone: what is unreachable, redundant, forgotten or unused, where simple reasoning shows it.

Everything reported is true; what needs more than one rule, or the meaning of a regex, to see is not reported yet.
"""

from collections.abc import Iterator
from itertools import pairwise
from typing import assert_never

from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.covering import covers, never_true
from firewall.lint.finding import Finding
from firewall.net.address import family
from firewall.ruleset.expression import (
    And,
    Comparison,
    Condition,
    Contains,
    Exists,
    Matches,
    Membership,
    Not,
    Or,
    SetMembers,
)
from firewall.ruleset.policy import Policy, Rule, Zone


def check(policy: Policy) -> list[Finding]:
    """Return what is wrong with the rules themselves."""
    return [
        *_never_true(policy),
        *_unreachable(policy),
        *_redundant(policy),
        *_shadow_rules(policy),
        *_unused_sets(policy),
        *_family_gaps(policy),
        *_settings(policy),
    ]


def _finding(code: str, message: str, place: Place, rule: str | None = None, *because: str) -> Finding:
    return Finding(code, message, place, CODES[code].mend, rule, because)


def _always_decides(rule: Rule) -> bool:
    """Whether the rule takes every message its condition matches, at any time and rate."""
    return not rule.shadow and rule.limit is None and rule.schedule is None


def _never_true(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        if rule.when is not None and never_true(rule.when):
            yield _finding("SOS203", f'the condition of rule "{rule.name}" can never be true', rule.place, rule.name)


def _unreachable(policy: Policy) -> Iterator[Finding]:
    for index, rule in enumerate(policy.rules):
        if rule.when is not None and never_true(rule.when):
            continue
        for earlier in policy.rules[:index]:
            if _always_decides(earlier) and covers(earlier.when, rule.when):
                message = f'rule "{rule.name}" can never match: rule "{earlier.name}" takes all its messages'
                because = f'"{earlier.name}" (line {earlier.place.line}) matches: {earlier.when_text or "everything"}'
                yield _finding("SOS201", message, rule.place, rule.name, because)
                break


def _redundant(policy: Policy) -> Iterator[Finding]:
    enforced = [rule for rule in policy.rules if not rule.shadow]
    for rule, following in pairwise(enforced):
        same = (rule.action, rule.status, rule.ban_ns) == (following.action, following.status, following.ban_ns)
        if not (same and _always_decides(following) and rule.limit is None):
            continue
        reachable = rule.when is None or not never_true(rule.when)
        if reachable and covers(following.when, rule.when) and not covers(rule.when, following.when):
            message = f'rule "{rule.name}" changes nothing: rule "{following.name}" does the same to all its messages'
            because = f'"{following.name}" (line {following.place.line}) matches: {following.when_text or "everything"}'
            yield _finding("SOS202", message, rule.place, rule.name, because)


def _shadow_rules(policy: Policy) -> Iterator[Finding]:
    for rule in policy.rules:
        if rule.shadow:
            message = f'rule "{rule.name}" is in shadow mode: what it would {rule.action} passes on to the next rules'
            yield _finding("SOS205", message, rule.place, rule.name)


def _unused_sets(policy: Policy) -> Iterator[Finding]:
    used = {name for rule in policy.rules if rule.when is not None for name in _set_names(rule.when)}
    for named_set in policy.sets:
        if named_set.name not in used:
            yield _finding("SOS206", f'no rule uses the set "{named_set.name}"', named_set.place)


def _set_names(condition: Condition) -> Iterator[str]:
    match condition:
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from _set_names(each)
        case Not(inner):
            yield from _set_names(inner)
        case Membership(_, items):
            yield from (item.name for item in items if isinstance(item, SetMembers))
        case Comparison() | Contains() | Matches() | Exists():
            return
        case _:
            assert_never(condition)


def _family_gaps(policy: Policy) -> Iterator[Finding]:
    families = {zone.name: _families(zone) for zone in policy.zones if zone.networks}
    if not any(len(found) == 2 for found in families.values()):
        return
    for zone in policy.zones:
        found = families.get(zone.name, set())
        if len(found) == 1:
            has, lacks = ("IPv4", "IPv6") if 4 in found else ("IPv6", "IPv4")
            message = f'zone "{zone.name}" has {has} networks only: {lacks} calls of it come from no zone'
            yield _finding("SOS207", message, zone.place)


def _families(zone: Zone) -> set[int]:
    return {family(network.first) for network in zone.networks}


def _settings(policy: Policy) -> Iterator[Finding]:
    if policy.default == "allow":
        yield _finding("SOS204", "what no rule matches is allowed", policy.default_place)
    if policy.emergency.guard != "enforce":
        message = f"`guard: {policy.emergency.guard}` does not let a blocked emergency call pass"
        yield _finding("SOS208", message, Place(policy.file))
    if not policy.zones:
        message = "the policy names no zones, so lint cannot tell who calls whom"
        yield _finding("SOS209", message, Place(policy.file))
