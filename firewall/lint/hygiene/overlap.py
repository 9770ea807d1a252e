"""Zones and sets: which have addresses in common, and which nobody uses."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import assert_never

from firewall.lint.finding import Finding
from firewall.lint.hygiene.wording import finding
from firewall.lint.proof.atom import base_field
from firewall.net.address import Network
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
from firewall.ruleset.policy import Must, NetworkSet, Policy, Rule, Zone

_SOURCES = frozenset({"net.src", "ip.src", "ipv6.src", "net.addr", "ip.addr", "ipv6.addr"})


def check(policy: Policy) -> list[Finding]:
    """Return what is wrong with the zones and sets of a policy."""
    return [*_unused_sets(policy), *_zones(policy), *_trusted_sets(policy), *_sets(policy)]


def common(first: Sequence[Network], second: Sequence[Network]) -> Network | None:
    """Return addresses that two sorted lists of networks share: the first stretch of them."""
    left, right = 0, 0
    while left < len(first) and right < len(second):
        low = max(first[left].first, second[right].first)
        high = min(first[left].last, second[right].last)
        if low <= high:
            return Network(low, high)
        if first[left].last < second[right].last:
            left += 1
        else:
            right += 1
    return None


def _unused_sets(policy: Policy) -> Iterator[Finding]:
    users: list[Rule | Must] = [*policy.rules, *policy.must]
    used = {name for each in users for name, _, _ in _uses(each)}
    for named_set in policy.sets:
        if named_set.name not in used:
            yield finding("SOS206", f'no rule uses the set "{named_set.name}"', named_set.place)


def _zones(policy: Policy) -> Iterator[Finding]:
    for first, second in combinations(policy.zones, 2):
        shared = set(first.interfaces) & set(second.interfaces)
        if not shared and first.interfaces and second.interfaces:
            continue
        if first.networks and second.networks:
            both = common(sorted(first.networks), sorted(second.networks))
            what = str(both) if both is not None else None
        else:
            is_alike = not first.networks and not second.networks and shared
            what = f"interface {min(shared)}" if is_alike else None
        if what is not None:
            message = f'zones "{first.name}" and "{second.name}" overlap: {what} is of "{first.name}", listed first'
            yield finding("SOS222", message, second.place)


def _trusted_sets(policy: Policy) -> Iterator[Finding]:
    blocking = {
        name: rule
        for rule in reversed(policy.rules)
        if rule.action != "allow"
        for name, field, is_wanted in _uses(rule)
        if is_wanted and field in _SOURCES
    }
    for named_set in policy.sets:
        rule = blocking.get(named_set.name)
        if rule is None or not isinstance(named_set, NetworkSet):
            continue
        for zone in _trusted(policy):
            both = common(named_set.networks, sorted(zone.networks))
            if both is not None:
                does = "would block" if rule.shadow else "blocks"
                message = (
                    f'rule "{rule.name}" {does} by the set "{named_set.name}", which holds {both} of zone "{zone.name}"'
                )
                yield finding("SOS227", message, named_set.place)
                break


def _trusted(policy: Policy) -> list[Zone]:
    """Return the zones between which emergency calls pass: all, where none is named."""
    named = {*policy.emergency.from_zones, *policy.emergency.to_zones}
    return [zone for zone in policy.zones if zone.name in named or not named]


def _sets(policy: Policy) -> Iterator[Finding]:
    used = {name for rule in policy.rules for name, _, _ in _uses(rule)}
    networks = [each for each in policy.sets if isinstance(each, NetworkSet) and each.name in used]
    for first, second in combinations(networks, 2):
        both = common(first.networks, second.networks)
        if both is not None:
            yield finding("SOS228", f'sets "{first.name}" and "{second.name}" both hold {both}', second.place)


def _uses(rule: Rule | Must) -> Iterator[tuple[str, str, bool]]:
    """Yield the sets of a rule or promise: name, field compared with it, whether it is wanted to be found there."""
    if rule.when is not None:
        yield from _of_condition(rule.when, is_wanted=True)


def _of_condition(condition: Condition, *, is_wanted: bool) -> Iterator[tuple[str, str, bool]]:
    match condition:
        case And(conditions) | Or(conditions):
            for each in conditions:
                yield from _of_condition(each, is_wanted=is_wanted)
        case Not(inner):
            yield from _of_condition(inner, is_wanted=not is_wanted)
        case Membership(operand, items):
            name = base_field(operand).name
            yield from ((item.name, name, is_wanted) for item in items if isinstance(item, SetMembers))
        case Comparison() | Contains() | Matches() | Exists():
            return
        case _:
            assert_never(condition)
