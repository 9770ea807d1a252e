"""The transparent UDP socket that receives what was addressed to others (kernel documentation: networking/tproxy).

One per IP version. Every datagram comes with its original destination, its interface, its remaining hops, its traffic
class and the kernel's receive timestamp, which is also the one that tcpdump records.
"""

import contextlib
import errno
import os
import socket
import struct
from functools import lru_cache
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from firewall.errors import MachineError
from firewall.live.clock import present_ns
from firewall.live.links import InterfaceNames
from firewall.live.netlink import enlarge_buffer
from firewall.live.nftables import INTERCEPT_MARK
from firewall.live.transparent import OPTIONS, SO_TIMESTAMPNS, transparent_socket
from firewall.net.datagram import Datagram
from firewall.net.ip import packed_address_text

RECEIVE_BUFFER_BYTES = 32 * 1024 * 1024
DATAGRAMS_PER_WAKE_UP = 64

_SO_MEMINFO = 55  # <asm-generic/socket.h>
_MEMINFO = struct.Struct("=9I")
_TIMESPEC = struct.Struct("@ll")
_INT = struct.Struct("@i")
_ANCILLARY_BYTES = 512
_LARGEST_DATAGRAM_BYTES = 65536
_SOCKADDR_IN_BYTES = 16
_COUNTS = Path("/proc/thread-self/net")


class ConnectionWay(Protocol):
    """The way of a message that came on a connection: it is forwarded and answered there and nowhere else."""

    def forward(self, datagram: Datagram) -> None:
        """Send it on to the other side."""

    def reply(self, datagram: Datagram) -> None:
        """Send an answer of our own to the side it came from."""


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """One message as it came in. ``time_ns``: Unix time of receipt, in whole microseconds as captures have it.

    ``way`` is None for a datagram; ``hops`` and ``traffic_class`` are 0 for a message of a connection.
    """

    time_ns: int
    datagram: Datagram
    hops: int
    traffic_class: int
    way: ConnectionWay | None = None


class Listener:
    """The transparent socket of one IP version.

    Raises:
        MachineError: the socket cannot be made here.
    """

    def __init__(self, version: int, port: int, interfaces: InterfaceNames) -> None:
        self.version = version
        self._socket = _listening_socket(version, port)
        self.fileno, self.close = self._socket.fileno, self._socket.close
        self._garbled_before = _garbled(version)
        self._dropped = 0
        self._buffer = bytearray(_LARGEST_DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)
        self._interfaces = interfaces

    def dropped(self) -> int:
        """Return how many datagrams the kernel dropped because this socket's buffer was full.

        It counts those with a wrong checksum, too, which nobody would have received.
        """
        drops = int(_MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[8])
        if drops > self._dropped:
            self._dropped = max(self._dropped, drops - (_garbled(self.version) - self._garbled_before))
        return self._dropped

    def receive(self, limit: int = DATAGRAMS_PER_WAKE_UP) -> list[Arrival]:
        """Return up to ``limit`` datagrams that are waiting, in order of receipt; none when none is."""
        arrivals: list[Arrival] = []
        for _ in range(limit):
            try:
                size, ancillary, _, source = self._socket.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                break  # an ICMP error of an earlier datagram; reading it has cleared it
            arrival = self._arrival(bytes(self._view[:size]), ancillary, source)
            if arrival is not None:
                arrivals.append(arrival)
        return arrivals

    def _arrival(
        self, payload: bytes, ancillary: list[tuple[int, int, bytes]], source: tuple[str, int]
    ) -> Arrival | None:
        time_ns = 0
        destination: tuple[str, int] | None = None
        in_iface: str | None = None
        hops = 64
        traffic_class = 0
        for level, kind, data in ancillary:
            match level, kind:
                case socket.SOL_SOCKET, 35:
                    seconds, nanoseconds = _TIMESPEC.unpack(data)
                    time_ns = seconds * 1_000_000_000 + nanoseconds // 1000 * 1000
                case (0, 20) | (41, 74):
                    destination = _endpoint(data)
                case 0, 8:
                    in_iface = self._interfaces.name(_INT.unpack_from(data)[0])
                case 41, socket.IPV6_PKTINFO:
                    in_iface = self._interfaces.name(_INT.unpack_from(data, 16)[0])
                case (0, 2) | (41, socket.IPV6_HOPLIMIT):
                    hops = _INT.unpack(data)[0]
                case 0, socket.IP_TOS:
                    traffic_class = data[0]
                case 41, socket.IPV6_TCLASS:
                    traffic_class = _INT.unpack(data)[0]
        if destination is None:
            return None  # not intercepted: somebody on this machine sent to the proxy port itself
        datagram = Datagram(source[0], source[1], destination[0], destination[1], payload, "UDP", in_iface)
        return Arrival(time_ns or present_ns(), datagram, hops, traffic_class)


