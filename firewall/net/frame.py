"""Frames: from the link layer to the IP packet inside.

Link types (LINKTYPE_ values): Ethernet with any stack of VLAN tags (IEEE 802.1Q), Linux cooked v1 and v2
(``tcpdump -i any``), BSD null and loopback, raw IP. A link type is added by one entry of ``_FIRST_PROTOCOL``.
"""

from collections.abc import Callable
from struct import Struct

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.ip import PacketDecoder, Undecoded
from firewall.net.pcapng import NO_LINK_TYPE
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2

NULL, ETHERNET, RAW, LOOP, IPV4, IPV6 = 0, 1, 101, 108, 228, 229
_BSD_RAW, _OPENBSD_RAW = 12, 14  # DLT_RAW as some systems wrote it into files

_ETHERTYPE_IPV4, _ETHERTYPE_IPV6 = 0x0800, 0x86DD
_VLAN_TAGS = frozenset({0x8100, 0x88A8, 0x9100, 0x9200})
_NOT_IP = 0
_SHORT = -1
# AF_INET6 as FreeBSD, macOS, NetBSD/OpenBSD and Linux number it.
_BSD_FAMILIES = {2: _ETHERTYPE_IPV4} | dict.fromkeys((10, 24, 28, 30), _ETHERTYPE_IPV6)

_u16 = Struct(">H").unpack_from
_u32 = Struct(">I").unpack_from
_u32_little = Struct("<I").unpack_from

# A link type's reader gives the protocol (an Ethernet type, or _NOT_IP, or _SHORT) and where it begins.
_Reader = Callable[[bytes], tuple[int, int]]


def _ethernet(data: bytes) -> tuple[int, int]:
    return (_u16(data, 12)[0], 14) if len(data) >= 14 else (_SHORT, 0)


def _linux_sll(data: bytes) -> tuple[int, int]:
    return (_u16(data, 14)[0], 16) if len(data) >= 16 else (_SHORT, 0)


def _linux_sll2(data: bytes) -> tuple[int, int]:
    return (_u16(data, 0)[0], 20) if len(data) >= 20 else (_SHORT, 0)


def _null(data: bytes) -> tuple[int, int]:
    """The address family in the byte order of whoever captured."""
    if len(data) < 4:
        return _SHORT, 0
    family: int = min(_u32(data)[0], _u32_little(data)[0])
    return _BSD_FAMILIES.get(family, _NOT_IP), 4


def _raw(data: bytes) -> tuple[int, int]:
    if not data:
        return _SHORT, 0
    return {4: _ETHERTYPE_IPV4, 6: _ETHERTYPE_IPV6}.get(data[0] >> 4, _NOT_IP), 0


_FIRST_PROTOCOL: dict[int, _Reader] = {
    NULL: _null,
    ETHERNET: _ethernet,
    _BSD_RAW: _raw,
    _OPENBSD_RAW: _raw,
    RAW: _raw,
    LOOP: _null,
    LINUX_SLL: _linux_sll,
    IPV4: _raw,
    IPV6: _raw,
    LINUX_SLL2: _linux_sll2,
}


class FrameDecoder(PacketDecoder):
    """Reads the frames of one capture, in order: any bytes give a datagram or the reason why not."""

    def decode(self, record: CaptureRecord) -> Datagram | Undecoded:
        """Return the datagram in a frame; for one that came in fragments, at the frame that completes it."""
        data = record.data
        read_link = _FIRST_PROTOCOL.get(record.link_type)
        if read_link is None:
            return self._no_reader(record)
        protocol, offset = read_link(data)
        while protocol in _VLAN_TAGS:
            if len(data) < offset + 4:
                return self.short(record, "its VLAN tag")
            protocol = _u16(data, offset + 2)[0]
            offset += 4
        if protocol == _ETHERTYPE_IPV4:
            return self.ipv4(record, offset)
        if protocol == _ETHERTYPE_IPV6:
            return self.ipv6(record, offset)
        if protocol == _SHORT:
            return self.short(record, "its link header")
        return self.undecoded(record, "not_ip", "the frame holds no IP packet")

    def _no_reader(self, record: CaptureRecord) -> Undecoded:
        if record.link_type == NO_LINK_TYPE:
            return self.undecoded(record, "not_ip", "a block of the capture that is no frame")
        return self.undecoded(record, "link_type", f"link type {record.link_type} is not supported")
