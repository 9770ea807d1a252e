"""Which zone a packet's end is in: interface and address must both fit, as far as they are known."""

from collections.abc import Callable
from typing import Literal

from firewall.net.address import address_number, family
from firewall.net.remembered import Memory
from firewall.ruleset.policy import Zone

End = tuple[str, str | None]
"""Address text and interface name (None when unknown)."""
ZoneFinder = Callable[[End], str | None]
"""The name of the zone that an end is in, None outside every zone."""

_CACHE_ENTRIES = 65_536


def zone_finder(zones: tuple[Zone, ...]) -> ZoneFinder:
    """Compile the zones into a look-up for the packet path. The first zone listed that fits is the answer."""
    return Memory[End, str | None](lambda end: _find(zones, *end), _CACHE_ENTRIES).__getitem__


def _find(zones: tuple[Zone, ...], ip: str, interface: str | None) -> str | None:
    number = address_number(ip)
    for zone in zones:
        if interface is not None and zone.interfaces and interface not in zone.interfaces:
            continue
        if zone.networks and not any(number in network for network in zone.networks):
            continue
        return zone.name
    return None


def zone_fit(zone: Zone, number: int) -> Literal["inside", "outside", "other_family"]:
    """Tell whether an address (as ``net.address`` numbers it) is of a zone; ``other_family`` where the zone has
    networks, but none of the address's family."""
    if not zone.networks or any(number in network for network in zone.networks):
        return "inside"
    has_family = any(family(network.first) == family(number) for network in zone.networks)
    return "outside" if has_family else "other_family"
