"""Zones and sets: which have addresses in common, and which nobody uses."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

from firewall.lint.finding import Finding
from firewall.net.address import Network
from firewall.ruleset.expression import Membership, SetMembers, base_field, signed_atoms
from firewall.ruleset.network_set import common
from firewall.ruleset.policy import Must, Policy, Rule, Zone

Members = frozenset[str] | tuple[Network, ...]

_SOURCES = frozenset({"net.src", "ip.src", "ipv6.src", "net.addr", "ip.addr", "ipv6.addr"})
_END = {name: "address" for end in ("src", "dst", "addr") for name in (f"net.{end}", f"ip.{end}", f"ipv6.{end}")}
"""Fields that lists of addresses are looked for in: a list is kept for one end as for the other."""


def check(policy: Policy) -> list[Finding]:
    """Return what is wrong with the zones and sets of a policy."""
    return [*_unused_sets(policy), *_zones(policy), *_trusted_sets(policy), *_sets(policy)]


def _unused_sets(policy: Policy) -> Iterator[Finding]:
    users: list[Rule | Must] = [*policy.rules, *policy.must]
    used = {use.name for each in users for use in _uses(each)}
    for named_set in policy.sets:
        if named_set.name not in used:
            unused = Finding.about("SOS206", f'no rule uses the set "{named_set.name}"', named_set.place)
            yield replace(unused, named=(named_set.name,))


def _zones(policy: Policy) -> Iterator[Finding]:
    for first, second in combinations(policy.zones, 2):
        shared = set(first.interfaces) & set(second.interfaces)
        if not shared and first.interfaces and second.interfaces:
            continue
        what: str | None = None
        if first.networks and second.networks:
            both = common(sorted(first.networks), sorted(second.networks))
            what = str(both) if both is not None else None
        elif not first.networks:  # it takes every address; a zone that does so is meant to be the last
            what = f"interface {min(shared)}" if shared else None if first.interfaces else "everything"
        if what is not None:
            message = f'zones "{first.name}" and "{second.name}" overlap: {what} is of "{first.name}", listed first'
            yield Finding.about("SOS222", message, second.place)


def _trusted_sets(policy: Policy) -> Iterator[Finding]:
    blocking = {
        use.name: (rule, use.members)
        for rule in reversed(policy.rules)
        if rule.action != "allow"
        for use in _uses(rule)
        if use.is_wanted and use.about in _SOURCES
    }
    for named_set in policy.sets:
        if named_set.name not in blocking:
            continue
        rule, members = blocking[named_set.name]
        for zone in _trusted(policy):
            both = common(members, sorted(zone.networks)) if isinstance(members, tuple) else None
            if both is not None:
                does = "would block" if rule.shadow else "blocks"
                message = (
                    f'rule "{rule.name}" {does} by the set "{named_set.name}", which holds {both} of zone "{zone.name}"'
                )
                yield Finding.about("SOS227", message, named_set.place)
                break


def _trusted(policy: Policy) -> list[Zone]:
    """Return the zones between which emergency calls pass: all, where none is named."""
    named = policy.emergency.zones
    return [zone for zone in policy.zones if zone.name in named or not named]


def _sets(policy: Policy) -> Iterator[Finding]:
    """Yield the sets with a member in common that rules look for in the same field."""
    used: dict[str, dict[str, _Use]] = {}
    for rule in policy.rules:
        for use in _uses(rule):
            used.setdefault(use.name, {}).setdefault(_END.get(use.about, use.about), use)
    order = {each.name: number for number, each in enumerate(policy.sets)}
    pairs: dict[tuple[int, int], str] = {}
    for about in dict.fromkeys(about for uses in used.values() for about in uses):
        members = {order[name]: uses[about].members for name, uses in used.items() if about in uses}
        for (one, other), both in _shared(members):
            pairs.setdefault((min(one, other), max(one, other)), both)
    for (one, other), both in sorted(pairs.items()):
        first, second = policy.sets[one], policy.sets[other]
        yield Finding.about("SOS228", f'sets "{first.name}" and "{second.name}" both hold {both}', second.place)


def _shared(sets: Mapping[int, Members]) -> Iterator[tuple[tuple[int, int], str]]:
    """Yield the sets with something in common, in pairs: addresses in their order, texts by an index."""
    stretches = sorted(
        (network.first, network.last, number)
        for number, members in sets.items()
        if isinstance(members, tuple)
        for network in members
    )
    open_until: list[tuple[int, int]] = []
    for first, last, number in stretches:
        open_until = [(end, other) for end, other in open_until if end >= first]
        for end, other in open_until:
            if other != number:
                yield (other, number), str(Network(first, min(last, end)))
        open_until.append((last, number))
    holders: dict[str, list[int]] = {}
    for number, members in sets.items():
        for text in sorted(members) if isinstance(members, frozenset) else ():
            for other in holders.setdefault(text, []):
                yield (other, number), f'"{text}"'
            holders[text].append(number)


@dataclass(frozen=True, slots=True)
class _Use:
    """A set in a condition: its name and members, the field compared with it, whether that is wanted to be found."""

    name: str
    members: Members
    about: str
    is_wanted: bool


def _uses(rule: Rule | Must) -> Iterator[_Use]:
    for atom, is_wanted in signed_atoms(rule.when):
        if isinstance(atom, Membership):
            name = base_field(atom.operand).name
            yield from (_Use(i.name, i.members, name, is_wanted) for i in atom.items if isinstance(i, SetMembers))
