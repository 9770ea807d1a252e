"""Where an address is: questions to the kernel's routing table (rtnetlink(7), RTM_GETROUTE), and when to ask anew.

The answer for one packet tells the interface, and what the kernel has learned of the path (an MTU). Whether there are
several next hops only the route itself tells (RTM_F_FIB_MATCH), so the next hop takes a question more.
"""

import contextlib
import socket
import struct
from functools import lru_cache
from typing import NamedTuple

from firewall.live.netlink import ROUTE, NetlinkSocket, attribute, parts
from firewall.live.routing import GET_ROUTE, ROUTE_MESSAGE

_RTM_F_FIB_MATCH = 0x2000
_RTN_UNICAST = 1
# RTA_*, RTAX_MTU
_DST, _SRC, _OIF, _GATEWAY, _METRICS, _MULTIPATH, _VIA, _ENCAP = 1, 2, 4, 5, 8, 9, 18, 22
_METRIC_MTU = 2
_INDEX = struct.Struct("=L")
_REMEMBERED = 4096
# RTNLGRP_*: LINK, IPV4_IFADDR, IPV4_ROUTE, IPV4_RULE, the same of IPv6, IPV4_NETCONF, IPV6_NETCONF, NEXTHOP.
_CHANGES = (1, 5, 7, 8, 9, 11, 19, 24, 25, 32)


class NextHop(NamedTuple):
    """Whom a packet is handed to: the index of the interface, and the address of the neighbour there."""

    interface: int
    address: str


class _Answer(NamedTuple):
    """A route: the index of its interface (0: none), its next hop where that is a neighbour reached by plain means."""

    interface: int
    next_hop: NextHop | None


_NOWHERE = _Answer(0, None)


class RouteLookup:
    """Asks and remembers until ``forget``, as routes may have changed. 0 or None: the kernel names no interface.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(ROUTE)
        self._answer = lru_cache(_REMEMBERED)(self._ask)
        self.close, self.forget = self._socket.close, self._answer.cache_clear

    def interface_toward(self, address: str) -> int:
        """Return the index of the interface by which packets to this address leave."""
        return self._answer(address).interface

    def next_hop(self, address: str, source: str = "") -> NextHop | None:
        """Return whom packets to this address are handed to. IPv6 has routes for some sources only, so it asks for one.

        None: they are not just handed to a neighbour (delivered here, dropped, encapsulated, sent over several next
        hops, to a gateway of the other IP version), or not by the interface's MTU.
        """
        asked = address, source if ":" in source else ""
        found = self._answer(*asked).next_hop
        return found if found is not None and self._answer(*asked, _RTM_F_FIB_MATCH).next_hop is not None else None

    def _ask(self, address: str, source: str = "", flags: int = 0) -> _Answer:
        with contextlib.suppress(OSError):  # no address, or the kernel does not take the question
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            packed = socket.inet_pton(family, address)
            packed_source = socket.inet_pton(family, source) if source else b""
            body = ROUTE_MESSAGE.pack(family, 8 * len(packed), 8 * len(packed_source), 0, 0, 0, 0, 0, flags)
            body += attribute(_DST, packed)
            if packed_source:
                body += attribute(_SRC, packed_source)
            if (answer := self._socket.answer(GET_ROUTE, 0, body)) is not None:
                return _read(answer, address)
        return _NOWHERE


class RouteChanges:
    """Can be read once links, addresses, routes, rules or forwarding have changed since the last ``drain``.

    Path MTUs that the kernel learns, tables of netfilter and IPsec policies are not told.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self._socket = NetlinkSocket(ROUTE, groups=_CHANGES)
        self.fileno, self.close = self._socket.fileno, self._socket.close

    def drain(self) -> bool:
        """Read all that waits; tell whether anything changed. More than the socket could hold is a change, too."""
        changed = False
        while self._socket.receive() is not None:
            changed = True
        return changed


def _read(answer: bytes, address: str) -> _Answer:
    family, *_, kind, _ = ROUTE_MESSAGE.unpack_from(answer)
    route = parts(answer, ROUTE_MESSAGE.size)
    interface = int(_INDEX.unpack(route[_OIF])[0]) if _OIF in route else 0
    has_mtu = _METRIC_MTU in parts(route.get(_METRICS, b""))
    if kind != _RTN_UNICAST or not interface or has_mtu or route.keys() & {_MULTIPATH, _VIA, _ENCAP}:
        return _Answer(interface, None)
    gateway = socket.inet_ntop(family, route[_GATEWAY]) if _GATEWAY in route else address
    return _Answer(interface, NextHop(interface, gateway))
