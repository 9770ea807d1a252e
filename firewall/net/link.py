"""Link layers: from the first byte of a frame to the IP packet inside.

Link types (LINKTYPE_ values): Ethernet (also Juniper's), Linux cooked v1 and v2 (``tcpdump -i any``), BSD null and
loopback, raw IP, PPP and HDLC, Wi-Fi (IEEE 802.11, also behind radiotap or PPI), nflog, BSD's pflog and enc, Apple's
PKTAP. Behind them any stack of tags (IEEE 802.1Q's and switches' own), PPPoE sessions (RFC 2516), MPLS labels (RFC
3032), LLC/SNAP (RFC 1042) and frames in frames (IEEE 802.1ah, FabricPath). A link type is added by one entry of
``_LINKS``, a tag by one of ``_TAGS``.
"""

from collections.abc import Callable
from struct import Struct

from firewall.net.vantage import LINUX_SLL, LINUX_SLL2

NULL, ETHERNET, PPP, RAW, LOOP, IPV4, IPV6 = 0, 1, 9, 101, 108, 228, 229
_BSD_RAW, _OPENBSD_RAW = 12, 14  # DLT_RAW as some systems wrote it into files
_PPP_HDLC, _PPP_ETHER, _C_HDLC = 50, 51, 104
IEEE802_11, RADIOTAP, _PPI, _NFLOG, _USER2, _PKTAP = 105, 127, 192, 239, 149, 258
_ENC, _PFLOG, _JUNIPER_ETHERNET, MPLS = 109, 117, 178, 219

ETHERTYPE_IPV4, ETHERTYPE_IPV6 = 0x0800, 0x86DD
ETHERTYPE_BRIDGED = 0x6558  # a whole Ethernet frame (RFC 1701)
ETHERTYPE_MPLS = 0x8847
NOT_IP, SHORT, UNKNOWN_LINK = 0, -1, -2
"""Instead of an Ethernet type: no IP packet inside; the frame ends inside its link header; no reader for its link."""

# Tags that end with the next Ethernet type, and their bytes: VLAN, VN-Tag, 802.1BR's, and Cisco's security groups.
_TAGS = dict.fromkeys((0x8100, 0x88A8, 0x9100, 0x9200), 4) | {0x8926: 6, 0x893F: 8, 0x8909: 8}
_MPLS = frozenset({ETHERTYPE_MPLS, 0x8848})
# Behind so many bytes a whole frame follows: FabricPath's tag, the service tag of IEEE 802.1ah (MAC in MAC).
_BRIDGED = {ETHERTYPE_BRIDGED: 0, 0x8903: 2, 0x88E7: 4}
_PPPOE_SESSION = 0x8864
_LARGEST_LENGTH = 1500  # IEEE 802.3: up to here the field is a length, and LLC follows
_SNAP = b"\xaa\xaa\x03\0\0\0"
_C_HDLC_ADDRESSES = (b"\x0f\0", b"\x8f\0")
_PPP_PROTOCOLS = {0x21: ETHERTYPE_IPV4, 0x57: ETHERTYPE_IPV6, 0x281: 0x8847, 0x283: 0x8848}
# AF_INET6 as FreeBSD, macOS, NetBSD/OpenBSD and Linux number it.
_BSD_FAMILIES = {2: ETHERTYPE_IPV4} | dict.fromkeys((10, 24, 28, 30), ETHERTYPE_IPV6)

_u16 = Struct(">H").unpack_from
_u32 = Struct(">I").unpack_from
_u16_little = Struct("<H").unpack_from
_u32_little = Struct("<I").unpack_from

_Found = tuple[int, int]
"""An Ethernet type (or NOT_IP, SHORT, UNKNOWN_LINK) and where what it names begins."""
_Reader = Callable[[bytes], _Found]


