"""Between which hosts a packet of a context may go, as literals of the formula."""

from collections.abc import Iterator, Mapping

from firewall.lint.endpoint import Endpoint, interfaces_of
from firewall.lint.proof.encoding import OPEN_NETWORKS, Encoding
from firewall.lint.proof.line import IPV4_END
from firewall.net.address import IPV4_FIRST, Network, family
from firewall.ruleset.policy import Zone


def between(encoding: Encoding, zones: Mapping[str, Zone], sender: Endpoint, receiver: Endpoint) -> Iterator[int]:
    """Yield the literals that a packet comes by an interface of its sender's zone, from and to hosts of both zones."""
    any_of, lines = encoding.formula.any_of, encoding.lines
    source, destination = zones.get(sender.zone or ""), zones.get(receiver.zone or "")
    yield any_of(encoding.interfaces[name] for name in interfaces_of(source, zones.values()))
    yield any_of(lines["src"].within(each.first, each.last) for each in hosts(source, destination))
    yield any_of(lines["dst"].within(each.first, each.last) for each in hosts(destination, source))


def to_anyone(encoding: Encoding, zones: Mapping[str, Zone], sender: Endpoint, partner: Endpoint) -> Iterator[int]:
    """Yield the literals that a packet comes from its sender's zone, of a family that a partner has, to anybody."""
    lines, zone, other = encoding.lines, zones.get(sender.zone or ""), zones.get(partner.zone or "")
    interface, source, _ = between(encoding, zones, sender, partner)
    is_ipv4 = lines["src"].within(IPV4_FIRST, IPV4_END - 1)
    families = {family(each.first) for each in hosts(other, zone)}
    yield from (interface, source)
    yield encoding.formula.any_of(is_ipv4 if each == 4 else -is_ipv4 for each in sorted(families))
    yield encoding.formula.any_of(lines["dst"].within(each.first, each.last) for each in OPEN_NETWORKS)


def hosts(zone: Zone | None, other: Zone | None) -> list[Network]:
    """Return the addresses a zone's hosts may have: its networks; else any unicast address not of the other zone."""
    if zone is not None and zone.networks:
        return [_without_edges(network) for network in zone.networks]
    free = list(OPEN_NETWORKS)
    for taken in other.networks if other is not None else ():
        free = [piece for network in free for piece in _without(network, taken)]
    return free


def _without_edges(network: Network) -> Network:
    """An IPv4 network's own and its broadcast address are no hosts (RFC 1122 §3.2.1.3)."""
    if family(network.first) == 4 and network.last - network.first >= 3:
        return Network(network.first + 1, network.last - 1)
    return network


def _without(network: Network, taken: Network) -> list[Network]:
    if taken.last < network.first or network.last < taken.first:
        return [network]
    pieces = []
    if network.first < taken.first:
        pieces.append(Network(network.first, taken.first - 1))
    if taken.last < network.last:
        pieces.append(Network(taken.last + 1, network.last))
    return pieces
