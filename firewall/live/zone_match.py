"""A zone as nftables matches it: by interface and by address."""

import re
from typing import Literal

from firewall.net.address import Network, address_text, family
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
    matches = []
    for version, keyword in ((4, "ip"), (6, "ip6")):
        ranges = _ranges([network for network in zone.networks if family(network.first) == version])
        if ranges:
            matches.append(f"{interface}{keyword} {address_word} {{ {', '.join(ranges)} }} ")
    return matches


def quoted_names(names: tuple[str, ...]) -> str:
    """Return interface names as a set of nft."""
    return "{ " + ", ".join(f'"{name}"' for name in sorted(set(names))) + " }"


def zone_comment(zone: Zone) -> str:
    """Return a comment that names a zone as nft can quote it, short enough for one (128 bytes)."""
    return f'comment "zone {re.sub(r"[^A-Za-z0-9_.-]", "_", zone.name)[:64]}"'


def _ranges(networks: list[Network]) -> list[str]:
    """Return the networks as nft intervals; overlapping and touching ones merged, since nft refuses overlaps."""
    merged: list[tuple[int, int]] = []
    for network in sorted(networks):
        if merged and network.first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], network.last))
        else:
            merged.append((network.first, network.last))
    return [
        address_text(first) if first == last else f"{address_text(first)}-{address_text(last)}"
        for first, last in merged
    ]