@lru_cache(maxsize=65_536)
def _endpoint(sockaddr: bytes) -> tuple[str, int]:
    """Read a struct sockaddr_in or sockaddr_in6."""
    (port,) = struct.unpack_from("!H", sockaddr, 2)
    return packed_address_text(sockaddr[4:8] if len(sockaddr) == _SOCKADDR_IN_BYTES else sockaddr[8:24]), port


def open_listeners(port: int, interfaces: InterfaceNames) -> list[Listener]:
    """Open a listener for each IP version this machine has.

    Raises:
        MachineError: a socket cannot be made here.
    """
    with contextlib.ExitStack() as undo:
        listeners = [
            undo.enter_context(contextlib.closing(Listener(version, port, interfaces)))
            for version in ((4, 6) if _has_ipv6() else (4,))
        ]
        undo.pop_all()
    return listeners


def _has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            return False
        raise
    return True


def _listening_socket(version: int, port: int) -> socket.socket:
    everywhere = "0.0.0.0" if version == 4 else "::"  # noqa: S104 (only what tproxy hands over arrives here)
    options = OPTIONS[version]
    try:
        with contextlib.ExitStack() as undo:
            opened = undo.enter_context(transparent_socket(version, socket.SOCK_DGRAM))
            enlarge_buffer(opened, "receive", RECEIVE_BUFFER_BYTES)
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, INTERCEPT_MARK)  # nftables knows it by that
            for told in (options.original_destination, options.arrival, options.hops_received):
                opened.setsockopt(options.level, told, 1)
            opened.setsockopt(options.level, options.traffic_class_received, 1)
            with transparent_socket(version, socket.SOCK_DGRAM) as probe:
                probe.bind((everywhere, port))
            # A peer may send from the proxy port's number too; its sending socket must not collide with this one. One
            # of another user must, which SO_REUSEADDR would allow: messages would pass unseen.
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            opened.bind((everywhere, port))
            undo.pop_all()
    except OSError as error:
        raise socket_refusal(version, "UDP", port, error) from None
    return opened


def socket_refusal(version: int, transport: Literal["UDP", "TCP"], port: int, error: OSError) -> MachineError:
    """Word the kernel's refusal of a transparent socket."""
    needs = {
        errno.EADDRINUSE: f"another sosgate, or another program, has {transport} port {port}: "
        f'"ss -l{transport[0].lower()}np sport = :{port}" names it',
        errno.EPERM: "CAP_NET_ADMIN or CAP_NET_RAW is needed in this network namespace",
        errno.EACCES: "CAP_NET_BIND_SERVICE is needed in this network namespace",
        errno.EADDRNOTAVAIL: 'the loopback interface is down here: "ip link set lo up"',
    }
    what = f"the transparent IPv{version} socket on {transport} port {port}"
    return MachineError("open", what, os.strerror(error.errno or 0), needs=needs.get(error.errno or 0))


def _garbled(version: int) -> int:
    """Return how many UDP datagrams of a wrong checksum came to this network namespace."""
    try:
        if version == 4:
            rows = [row.split() for row in (_COUNTS / "snmp").read_text().splitlines() if row.startswith("Udp: ")]
            return int(dict(zip(*rows, strict=True))["InCsumErrors"])
        return int(dict(row.split() for row in (_COUNTS / "snmp6").read_text().splitlines())["Udp6InCsumErrors"])
    except (OSError, ValueError, KeyError):
        return 0