def ip_packet(link_type: int, data: bytes) -> tuple[int, int]:
    """Return ETHERTYPE_IPV4 or ETHERTYPE_IPV6 and where the packet begins; or NOT_IP, SHORT, UNKNOWN_LINK and 0."""
    read_link = _LINKS.get(link_type)
    if read_link is None:
        return UNKNOWN_LINK, 0
    protocol, offset = read_link(data)
    while protocol not in (ETHERTYPE_IPV4, ETHERTYPE_IPV6):
        if protocol <= 0:
            return protocol, 0
        protocol, offset = _next_header(protocol, data, offset)
    return protocol, offset


def _next_header(protocol: int, data: bytes, offset: int) -> _Found:
    """Step over one header between the link's own and the IP packet; each step goes forward."""
    if protocol in _TAGS:
        end = offset + _TAGS[protocol]
        return _type_at(data, end - 2, end)
    if protocol in _MPLS:
        return _mpls(data, offset)
    if protocol == _PPPOE_SESSION:
        return _ppp_protocol(data, offset + 6)
    if protocol in _BRIDGED:
        return _ethernet(data, offset + _BRIDGED[protocol])
    if protocol <= _LARGEST_LENGTH:
        return _llc(data, offset)
    return NOT_IP, 0


def _type_at(data: bytes, place: int, end: int) -> _Found:
    """The Ethernet type at this place of a header that ends at ``end``, where what it names begins."""
    return (_u16(data, place)[0], end) if len(data) >= end else (SHORT, 0)


def _ethernet(data: bytes, offset: int = 0) -> _Found:
    return _type_at(data, offset + 12, offset + 14)


def _c_hdlc(data: bytes) -> _Found:
    return _type_at(data, 2, 4)


