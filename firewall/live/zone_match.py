"""A zone as nftables matches it: by interface and by address."""

import re
from typing import Literal

from firewall.net.address import Network, address_text, family
from firewall.ruleset.network_set import common, merged
from firewall.ruleset.policy import Zone

End = Literal["source", "destination"]
# Before routing, the route must be asked for the interface that a packet is going to leave by.
_KEYWORDS = {"source": ("iifname", "saddr"), "destination": ("fib daddr oifname", "daddr")}


def zone_matches(zone: Zone, end: End) -> list[str]:
    """Return the beginnings of rules that together match the packets whose ``end`` is in a zone.

    Each ends with a space, or is empty where the zone takes everything.
    """
    interface_word, address_word = _KEYWORDS[end]
    interface = f"{interface_word} {quoted_names(zone.interfaces)} " if zone.interfaces else ""
    if not zone.networks:
        return [interface]
    networks = merged(zone.networks)  # nft refuses overlaps
    ranges = {
        keyword: ", ".join(_interval(network) for network in networks if family(network.first) == version)
        for version, keyword in ((4, "ip"), (6, "ip6"))
    }
    return [f"{interface}{keyword} {address_word} {{ {those} }} " for keyword, those in ranges.items() if those]


def quoted_names(names: tuple[str, ...]) -> str:
    """Return interface names as a set of nft."""
    return "{ " + ", ".join(f'"{name}"' for name in sorted(set(names))) + " }"


def zone_comment(zone: Zone) -> str:
    """Return a comment that names a zone as nft can quote it, short enough for one (128 bytes)."""
    return f'comment "zone {re.sub(r"[^A-Za-z0-9_.-]", "_", zone.name)[:64]}"'


def may_share(one: Zone, other: Zone) -> bool:
    """Tell whether a packet may be in both zones."""
    if one.interfaces and other.interfaces and not set(one.interfaces) & set(other.interfaces):
        return False
    return not (one.networks and other.networks) or bool(common(sorted(one.networks), sorted(other.networks)))


def _interval(network: Network) -> str:
    first, last = address_text(network.first), address_text(network.last)
    return first if first == last else f"{first}-{last}"
