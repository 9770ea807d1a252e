"""Address families: zones and rules about one of them where there are two."""

from collections.abc import Iterator, Sequence

from firewall.lint.endpoint import interfaces_of
from firewall.lint.finding import Finding
from firewall.lint.hygiene.cover import Covers
from firewall.lint.hygiene.reach import Reach
from firewall.lint.proof.atom import normal, subject
from firewall.lint.proof.line import IPV4_END
from firewall.net.address import IPV4_FIRST, Network, address_text, family
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Comparison, Condition, Exists, Field, Membership, Not, atoms
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy, Rule, Zone

_IPV4 = Membership(Field("net.src"), (Network(IPV4_FIRST, IPV4_END - 1),))
_NAMES = {4: "IPv4", 6: "IPv6"}


def zone_gaps(policy: Policy) -> Iterator[Finding]:
    """Yield the zones with networks of one family where others have both; or say of all that they have but one."""
    families = {zone.name: _families(zone) for zone in policy.zones if zone.networks}
    if not any(len(found) == 2 for found in families.values()):
        yield from _missing_family(policy, set().union(*families.values()))
        return
    for zone in policy.zones:
        found = families.get(zone.name, set())
        if len(found) == 1:
            has, lacks = ("IPv4", "IPv6") if 4 in found else ("IPv6", "IPv4")
            message = f'zone "{zone.name}" has {has} networks only: {lacks} calls of it come from no zone'
            yield Finding.about("SOS207", message, zone.place)


def _missing_family(policy: Policy, found: set[int]) -> Iterator[Finding]:
    """Say that no zone has networks of a family: an end that has both may use it for its media alone (RFC 8421).

    Zones that name no networks take every address, and say nothing of families.
    """
    if len(found) != 1:
        return
    (has,) = found
    named = [zone for zone in policy.zones if zone.networks]
    first = next((zone for zone in named if zone.name in policy.emergency.zones), named[0])
    which = "the zones have" if len(named) > 1 else f'zone "{first.name}" has'
    lacks = _NAMES[10 - has]
    message = f"{which} {_NAMES[has]} networks only: {lacks} calls come from no zone"
    if policy.media.mode == "enforce":
        message += f", and {lacks} media that a call names is refused (media_family_gap)"
    yield Finding.about("SOS230", message, first.place)


def rule_gaps(policy: Policy, reach: Reach) -> Iterator[Finding]:
    """Yield the rules about all the addresses of a zone in one family, and none in the other.

    A rule about single hosts is about those hosts; one of the same action that takes the other family is its twin.
    """
    both = [zone for zone in policy.zones if len(_families(zone)) == 2]
    if not both:
        return
    for number, rule in enumerate(policy.rules):
        sample = reach.samples.get(number)
        if rule.when is None or sample is None or not _names_addresses(rule.when):
            continue
        for zone in both:
            has = _family_taken(rule, sample, zone, reach)
            if has is None or _is_about_hosts(rule.when, both, has) or _has_twin(policy, rule, zone, 10 - has, reach):
                continue
            if _takes_none(policy, number, zone, 10 - has):
                message = (
                    f'rule "{rule.name}" takes {_NAMES[has]} messages of zone "{zone.name}" and no '
                    f"{_NAMES[10 - has]} ones, and no other rule does the same with those"
                )
                yield Finding.about("SOS229", message, rule)
                break


def _families(zone: Zone) -> set[int]:
    return {family(network.first) for network in zone.networks}


def _names_addresses(condition: Condition) -> bool:
    return any(subject(atom) in ("src", "dst") for atom in atoms(condition))


def _family_taken(rule: Rule, sample: Facts, zone: Zone, reach: Reach) -> int | None:
    """Return the family of which a rule takes the first and the last host of all networks, None where it is not one."""
    taken = [
        each
        for each in (4, 6)
        if all(rule.matches(moved) for moved in _moved(sample, _networks(zone, each), zone, reach))
    ]
    return taken[0] if len(taken) == 1 else None


def _is_about_hosts(when: Condition, both: Sequence[Zone], has: int) -> bool:
    """Whether a rule has its family from destinations that are no zone's: it is about those hosts."""
    named = [atom for atom in atoms(normal(when)) if subject(atom) == "dst" and not isinstance(atom, Exists)]
    packets = [
        [Facts(Datagram(address_text(end), 0, address_text(end), 0, b"")) for end in _ends(_networks(zone, has))]
        for zone in both
    ]
    tests = [compile_condition(atom) for atom in named]
    return bool(named) and not any(all(map(test, of_zone)) for test in tests for of_zone in packets)


def _networks(zone: Zone, wanted: int) -> list[Network]:
    return [network for network in zone.networks if family(network.first) == wanted]


def _moved(sample: Facts, networks: Sequence[Network], zone: Zone, reach: Reach) -> Iterator[Facts]:
    interface = interfaces_of(zone, reach.policy.zones)[0]
    for number in _ends(networks):
        yield reach.sampler.moved(sample, address_text(number), interface)


def _ends(networks: Sequence[Network]) -> Iterator[int]:
    """Yield the first and the last host of each network."""
    for network in networks:
        edge = 1 if network.last - network.first > 2 else 0
        yield from (network.first + edge, network.last - edge)


def _has_twin(policy: Policy, rule: Rule, zone: Zone, wanted: int, reach: Reach) -> bool:
    for number, other in enumerate(policy.rules):
        sample = reach.samples.get(number)
        if other is rule or other.action != rule.action or sample is None:
            continue
        if any(other.matches(moved) for moved in _moved(sample, _networks(zone, wanted)[:1], zone, reach)):
            return True
    return False


def _takes_none(policy: Policy, number: int, zone: Zone, wanted: int) -> bool:
    """Prove that a rule takes no message of a family from a zone."""
    covers = Covers(policy, [number])
    in_zone = Comparison(Field("zone.src"), "==", zone.name)
    of_family: Condition = _IPV4 if wanted == 4 else Not(_IPV4)
    return covers.model(number, in_zone, (), covers.world.literal(of_family)) is None
