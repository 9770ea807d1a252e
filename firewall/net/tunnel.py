"""Packets inside packets: tunnels, and the mirrors that switches and routers send to a capture machine.

IP in IP (RFC 2003, 2473, 4213), Ethernet in IP (RFC 3378, SRv6's RFC 8986), MPLS in IP and in GRE (RFC 4023), GRE (RFC
2784, 2890; bridged Ethernet, RFC 1701), ERSPAN I to III (draft-foschiano-erspan), PPTP's GRE (RFC 2637), EoIP and TZSP
(MikroTik's tunnels and mirrors), VXLAN (RFC 7348; also as GPE), Geneve (RFC 8926), GTP-U (3GPP TS 29.281), L2TP (RFC
2661), Teredo (RFC 4380); the packet that an ICMP error quotes (RFC 792, RFC 4443).
"""

from struct import Struct
from typing import NamedTuple

from firewall.net.link import (
    ETHERNET,
    ETHERTYPE_BRIDGED,
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    ETHERTYPE_MPLS,
    IEEE802_11,
    IPV6,
    MPLS,
    PPP,
    RADIOTAP,
    RAW,
)

MAX_TUNNELS = 8
"""How many packets may stand one inside the other: no real capture has more than four."""

_GRE = 47
# Of an IP packet's payload by protocol: the link type, and the bytes in front of it.
_IN_IP = {4: (RAW, 0), 41: (RAW, 0), 97: (ETHERNET, 2), 137: (MPLS, 0), 143: (ETHERNET, 0)}
ICMP_PROTOCOLS = _ICMP, _ICMPV6 = 1, 58
# Destination unreachable, source quench, redirect, time exceeded, parameter problem; of ICMPv6 all errors there are.
_ICMP_ERRORS, _ICMPV6_ERRORS = frozenset({3, 4, 5, 11, 12}), frozenset({1, 2, 3, 4})
_ICMP_HEADER_BYTES = 8
_VXLAN_PORTS = frozenset({4789, 8472})  # IANA's, and the Linux kernel's own
_VXLAN_GPE_PORT, _GENEVE_PORT, _GTP_U_PORT, _TZSP_PORT, _L2TP_PORT, _TEREDO_PORT = 4790, 6081, 2152, 37008, 1701, 3544

UDP_TUNNEL_PORTS = _VXLAN_PORTS | {_VXLAN_GPE_PORT, _GENEVE_PORT, _GTP_U_PORT, _TZSP_PORT, _L2TP_PORT, _TEREDO_PORT}

_GRE_CHECKSUM, _GRE_ROUTING, _GRE_KEY, _GRE_SEQUENCE, _GRE_ACK = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
_GRE_IN_IP = {ETHERTYPE_IPV4: RAW, ETHERTYPE_IPV6: RAW, ETHERTYPE_BRIDGED: ETHERNET, ETHERTYPE_MPLS: MPLS}
_ERSPAN_II, _ERSPAN_III, _GRE_PPP, _EOIP = 0x88BE, 0x22EB, 0x880B, 0x6400
_GTP_G_PDU = 0xFF
_GPE_NEXT = {1: RAW, 2: RAW, 3: ETHERNET}
_TZSP_LINKS = {1: ETHERNET, 18: IEEE802_11, 127: RADIOTAP}
_TZSP_PADDING, _TZSP_END = 0, 1
_L2TP_CONTROL_OR_RESERVED, _L2TP_LENGTH, _L2TP_SEQUENCE, _L2TP_OFFSET, _L2TP_VERSION = 0xB4F0, 0x4000, 0x0800, 0x0200, 2
_TEREDO_AUTHENTICATION, _TEREDO_ORIGIN, _OF_TEREDO = b"\0\1", b"\0\0", b"\x20\1\0\0"

_u16 = Struct(">H").unpack_from


class Inside(NamedTuple):
    """Where in some bytes a packet or frame begins, and what link type reads it."""

    link_type: int
    start: int


def inside_ip(protocol: int, data: bytes, start: int, end: int) -> Inside | None:
    """Return what an IP packet of some protocol carries between ``start`` and ``end``, None when it is no packet."""
    if protocol in _IN_IP:
        link_type, header_bytes = _IN_IP[protocol]
        return Inside(link_type, start + header_bytes)
    if protocol == _GRE:
        return _inside_gre(data, start, end)
    return None


def inside_udp(src_port: int, dst_port: int, payload: bytes) -> Inside | None:
    """Return what a UDP datagram carries, None when it is no packet.

    A tunnel's port may be the source alone: what comes back through a NAT, or to a client of L2TP or Teredo.
    """
    port = dst_port if dst_port in UDP_TUNNEL_PORTS else src_port
    if port in _VXLAN_PORTS:
        # The I flag, and the reserved byte that no text has.
        return Inside(ETHERNET, 8) if len(payload) > 8 and payload[0] & 0x08 and not payload[7] else None
    if port == _VXLAN_GPE_PORT and len(payload) > 8 and payload[0] & 0x0C == 0x0C:
        return Inside(_GPE_NEXT[payload[3]], 8) if payload[3] in _GPE_NEXT else None
    if port == _TZSP_PORT:
        return _inside_tzsp(payload)
    if port == _GTP_U_PORT:
        return _inside_gtp_u(payload)
    if port == _L2TP_PORT:
        return _inside_l2tp(payload)
    if port == _TEREDO_PORT:
        return _inside_teredo(payload)
    if port == _GENEVE_PORT and len(payload) > 8 and payload[0] >> 6 == 0:
        link_type = _GRE_IN_IP.get(_u16(payload, 2)[0])
        return None if link_type is None else Inside(link_type, 8 + (payload[0] & 0x3F) * 4)
    return None


