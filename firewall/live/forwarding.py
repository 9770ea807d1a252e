"""Whether the kernel would do nothing with media but route and forward it: only then may it be handed on past that.

What is handed from interface to interface at its ingress meets no table of others, no policy rule, no IPsec policy, no
filter of traffic control and no reverse path filter. So none of them may be there to be met; ``survey`` looks.
"""

import struct
from typing import Literal

import msgspec

from firewall.live.bpf import programs_behind
from firewall.live.links import Link, links, setting
from firewall.live.netlink import ROUTE, listed, parts
from firewall.live.nftables import TABLE
from firewall.live.obstacles import obstacle

OUR_TABLES = frozenset({f"inet {TABLE}"})

_STRICT = "1"

# <linux/pkt_sched.h>, <linux/rtnetlink.h>: RTM_GETQDISC, struct tcmsg, TCA_KIND.
_GET_QUEUE = 38
_QUEUE = struct.Struct("=BxHiIII")  # family, -, index of the link, handle, parent, info
_KIND = 1
_QUEUES_OF_FILTERS = {b"clsact", b"ingress"}


class ForwardingLink(msgspec.Struct, frozen=True):
    """An interface that media may be handed on from and to, and for which IP versions. ``mtu*`` in bytes."""

    index: int
    name: str
    mtu: int
    mtu_6: int
    versions: tuple[Literal[4, 6], ...]


class Forwarding(msgspec.Struct, frozen=True):
    """Between which interfaces media may be handed on. ``obstacle``: why none of it may ("": nothing is in the way)."""

    links: tuple[ForwardingLink, ...]
    obstacle: str = ""


def survey(our_tables: frozenset[str] = OUR_TABLES, our_programs: frozenset[int] = frozenset()) -> Forwarding:
    """Look at the network namespace of the calling thread. It waits for the kernel, about a millisecond.

    ``our_tables`` of nftables (as ``inet sosgate``) are no obstacle, nor are ``our_programs`` behind links, by number.
    What the kernel does not tell is one.
    """
    try:
        found, filtered = links(), _filtered_links()
    except OSError as error:
        return Forwarding((), f"the kernel does not tell its interfaces ({error.strerror})")
    lower = {link.index: link.lower for link in found}
    # The two ends of a cable within one namespace name each other; what is stacked names what it stands on.
    stacked_on = {link.lower for link in found if lower.get(link.lower) != link.index}
    filter_of_all = setting("ipv4/conf/all/rp_filter") or _STRICT
    forwards_6 = _is_on("ipv6/conf/all/forwarding")
    usable = [
        ForwardingLink(link.index, link.name, link.mtu, _mtu_6(link), versions)
        for link in sorted(found, key=lambda link: link.index)
        if link.is_ethernet
        and not link.master
        and link.index not in stacked_on | filtered
        and (versions := _versions(link.name, filter_of_all, forwards_6))
        and not _has_program(link, our_programs)
    ]
    return Forwarding(tuple(usable), obstacle(our_tables))


def _versions(name: str, filter_of_all: str, forwards_6: bool) -> tuple[Literal[4, 6], ...]:
    versions: list[Literal[4, 6]] = []
    # Of the two filters the kernel takes the greater: 0 off, 1 strict, 2 loose (only that there is a route back).
    is_strict = max(filter_of_all, setting(f"ipv4/conf/{name}/rp_filter") or _STRICT) == _STRICT
    if _is_on(f"ipv4/conf/{name}/forwarding") and not is_strict:
        versions.append(4)
    has_6 = setting(f"ipv6/conf/{name}/disable_ipv6") == "0"
    if has_6 and forwards_6 and _is_on(f"ipv6/conf/{name}/forwarding"):
        versions.append(6)
    return tuple(versions)


def _is_on(name: str) -> bool:
    """Tell whether a setting is there and on: any number but 0 is, to the kernel."""
    return setting(name) not in ("0", None)


def _mtu_6(link: Link) -> int:
    """Return the MTU for IPv6, which a router or a setting may have made smaller than the link's."""
    return min(link.mtu, int(setting(f"ipv6/conf/{link.name}/mtu") or link.mtu))


def _filtered_links() -> set[int]:
    """Return the indices of links at whose ingress there may be filters of traffic control."""
    queues = listed(ROUTE, _GET_QUEUE, bytes(_QUEUE.size))
    kinds = ((_QUEUE.unpack_from(queue)[2], parts(queue, _QUEUE.size).get(_KIND, b"")) for queue in queues)
    return {index for index, kind in kinds if kind.rstrip(b"\0") in _QUEUES_OF_FILTERS}


def _has_program(link: Link, our_programs: frozenset[int]) -> bool:
    try:
        return not programs_behind(link.index) <= our_programs
    except OSError:
        return False  # then the kernel takes none of ours there, either
