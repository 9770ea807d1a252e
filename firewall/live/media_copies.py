"""Copies of media packets that the kernel sends (NFLOG, <linux/netfilter/nfnetlink_log.h>): some of those it let pass,
some of those it refused."""

import errno
import os
import socket
import struct
from typing import Literal

import msgspec

from firewall.errors import MachineError
from firewall.live import netlink
from firewall.live.clock import present_ns
from firewall.live.links import InterfaceNames
from firewall.live.media_chains import COPY_GROUP, REFUSED_PREFIX
from firewall.live.netlink import LOG, NETFILTER, NetlinkSocket, attribute, attributes, message, messages
from firewall.net.datagram import Datagram
from firewall.net.ip import packed_address_text

BATCHES_PER_WAKE_UP = 8

_PACKET, _CONFIGURE = 0, 1
# NFULA_*
_TIMESTAMP, _INPUT_INTERFACE, _PAYLOAD, _PREFIX = 3, 4, 9, 10
# NFULA_CFG_*, NFULNL_*
_COMMAND, _MODE, _KERNEL_BUFFER, _WAIT, _BATCH = 1, 2, 3, 4, 5
_BIND = 1
_COPY_PACKET = 2
_COPIED_BYTES = 2048
_RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024
_KERNEL_BUFFER_BYTES = 64 * 1024
_COPIES_PER_BATCH = 32
_LONGEST_WAIT_HUNDREDTHS = 2
_ETHERNET_BYTES = 14

_TIME = struct.Struct(">QQ")  # seconds, microseconds
_INDEX = struct.Struct(">I")
_MODE_FIELDS = struct.Struct(">IBx")
_IPV4 = struct.Struct(">BxHxxxxxBxx4s4s")  # version and header length, total length, protocol, source, destination
_IPV6 = struct.Struct(">IHBx16s16s")
_UDP = struct.Struct(">HHH")
_UDP_PROTOCOL = 17


class MediaCopy(msgspec.Struct, frozen=True, gc=False):
    """A copy of a packet. ``time_ns``: Unix time of receipt, in whole microseconds as captures have it."""

    time_ns: int
    datagram: Datagram
    copied: Literal["sample", "refused"]


class MediaCopies:
    """The socket that copies arrive on; at most one daemon in a network namespace can have them.

    Raises:
        MachineError: the kernel refuses.
    """

    def __init__(self, interfaces: InterfaceNames) -> None:
        self._interfaces = interfaces
        self._socket = NetlinkSocket(NETFILTER, receive_bytes=_RECEIVE_BUFFER_BYTES)
        self.fileno, self.close = self._socket.fileno, self._socket.close
        mode = _MODE_FIELDS.pack(_COPIED_BYTES, _COPY_PACKET)
        for part in (
            attribute(_COMMAND, bytes((_BIND,))),
            attribute(_MODE, mode)
            + attribute(_KERNEL_BUFFER, _INDEX.pack(_KERNEL_BUFFER_BYTES))
            + attribute(_WAIT, _INDEX.pack(_LONGEST_WAIT_HUNDREDTHS))
            + attribute(_BATCH, _INDEX.pack(_COPIES_PER_BATCH)),
        ):
            self._configure(part)

    def _configure(self, part: bytes) -> None:
        try:
            self._socket.send(
                message(LOG, _CONFIGURE, netlink.ACK, 1, part, family=socket.AF_UNSPEC, resource=COPY_GROUP)
            )
            code = next(iter(self._socket.errors().values()), 0)
        except OSError as error:
            code = error.errno or errno.EIO
        if code:
            self._socket.close()
            # The kernel says the same for a right that is missing and a group that somebody else has.
            needs = "CAP_NET_ADMIN is needed in this network namespace, and no other program may have this group"
            what = f"netfilter's log group {COPY_GROUP}"
            raise MachineError("receive copies of media from", what, os.strerror(code), needs=needs)

    def receive(self, limit: int = BATCHES_PER_WAKE_UP) -> list[MediaCopy]:
        """Return the copies that are waiting, up to ``limit`` of the kernel's batches; none when none is.

        What is no UDP packet, or longer than what is copied, is left out: it is counted nevertheless.
        """
        copies: list[MediaCopy] = []
        for _ in range(limit):
            data = self._socket.receive()
            if data is None:
                break
            for kind, _, _, start, end in messages(data):
                if kind == LOG << 8 | _PACKET:
                    copy = self._copy(data, start + netlink.NETFILTER_HEADER_BYTES, end)
                    if copy is not None:
                        copies.append(copy)
        return copies

    def _copy(self, data: bytes, start: int, end: int) -> MediaCopy | None:
        time_ns = 0
        index = 0
        payload = b""
        copied: Literal["sample", "refused"] = "sample"
        for kind, first, last in attributes(data, start, end):
            if kind == _PAYLOAD:
                payload = data[first:last]
            elif kind == _TIMESTAMP:
                seconds, microseconds = _TIME.unpack_from(data, first)
                time_ns = seconds * 1_000_000_000 + microseconds * 1000
            elif kind == _INPUT_INTERFACE:
                (index,) = _INDEX.unpack_from(data, first)
            elif kind == _PREFIX and data[first:last].startswith(REFUSED_PREFIX.encode()):
                copied = "refused"
        datagram = read_packet(payload, self._interfaces.name(index))
        if datagram is None:
            return None
        return MediaCopy(time_ns or present_ns(), datagram, copied)


def read_packet(packet: bytes, in_iface: str | None) -> Datagram | None:
    """Return the UDP datagram of an IP packet as the kernel forwards it, None where it is not a whole one."""
    if len(packet) < _IPV4.size:
        return None
    if packet[0] >> 4 == 4:
        first, total, protocol, src, dst = _IPV4.unpack_from(packet)
        start = (first & 15) << 2
    else:
        if len(packet) < _IPV6.size:
            return None
        _, total, protocol, src, dst = _IPV6.unpack_from(packet)
        start = _IPV6.size
        total += start
    if protocol != _UDP_PROTOCOL or not start + 8 <= total <= len(packet):
        return None
    src_port, dst_port, length = _UDP.unpack_from(packet, start)
    return Datagram(
        packed_address_text(src),
        src_port,
        packed_address_text(dst),
        dst_port,
        packet[start + 8 : start + max(8, length)],
        "UDP",
        in_iface,
        frame_bytes=_ETHERNET_BYTES + total,
    )
