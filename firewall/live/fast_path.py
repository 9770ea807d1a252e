"""The fast path of media at rest: from the interface it comes in by at once to the one it leaves by.

Routing a packet costs the kernel more where there are policy rules, and ours bring signalling to the daemon. So a flow
of which nothing need be seen has a second element, in a map of a program that stands right behind the interfaces
(``fast_program``) and hands its packets to the neighbour they are routed to. That is done only while the kernel would
do nothing else with them than route and forward them (``forwarding``), and only with plain whole packets; the usual
way stays open to all of them. Program and map end with the daemon, however it ends.
"""

import errno
import os
import socket
from collections.abc import Collection, Iterator
from typing import NamedTuple

from firewall.live.bpf import BpfMap, attach, load, program_id, programs_behind
from firewall.live.fast_program import ADDRESS_FAMILY, KEY_BYTES, VALUE_BYTES, counted, element_value, program
from firewall.live.flow_sets import FAMILIES, Element, Family
from firewall.live.forwarding import Forwarding, ForwardingLink
from firewall.live.route import RouteLookup

_FLOWS = 65_536
_SETS: dict[str, Family] = {"media4": 4, "media6": 6}


class Egress(NamedTuple):
    """Where the packets of a flow go: the outgoing link's index and MTU, and the neighbour's packed address."""

    link: int
    mtu: int
    neighbour: bytes


class _Attachment(NamedTuple):
    """The open file by which a program for these IP versions is attached to a link."""

    fd: int
    versions: tuple[Family, ...]


class FastPath:
    """The flows that are handed on at present. None is, until ``use`` says between which links.

    ``obstacle`` says why none may be, "" where they may; ``programs`` are the kernel's numbers of its own programs.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self) -> None:
        self.obstacle = "nobody has looked yet whether there may be one"
        self.programs: frozenset[int] = frozenset()
        self._routes = RouteLookup()
        self._maps: dict[Family, BpfMap] = {}
        self._loaded: dict[tuple[Family, ...], int] = {}
        self._links: dict[int, ForwardingLink] = {}
        self._attached: dict[int, _Attachment] = {}

    def close(self) -> None:
        """Hand nothing on any more."""
        self._detach(self._attached)
        self._routes.close()
        for loaded in self._loaded.values():
            os.close(loaded)
        for each in self._maps.values():
            each.close()

    def use(self, forwarding: Forwarding, from_interfaces: Collection[str] | None) -> None:
        """Hand packets on between these links, and no others, when they come in by those interfaces (None: all).

        Every element must have been removed before: its packets may leave by a link that is none any more. So what is
        attached hands nothing on, and stays where it may: attaching takes the kernel 10 ms a link, and so does the end.
        """
        self._routes.forget()
        self._links = {}
        self.obstacle = forwarding.obstacle
        wanted = [link for link in forwarding.links if from_interfaces is None or link.name in from_interfaces]
        self._detach(self._attached.keys() - {link.index for link in wanted if self._is_attached(link)})
        if self.obstacle:
            return
        try:
            self._attach([link for link in wanted if link.index not in self._attached])
        except OSError as error:
            self._detach(self._attached)
            self.obstacle = _refusal(error)
        else:
            self._links = {link.index: link for link in forwarding.links}

    def _is_attached(self, link: ForwardingLink) -> bool:
        """Tell whether what was attached to such a link is right for this one, and it is not another of that index."""
        attached = self._attached.get(link.index)
        if attached is None or attached.versions != link.versions:
            return False
        try:
            return bool(programs_behind(link.index) & self.programs)
        except OSError:
            return False

    def _detach(self, links: Collection[int]) -> None:
        for link in tuple(links):
            os.close(self._attached.pop(link).fd)

    def _attach(self, links: list[ForwardingLink]) -> None:
        if not self._maps:
            self._maps = {family: BpfMap(KEY_BYTES[family], VALUE_BYTES, _FLOWS) for family in FAMILIES}
        for link in links:
            if link.versions not in self._loaded:
                loaded = load(program({each: self._maps[each].fd for each in link.versions}))
                self._loaded[link.versions] = loaded
                self.programs |= {program_id(loaded)}
            self._attached[link.index] = _Attachment(attach(self._loaded[link.versions], link.index), link.versions)

    def forget_routes(self) -> None:
        """Routes may have changed."""
        self._routes.forget()

    def egress(self, element: Element, src_ip: str, dst_ip: str) -> Egress | None:
        """Return where an element's packets go; None: the usual way, or none at all."""
        family = _SETS.get(element.set_name)
        if family is None or not self._links:
            return None
        hop = self._routes.next_hop(dst_ip, src_ip)
        link = None if hop is None else self._links.get(hop.interface)
        # The kernel takes no packet from an address that no route leads to, or that is its own.
        if hop is None or link is None or family not in link.versions or self._routes.next_hop(src_ip) is None:
            return None
        mtu = link.mtu if family == 4 else link.mtu_6
        return Egress(link.index, mtu, socket.inet_pton(ADDRESS_FAMILY[family], hop.address))

    def add(self, element: Element, egress: Egress) -> bool:
        """Hand an element's packets on from now on; False where the kernel has no room for that."""
        family = _SETS[element.set_name]
        try:
            self._maps[family].put(element.key, element_value(egress.link, egress.mtu, family, egress.neighbour))
        except OSError:
            return False
        return True

    def remove(self, element: Element) -> tuple[int, int]:
        """Let an element's packets go the usual way again; return how many were handed on, and their octets."""
        value = self._maps[_SETS[element.set_name]].pop(element.key)
        return (0, 0) if value is None else counted(value)

    def counted(self, element: Element) -> tuple[int, int]:
        """Return how many packets of an element were handed on so far, and their octets."""
        value = self._maps[_SETS[element.set_name]].get(element.key)
        return (0, 0) if value is None else counted(value)

    def counts(self) -> Iterator[list[tuple[Element, tuple[int, int]]]]:
        """Give what was handed on of each element so far, a part at a time; in between elements may come and go."""
        for set_name, family in _SETS.items():
            if family in self._maps:
                for part in self._maps[family].parts():
                    yield [(Element(set_name, key), counted(value)) for key, value in part]


def _refusal(error: OSError) -> str:
    match error.errno:
        case errno.EPERM:
            return "CAP_BPF is missing, which only root of the machine has or gives"
        case errno.EINVAL | errno.ENOSYS | errno.EOPNOTSUPP:
            return "the kernel takes no programs behind links (TCX, since Linux 6.6)"
        case _:
            return f"the kernel takes no program behind links ({error.strerror})"
