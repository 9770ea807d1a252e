"""The two ends of a probe: which addresses of which zones call which."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from firewall.net.address import Network, address_text, family
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.policy import Policy, Zone

_EPHEMERAL_PORT = 49_180
"""A caller behind address translation, or one that sends from any port."""
_MAX_NAMED_ENDPOINTS = 48
MAX_CROSSED_PAIRS = 64
"""Up to this many pairs every caller address calls every PSAP address; above it, each address is used at least once."""

_DOCUMENTATION_CALLERS = ("192.0.2.10", "2001:db8:1::10")  # RFC 5737, RFC 3849
_DOCUMENTATION_PSAPS = ("198.51.100.10", "2001:db8:2::10")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a call. ``interface`` is where the firewall receives its packets, None when the policy names none."""

    ip: str
    port: int = SIP_PORT
    interface: str | None = None
    zone: str | None = None
    is_named: bool = False
    """A rule names this address, or a network it lies in."""
    is_invented: bool = False
    """Only a rule names it: its zone has no networks, so any address may be in it."""

    @property
    def host(self) -> str:
        """The address as a URI's host (RFC 3261 §25.1: IPv6 in brackets)."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip


@dataclass(frozen=True, slots=True)
class Pair:
    """Who calls whom."""

    caller: Endpoint
    psap: Endpoint


def pairs(policy: Policy, interesting: Iterable[Network] = ()) -> tuple[Pair, ...]:
    """Return every pair of ends that the policy's ``emergency`` section promises a call, the plainest first.

    Of each network: its first, middle and last host; and the first and last address of every network in
    ``interesting`` (those the rules name) as far as it lies inside the zone. A zone without networks gets
    documentation addresses. Traffic inside one zone counts only where the policy has no other. The ports are
    the policy's signalling ports, and once for each two zones a caller's port of another number.
    """
    ours = tuple(network for network in interesting)
    zones = {zone.name: zone for zone in policy.zones}
    callers: list[Zone | None] = [zones[name] for name in policy.emergency.from_zones if name in zones] or [None]
    psaps: list[Zone | None] = [zones[name] for name in policy.emergency.to_zones if name in zones] or [None]
    between = [(a, b) for a, b in product(callers, psaps) if a is None or b is None or a.name != b.name]
    port = _signalling_port(policy)
    found: dict[Pair, None] = {}
    for caller_zone, psap_zone in between or list(product(callers, psaps)):
        calling = _endpoints(caller_zone, ours, _DOCUMENTATION_CALLERS, port)
        called = _endpoints(psap_zone, ours, _DOCUMENTATION_PSAPS, port)
        for wanted in (4, 6):
            found |= dict.fromkeys(_crossed(_of_family(calling, wanted), _of_family(called, wanted)))
    for pair in plain_pairs(tuple(found)):
        for other in sorted(policy.signalling_ports - {port}):
            found[Pair(replace(pair.caller, port=other), replace(pair.psap, port=other))] = None
        found[Pair(replace(pair.caller, port=_EPHEMERAL_PORT), pair.psap)] = None
    return tuple(found)


def plain_pairs(every: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """Return the first pair of each two zones and each family."""
    first: dict[tuple[str | None, str | None, bool], Pair] = {}
    for pair in every:
        first.setdefault((pair.caller.zone, pair.psap.zone, ":" in pair.caller.ip), pair)
    return tuple(first.values())


def _signalling_port(policy: Policy) -> int:
    return SIP_PORT if SIP_PORT in policy.signalling_ports else min(policy.signalling_ports)


def _crossed(calling: list[Endpoint], called: list[Endpoint]) -> list[Pair]:
    if not calling or not called:
        return []
    if len(calling) * len(called) <= MAX_CROSSED_PAIRS:
        return [Pair(a, b) for a, b in product(calling, called)]
    return [Pair(a, called[0]) for a in calling] + [Pair(calling[0], b) for b in called[1:]]


def _of_family(endpoints: list[Endpoint], wanted: int) -> list[Endpoint]:
    return [endpoint for endpoint in endpoints if (":" in endpoint.ip) == (wanted == 6)]


def _endpoints(
    zone: Zone | None, interesting: tuple[Network, ...], documentation: tuple[str, ...], port: int
) -> list[Endpoint]:
    name = zone.name if zone else None
    interface = zone.interfaces[0] if zone and zone.interfaces else None
    open_zone = zone is None or not zone.networks
    if zone is None or not zone.networks:
        own = dict.fromkeys(documentation)
        named = [address_text(number) for network in interesting for number in _hosts(network)]
    else:
        own = dict.fromkeys(address_text(number) for network in zone.networks for number in _hosts(network))
        named = [
            address_text(number)
            for network, inner in product(zone.networks, interesting)
            for number in _overlap(network, inner)
        ]
    return [Endpoint(text, port, interface, name) for text in own] + [
        Endpoint(text, port, interface, name, is_named=True, is_invented=open_zone)
        for text in list(dict.fromkeys(named))[:_MAX_NAMED_ENDPOINTS]
        if text not in own
    ]


def _hosts(network: Network) -> tuple[int, ...]:
    """The first, middle and last host; an IPv4 network's own and broadcast address are no hosts."""
    first, last = network.first, network.last
    if family(first) == 4 and last - first >= 3:
        first, last = first + 1, last - 1
    elif last - first >= 3:
        first += 1  # the subnet-router anycast address, RFC 4291 §2.6.1
    return first, (first + last) // 2, last


def _overlap(zone_network: Network, inner: Network) -> tuple[int, ...]:
    first, last = max(zone_network.first, inner.first), min(zone_network.last, inner.last)
    if first > last or (first, last) == (zone_network.first, zone_network.last):
        return ()
    return first, (first + last) // 2, last
