"""The interfaces of this network namespace: their names, and what the kernel tells of them (rtnetlink(7))."""

import contextlib
import errno
import os
import socket
import struct
import sys
from pathlib import Path

import msgspec

from firewall.live.netlink import ROUTE, attribute, listed, parts

SETTINGS = Path("/proc/sys/net")
"""Those of the calling thread's network namespace, unlike /proc/net."""

# <linux/rtnetlink.h>, <linux/if_link.h>: RTM_GETLINK, struct ifinfomsg, IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS.
_GET_LINK = 18
_LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_WITHOUT_COUNTS = attribute(29, struct.pack("=I", 1 << 3))
# <linux/if_link.h>: IFLA_*, ARPHRD_ETHER, IFF_UP.
_NAME, _MTU, _LOWER, _MASTER, _LINK_INFO, _LOWER_NAMESPACE = 3, 4, 5, 10, 18, 37
_KIND, _PORT_KIND = 1, 4
_ETHERNET, _UP = 1, 1


class Link(msgspec.Struct, frozen=True):
    """An interface as the kernel tells it. ``lower``: the index of the one it is stacked on, or cabled to, here, and
    ``master`` of the one it is a port of; 0: none. ``is_ethernet``: one that is up."""

    index: int
    name: str
    mtu: int
    is_ethernet: bool
    lower: int
    master: int
    kind: bytes
    port_kind: bytes


class InterfaceNames:
    """The names of interfaces by index, as the kernel tells it with a packet. Asks for each once, until ``forget``."""

    def __init__(self) -> None:
        self._known: dict[int, str | None] = {}
        self._asked: set[int] = set()

    def name(self, index: int) -> str | None:
        """Return a name, None where there is no such interface; where the machine does not tell, the one it had."""
        if index not in self._asked:
            try:
                self._known[index] = socket.if_indextoname(index)
            except OSError as error:
                if error.errno != errno.ENXIO:  # as it has no more open files: it is asked again
                    return self._known.get(index)
                self._known[index] = None
            self._asked.add(index)
        return self._known[index]

    def forget(self) -> None:
        """Ask anew: an interface may have been renamed."""
        self._asked.clear()


def setting(name: str) -> str | None:
    """Return what a setting of the network is (``ipv4/conf/all/forwarding``), None where it is not there to be read."""
    try:
        with open(f"{SETTINGS}/{name}", "rb", 0) as file:  # noqa: PTH123 (a survey reads hundreds: pathlib takes thrice)
            return file.read(64).decode().strip()
    except OSError:
        return None


def links() -> list[Link]:
    """Return what the kernel has of each interface.

    Raises:
        OSError: it does not tell.
    """
    return [_link(answer) for answer in listed(ROUTE, _GET_LINK, bytes(_LINK.size) + _WITHOUT_COUNTS)]


def interface_names() -> dict[int, str]:
    """Return the interfaces of this network namespace, index to name."""
    return dict(socket.if_nameindex())


def name_of_alternative(name: str) -> str | None:
    """Return the name, which packets are told by, of an interface that has this one, too; None where there is none."""
    try:
        found = socket.if_indextoname(socket.if_nametoindex(name))
    except OSError:
        return None
    return None if found == name else found


def bridges() -> set[str]:
    """Return the interfaces that are bridges, none where the kernel does not tell."""
    with contextlib.suppress(OSError):
        return {link.name for link in links() if link.kind == b"bridge"}
    return set()


def ports() -> dict[str, str]:
    """Return the interfaces that are ports of a bridge, or of several in one (bond, team): name to the name of that.

    What comes in by them counts as coming in by it. None where the kernel does not tell.
    """
    with contextlib.suppress(OSError):
        found = links()
        names = {link.index: link.name for link in found}
        return {link.name: names[link.master] for link in found if link.master in names and link.port_kind != b"vrf"}
    return {}


def _link(answer: bytes) -> Link:
    _, hardware, index, flags, _ = _LINK.unpack_from(answer)
    told = parts(answer, _LINK.size)
    info = parts(told.get(_LINK_INFO, b""))
    mtu, lower, master = (int.from_bytes(told.get(kind, b""), sys.byteorder) for kind in (_MTU, _LOWER, _MASTER))
    return Link(
        index,
        os.fsdecode(told.get(_NAME, b"").rstrip(b"\0")),
        mtu,
        hardware == _ETHERNET and bool(flags & _UP),
        0 if _LOWER_NAMESPACE in told else lower,
        master,
        info.get(_KIND, b"").rstrip(b"\0"),
        info.get(_PORT_KIND, b"").rstrip(b"\0"),
    )
