"""The fast path of media at rest: from the interface it comes in by at once to the one it leaves by.

Routing a packet costs the kernel more where there are policy rules, and ours bring signalling to the daemon. So a flow
of which nothing need be seen has a second element, in the table ``netdev sosgate``: there, right behind the interface,
``fwd`` hands its packets to the neighbour they are routed to. That is done only while the kernel would do nothing else
with them than route and forward them (``forwarding``), and only with plain whole packets: fragments, IP options, a hop
limit that ends here, VLAN tags and frames for somebody else go the usual way, which stays open to all of it. An element
lasts for seconds, so that after the daemon's death nothing goes for long where no route leads any more.

Each expression of a rule costs every packet some ten nanoseconds; hence the raw bytes, read four at a time where the
kernel has a short way for that.
"""

import socket
from collections.abc import Collection
from typing import NamedTuple

from firewall.live.flow_sets import FAMILIES, NETDEV_TABLE, TABLE, Element, Family, Place
from firewall.live.forwarding import ForwardingLink
from firewall.live.route import RouteLookup

FAST_MS = 12_000
"""For how long an element is added; the daemon adds it anew long before."""

NO_FAST_TABLE = f"table netdev {TABLE}\ndelete table netdev {TABLE}\n"

_KEYS: dict[Family, str] = {4: "@nh,96,32 . @nh,128,32 . @nh,176,16", 6: "@nh,64,128 . @nh,192,128 . @nh,336,16"}
"""Source, destination and destination port: the bytes that the sets ``media4`` and ``media6`` have as key, too."""
_FORWARDED: dict[Family, tuple[str, str]] = {
    # no VLAN tag, version and length of the header, UDP, no fragment, a hop limit above 1
    4: ("@ll,96,16 0x0800 @nh,0,8 0x45 @nh,72,8 17 @nh,48,16 & 0x3fff == 0 @nh,64,8 & 0xfe != 0", "fwd ip to"),
    6: ("@ll,96,16 0x86dd @nh,0,8 & 0xf0 == 0x60 @nh,48,8 17 @nh,56,8 & 0xfe != 0", "fwd ip6 to"),
}
_NEXT_HOP: dict[Family, str] = {4: "ip daddr", 6: "ip6 daddr"}
_ADDRESS_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}


class Way(NamedTuple):
    """Where a flow's second element belongs, and the packed address of the neighbour its packets are handed to."""

    place: Place
    next_hop: bytes


def element_beside(place: Place) -> Element:
    """Return the element that has this one beside it."""
    return Element(f"media{place.set_name[len('fast')]}", place.key)


class FastPath:
    """Says which way a flow's packets go; none, until it is told the links that there are.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self._routes = RouteLookup()
        self._links: dict[int, ForwardingLink] = {}

    def close(self) -> None:
        """Ask for no more routes."""
        self._routes.close()

    def use(self, links: Collection[ForwardingLink]) -> None:
        """Hand packets on between these, for which there are rules now."""
        self._links = {link.index: link for link in links}
        self._routes.forget()

    def forget_routes(self) -> None:
        """Routes may have changed."""
        self._routes.forget()

    def way(self, element: Element, src_ip: str, dst_ip: str) -> Way | None:
        """Return the way of an element's packets; None: the usual one, or none at all."""
        if not self._links or element.set_name not in ("media4", "media6"):
            return None
        family: Family = 4 if element.set_name == "media4" else 6
        hop = self._routes.next_hop(dst_ip)
        link = None if hop is None else self._links.get(hop.interface)
        # The kernel takes no packet from an address that no route leads to, or that is its own.
        if hop is None or link is None or family not in link.versions or self._routes.next_hop(src_ip) is None:
            return None
        next_hop = socket.inet_pton(_ADDRESS_FAMILY[family], hop.address)
        return Way(Place(NETDEV_TABLE, _set_name(family, hop.interface), element.key), next_hop)


def _set_name(family: Family, interface: int) -> str:
    return f"fast{family}_{interface}"


def render_fast_table(links: Collection[ForwardingLink], from_interfaces: Collection[str] | None) -> str:
    """Return the nft script that replaces the table; ``from_interfaces``: those that packets come in by, None: all."""
    maps = [
        f"  map {_set_name(family, link.index)} {{ typeof {_KEYS[family]} : {_NEXT_HOP[family]}; "
        "flags timeout; counter; }"
        for link in links
        for family in link.versions
    ]
    chains = [
        _chain(link, [other for other in links if other is not link and other.mtu >= link.mtu])
        for link in links
        if from_interfaces is None or link.name in from_interfaces
    ]
    return NO_FAST_TABLE + "\n".join([f"table netdev {TABLE} {{", *maps, *chains, "}", ""])


def _chain(link: ForwardingLink, others: list[ForwardingLink]) -> str:
    rules = [
        f"    meta pkttype host {_FORWARDED[family][0]} {_FORWARDED[family][1]} {_KEYS[family]} "
        f'map @{_set_name(family, other.index)} device "{other.name}"\n'
        for family in FAMILIES
        for other in others
        if family in link.versions and family in other.versions
    ]
    hook = f'type filter hook ingress device "{link.name}" priority 0; policy accept;'
    return f"  chain from_{link.index} {{\n    {hook}\n{''.join(rules)}  }}"