def quoted_by_icmp(protocol: int, data: bytes, start: int, end: int) -> Inside | None:
    """Return the packet that an ICMP or ICMPv6 error quotes."""
    errors = _ICMP_ERRORS if protocol == _ICMP else _ICMPV6_ERRORS if protocol == _ICMPV6 else frozenset[int]()
    if end - start <= _ICMP_HEADER_BYTES or data[start] not in errors:
        return None
    return Inside(RAW, start + _ICMP_HEADER_BYTES)


def _inside_gre(data: bytes, start: int, end: int) -> Inside | None:
    if end - start < 4:
        return None
    flags, protocol = _u16(data, start)[0], _u16(data, start + 2)[0]
    version, size = flags & 7, 4
    if version == 1 and protocol == _EOIP:  # length and tunnel in place of the key
        return Inside(ETHERNET, start + 8)
    if version == 1:  # PPTP: a key always, an acknowledgment perhaps
        size += 4 + (4 if flags & _GRE_SEQUENCE else 0) + (4 if flags & _GRE_ACK else 0)
        return Inside(PPP, start + size) if protocol == _GRE_PPP else None
    if version != 0 or flags & _GRE_ROUTING:
        return None
    size += sum(4 for flag in (_GRE_CHECKSUM, _GRE_KEY, _GRE_SEQUENCE) if flags & flag)
    inner = start + size
    if protocol in _GRE_IN_IP:
        return Inside(_GRE_IN_IP[protocol], inner)
    if protocol == _ERSPAN_II:  # without a sequence number it is type I, which has no header of its own
        return Inside(ETHERNET, inner + (8 if flags & _GRE_SEQUENCE else 0))
    if protocol == _ERSPAN_III and end >= inner + 12:
        last = _u16(data, inner + 10)[0]
        is_ip = last >> 10 & 0x1F == 2
        return Inside(RAW if is_ip else ETHERNET, inner + (20 if last & 1 else 12))
    return None


def _inside_tzsp(payload: bytes) -> Inside | None:
    """Version, type (a received frame or one to send), link type, then tags: the last, and padding, have no length."""
    if len(payload) < 5 or payload[0] != 1 or payload[1] > 1:
        return None
    link_type = _TZSP_LINKS.get(_u16(payload, 2)[0])
    start = 4
    while start < len(payload) and payload[start] != _TZSP_END:
        if payload[start] == _TZSP_PADDING:
            start += 1
        elif start + 1 < len(payload):
            start += 2 + payload[start + 1]
        else:
            return None
    return None if link_type is None or start >= len(payload) else Inside(link_type, start + 1)


def _inside_gtp_u(payload: bytes) -> Inside | None:
    """Version 1 of the user plane: a fixed header, a longer one if a flag is set, then extension headers."""
    if len(payload) < 9 or payload[0] >> 4 != 3 or payload[1] != _GTP_G_PDU:
        return None
    start = 8
    if payload[0] & 7:
        start = 12
        has_extension = payload[0] & 4
        following = payload[11] if len(payload) > 11 else 0
        while has_extension and following:
            if len(payload) <= start or not payload[start]:
                return None
            size = payload[start] * 4
            if len(payload) < start + size:
                return None
            following = payload[start + size - 1]
            start += size
    return Inside(RAW, start)


def _inside_l2tp(payload: bytes) -> Inside | None:
    """A data message: flags, what they say is there, tunnel and session, perhaps an offset, then PPP."""
    flags = _u16(payload)[0] if len(payload) >= 2 else 0
    if flags & (_L2TP_CONTROL_OR_RESERVED | 0xF) != _L2TP_VERSION:
        return None
    start = 6 + (2 if flags & _L2TP_LENGTH else 0) + (4 if flags & _L2TP_SEQUENCE else 0)
    if flags & _L2TP_OFFSET and len(payload) >= start + 2:
        start += 2 + _u16(payload, start)[0]
    return Inside(PPP, start) if len(payload) > start else None


def _inside_teredo(payload: bytes) -> Inside | None:
    """IPv6 behind what a server may have put in front of it; one of its ends has a Teredo address."""
    start = 0
    if payload[:2] == _TEREDO_AUTHENTICATION and len(payload) >= 4:
        start = 13 + payload[2] + payload[3]
    if payload[start : start + 2] == _TEREDO_ORIGIN:
        start += 8
    src, dst = payload[start + 8 : start + 12], payload[start + 24 : start + 28]
    return Inside(IPV6, start) if _OF_TEREDO in (src, dst) else None
