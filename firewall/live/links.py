"""The interfaces of this network namespace: their names, and what the kernel tells of them (rtnetlink(7))."""

import errno
import os
import socket
import struct
import sys
from pathlib import Path

from firewall.live.netlink import ROUTE, attribute, parts
from firewall.live.question import listed

SETTINGS = Path("/proc/sys/net")
"""Those of the calling thread's network namespace, unlike /proc/net."""

# <linux/rtnetlink.h>, <linux/if_link.h>: RTM_GETLINK, struct ifinfomsg, IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS.
_GET_LINK = 18
LINK = struct.Struct("=BxHiII")  # family, type, index, flags, change
_WITHOUT_COUNTS = attribute(29, struct.pack("=I", 1 << 3))
# <linux/if_link.h>: IFLA_*.
_NAME, _MASTER, _LINK_INFO, _KIND, _PORT_KIND = 3, 10, 18, 1, 4


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
        return (SETTINGS / name).read_text().strip()
    except OSError:
        return None


def listed_links() -> list[bytes]:
    """Return what the kernel has of each interface, without its counts: a ``LINK``, then attributes."""
    return listed(ROUTE, _GET_LINK, bytes(LINK.size) + _WITHOUT_COUNTS)


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
    return {_name(link) for link in _links().values() if _told_of_kind(link, _KIND) == b"bridge"}


def ports() -> dict[str, str]:
    """Return the interfaces that are ports of a bridge, or of several in one (bond, team): name to the name of that.

    What comes in by them counts as coming in by it. None where the kernel does not tell.
    """
    links = _links()
    masters = {
        _name(link): int.from_bytes(link[_MASTER], sys.byteorder)
        for link in links.values()
        if _MASTER in link and _told_of_kind(link, _PORT_KIND) != b"vrf"
    }
    return {name: _name(links[master]) for name, master in masters.items() if master in links}


def _links() -> dict[int, dict[int, bytes]]:
    try:
        return {LINK.unpack_from(answer)[2]: parts(answer, LINK.size) for answer in listed_links()}
    except OSError:
        return {}


def _name(link: dict[int, bytes]) -> str:
    return os.fsdecode(link.get(_NAME, b"").rstrip(b"\0"))


def _told_of_kind(link: dict[int, bytes], which: int) -> bytes:
    return parts(link.get(_LINK_INFO, b"")).get(which, b"").rstrip(b"\0")
