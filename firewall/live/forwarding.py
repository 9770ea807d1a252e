"""Whether the kernel would do nothing with media but route and forward it: only then may it be handed on past that.

What is handed from interface to interface at its ingress meets no table of others, no policy rule, no IPsec policy, no
filter of traffic control and no reverse path filter. So none of them may be there to be met; ``survey`` looks.
"""

import struct
import sys
from typing import Literal

import msgspec

from firewall.live.bpf import programs_behind
from firewall.live.links import LINK, listed_links, setting
from firewall.live.netlink import ROUTE, parts
from firewall.live.nftables import TABLE
from firewall.live.obstacles import obstacle
from firewall.live.question import listed

OUR_TABLES = frozenset({f"inet {TABLE}"})

_STRICT = 1

# <linux/if_link.h>: IFLA_*, ARPHRD_ETHER, IFF_UP.
_NAME, _MTU, _LOWER, _MASTER, _PER_FAMILY, _LOWER_NAMESPACE = 3, 4, 5, 10, 26, 37
_ETHERNET, _UP = 1, 1
# <linux/pkt_sched.h>, <linux/rtnetlink.h>: RTM_GETQDISC, struct tcmsg, TCA_KIND.
_GET_QUEUE = 38
_QUEUE = struct.Struct("=BxHiIII")  # family, -, index of the link, handle, parent, info
_KIND = 1
_QUEUES_OF_FILTERS = {b"clsact", b"ingress"}
# IFLA_INET_CONF, IFLA_INET6_CONF: numbers of 32 bits, at the places of <linux/ip.h> (from 1 on) and <linux/ipv6.h>.
_AF_INET, _AF_INET6 = 2, 10
_SETTINGS = {_AF_INET: 1, _AF_INET6: 2}
_FORWARDING_4, _REVERSE_PATH_FILTER_4 = 1 - 1, 8 - 1
_FORWARDING_6, _MTU_6, _DISABLED_6 = 0, 2, 26


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


class _Link(msgspec.Struct, frozen=True):
    """An interface as the kernel tells it; ``lower``: the index of the one it is stacked on, or cabled to, here."""

    index: int
    name: str
    mtu: int
    is_plain: bool
    lower: int
    settings: dict[int, tuple[int, ...]]


def survey(our_tables: frozenset[str] = OUR_TABLES, our_programs: frozenset[int] = frozenset()) -> Forwarding:
    """Look at the network namespace of the calling thread. It waits for the kernel, about a millisecond.

    ``our_tables`` of nftables (as ``inet sosgate``) are no obstacle, nor are ``our_programs`` behind links, by number.
    What the kernel does not tell is one.
    """
    try:
        links, filtered = [_link(answer) for answer in listed_links()], _filtered_links()
    except OSError as error:
        return Forwarding((), f"the kernel does not tell its interfaces ({error.strerror})")
    lower = {link.index: link.lower for link in links}
    # The two ends of a cable within one namespace name each other; what is stacked names what it stands on.
    stacked_on = {link.lower for link in links if lower.get(link.lower) != link.index}
    filter_of_all = int(setting("ipv4/conf/all/rp_filter") or _STRICT)
    forwards_6 = setting("ipv6/conf/all/forwarding") not in ("0", None)
    usable = [
        ForwardingLink(link.index, link.name, link.mtu, _mtu_6(link), versions)
        for link in sorted(links, key=lambda link: link.index)
        if link.is_plain
        and link.index not in stacked_on | filtered
        and (versions := _versions(link, filter_of_all, forwards_6))
        and not _has_program(link, our_programs)
    ]
    return Forwarding(tuple(usable), obstacle(our_tables))


def _versions(link: _Link, filter_of_all: int, forwards_6: bool) -> tuple[Literal[4, 6], ...]:
    versions: list[Literal[4, 6]] = []
    four, six = link.settings.get(_AF_INET, ()), link.settings.get(_AF_INET6, ())
    # Of the two filters the kernel takes the greater: 0 off, 1 strict, 2 loose (only that there is a route back).
    is_known_4 = len(four) > _REVERSE_PATH_FILTER_4
    if is_known_4 and four[_FORWARDING_4] and max(filter_of_all, four[_REVERSE_PATH_FILTER_4]) != _STRICT:
        versions.append(4)
    if forwards_6 and len(six) > _DISABLED_6 and six[_FORWARDING_6] and not six[_DISABLED_6]:
        versions.append(6)
    return tuple(versions)


def _mtu_6(link: _Link) -> int:
    """Return the MTU for IPv6, which a router or a setting may have made smaller than the link's."""
    return min([link.mtu, *link.settings.get(_AF_INET6, ())[_MTU_6 : _MTU_6 + 1]])


def _filtered_links() -> set[int]:
    """Return the indices of links at whose ingress there may be filters of traffic control."""
    queues = listed(ROUTE, _GET_QUEUE, bytes(_QUEUE.size))
    kinds = ((_QUEUE.unpack_from(queue)[2], parts(queue, _QUEUE.size).get(_KIND, b"")) for queue in queues)
    return {index for index, kind in kinds if kind.rstrip(b"\0") in _QUEUES_OF_FILTERS}


def _has_program(link: _Link, our_programs: frozenset[int]) -> bool:
    try:
        return not programs_behind(link.index) <= our_programs
    except OSError:
        return False  # then the kernel takes none of ours there, either


def _link(answer: bytes) -> _Link:
    _, kind, index, flags, _ = LINK.unpack_from(answer)
    link = parts(answer, LINK.size)
    families = parts(link.get(_PER_FAMILY, b""))
    settings = {family: parts(families.get(family, b"")).get(kept, b"") for family, kept in _SETTINGS.items()}
    return _Link(
        index,
        name=link.get(_NAME, b"").rstrip(b"\0").decode(errors="surrogateescape"),
        mtu=_number(link.get(_MTU, b"")),
        is_plain=kind == _ETHERNET and bool(flags & _UP) and _MASTER not in link,
        lower=0 if _LOWER_NAMESPACE in link else _number(link.get(_LOWER, b"")),
        settings={family: struct.unpack(f"={len(data) // 4}i", data) for family, data in settings.items()},
    )


def _number(data: bytes) -> int:
    return int.from_bytes(data, sys.byteorder)