def _mpls(data: bytes, offset: int) -> _Found:
    """Labels up to the one with the bottom-of-stack bit. What follows is known by its first nibble (RFC 4928)."""
    while True:
        if len(data) < offset + 5:
            return SHORT, 0
        offset += 4
        if data[offset - 2] & 1:
            break
    nibble = data[offset] >> 4
    if nibble == 0:  # the control word of an Ethernet pseudowire (RFC 4448)
        return ETHERTYPE_BRIDGED, offset + 4
    return {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(nibble, NOT_IP), offset


def _llc(data: bytes, offset: int) -> _Found:
    if data[offset : offset + 6] != _SNAP:
        return NOT_IP, 0
    return _type_at(data, offset + 6, offset + 8)


def _null(data: bytes, header_bytes: int = 4) -> _Found:
    """The address family in the byte order of whoever captured."""
    if len(data) < header_bytes:
        return SHORT, 0
    family: int = min(_u32(data)[0], _u32_little(data)[0])
    return _BSD_FAMILIES.get(family, NOT_IP), header_bytes


def _pflog(data: bytes) -> _Found:
    """OpenBSD's packet filter: the header's length without its padding, then the address family."""
    header_bytes = data[0] + 3 & ~3 if data else 0
    if len(data) < max(header_bytes, 4):
        return SHORT, 0
    return _BSD_FAMILIES.get(data[1], NOT_IP), header_bytes


def _raw(data: bytes) -> _Found:
    if not data:
        return SHORT, 0
    return {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(data[0] >> 4, NOT_IP), 0


def _ppp(data: bytes) -> _Found:
    """PPP in HDLC's framing or none, or Cisco's HDLC, which LINKTYPE_PPP_HDLC may be as well."""
    if data[:2] in _C_HDLC_ADDRESSES:
        return _c_hdlc(data)
    return _ppp_protocol(data, 2 if data[:2] == b"\xff\x03" else 0)


def _ppp_protocol(data: bytes, offset: int) -> _Found:
    """RFC 1661 §2, also with the protocol field compressed to one byte (§6.5)."""
    if len(data) < offset + 2:
        return SHORT, 0
    if data[offset] & 1:
        return _PPP_PROTOCOLS.get(data[offset], NOT_IP), offset + 1
    return _PPP_PROTOCOLS.get(_u16(data, offset)[0], NOT_IP), offset + 2


def _ieee802_11(data: bytes, offset: int = 0) -> _Found:
    """Data frames that are not encrypted (IEEE 802.11 §9.2.3)."""
    if len(data) < offset + 24:
        return SHORT, 0
    kind, flags = data[offset], data[offset + 1]
    is_data, is_protected, no_data = kind & 0x0C == 0x08, flags & 0x40, kind & 0x40
    if not is_data or is_protected or no_data:
        return NOT_IP, 0
    four_addresses = flags & 3 == 3
    header_bytes = 24 + 6 * four_addresses
    if kind & 0x80:  # quality of service; with the order bit an HT control field too
        header_bytes += 6 if flags & 0x80 else 2
    return _llc(data, offset + header_bytes)


def _radiotap(data: bytes) -> _Found:
    return _ieee802_11(data, _u16_little(data, 2)[0]) if len(data) >= 4 else (SHORT, 0)


def _nflog(data: bytes) -> _Found:
    """Netfilter's family, version and resource, then attributes in host byte order; the ninth is the packet."""
    if len(data) < 4:
        return SHORT, 0
    protocol = {2: ETHERTYPE_IPV4, 10: ETHERTYPE_IPV6}.get(data[0], NOT_IP)
    offset = 4
    while len(data) >= offset + 4:
        size, kind = _u16_little(data, offset)[0], _u16_little(data, offset + 2)[0]
        if kind & 0x7FFF == 9:
            return protocol, offset + 4
        offset += max(size + 3 & ~3, 4)
    return SHORT, 0


def _pktap(data: bytes) -> _Found:
    """Apple's header names the link type behind it."""
    if len(data) < 12:
        return SHORT, 0
    return _named_link(data, _u32_little(data)[0], _u32_little(data, 8)[0])


def _ppi(data: bytes) -> _Found:
    """CACE's header in front of Wi-Fi, mostly, names the link type behind it."""
    if len(data) < 8:
        return SHORT, 0
    return _named_link(data, _u16_little(data, 2)[0], _u32_little(data, 4)[0])


def _named_link(data: bytes, header_bytes: int, inner: int) -> _Found:
    if header_bytes < 8 or inner in (_PKTAP, _USER2, _PPI) or inner not in _LINKS:
        return NOT_IP, 0
    protocol, offset = _LINKS[inner](data[header_bytes:])
    return protocol, offset + header_bytes


def _juniper_ethernet(data: bytes) -> _Found:
    """Juniper's magic number and flags, perhaps extensions, then a frame, or 4 bytes and the packet without one."""
    if len(data) < 6:
        return SHORT, 0
    if data[:3] != b"MGC":
        return NOT_IP, 0
    offset = 6 + _u16(data, 4)[0] if data[3] & 0x80 else 4
    if not data[3] & 0x02:
        return _ethernet(data, offset)
    protocol, _ = _raw(data[offset + 4 :])
    return protocol, offset + 4


_LINKS: dict[int, _Reader] = {
    NULL: _null,
    ETHERNET: _ethernet,
    PPP: _ppp,
    _BSD_RAW: _raw,
    _OPENBSD_RAW: _raw,
    _PPP_HDLC: _ppp,
    _PPP_ETHER: lambda data: _ppp_protocol(data, 6),
    RAW: _raw,
    _C_HDLC: _c_hdlc,
    IEEE802_11: _ieee802_11,
    LOOP: _null,
    LINUX_SLL: lambda data: _type_at(data, 14, 16),
    RADIOTAP: _radiotap,
    _ENC: lambda data: _null(data, 12),  # family, security parameters index, flags
    _PFLOG: _pflog,
    _PPI: _ppi,
    _JUNIPER_ETHERNET: _juniper_ethernet,
    MPLS: lambda data: _mpls(data, 0),
    _USER2: _pktap,
    IPV4: _raw,
    IPV6: _raw,
    _NFLOG: _nflog,
    _PKTAP: _pktap,
    LINUX_SLL2: lambda data: _type_at(data, 0, 20),
}
