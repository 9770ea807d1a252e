"""HEP: SIP messages and the addresses they had, as the agents in Kamailio, OpenSIPS or FreeSWITCH tell them to Homer.

A packet is "HEP3", its length, and chunks: vendor, type, length, value (HEP/EEP network protocol, revision 32). Only
chunks of the generic vendor 0 are read.

Versions 1 and 2 have a fixed header: version, its length, address family, IP protocol, ports, addresses, and in version
2 the time, which is not read (its byte order is that of the agent's machine).
"""

import ipaddress
import zlib
from struct import Struct

from firewall.net.datagram import Packet, Transport
from firewall.net.signalling import begins_signalling

HEP3_MAGIC = b"HEP3"
OLD_HEP_HEADS = {b"\x01\x10": 4, b"\x01\x28": 16, b"\x02\x1c": 4, b"\x02\x34": 16}
"""Version and header length of HEP 1 and 2, and how many bytes their addresses have."""
HEP_BEGINNINGS = frozenset((HEP3_MAGIC[:2], *OLD_HEP_HEADS))
"""The first two bytes of what may be a HEP packet."""
_AF_INET, _AF_INET6 = (2,), (10, 24, 28, 30)
_MAX_PAYLOAD_BYTES = 65_535
_CHUNK = Struct(">HHH").unpack_from
_PROTOCOL, _SRC4, _DST4, _SRC6, _DST6, _SRC_PORT, _DST_PORT = 2, 3, 4, 5, 6, 7, 8
_SECONDS, _MICROSECONDS, _CONTENT, _PAYLOAD, _DEFLATED = 9, 10, 11, 15, 16
_SIP = 1
_TRANSPORTS: dict[int, Transport] = {6: "TCP", 17: "UDP"}


def read_hep(payload: bytes) -> Packet | None:
    """Return the packet that a HEP packet tells of, None when it is damaged or none. Any bytes give one of the two.

    A packet whose content is not SIP (RTCP reports, logs) has the transport ``other``.
    """
    if payload[:2] in OLD_HEP_HEADS:
        return _read_old_hep(payload, OLD_HEP_HEADS[payload[:2]])
    if payload[:4] != HEP3_MAGIC or len(payload) < 6:
        return None
    total = int.from_bytes(payload[4:6], "big")
    if not 6 <= total <= len(payload):
        return None
    chunks: dict[int, bytes] = {}
    offset = 6
    while offset + 6 <= total:
        vendor, kind, size = _CHUNK(payload, offset)
        if size < 6 or offset + size > total:
            return None
        if vendor == 0:
            chunks[kind] = payload[offset + 6 : offset + size]
        offset += size
    src, dst = address_in(chunks, _SRC4, _SRC6), address_in(chunks, _DST4, _DST6)
    content = _content(chunks)
    if src is None or dst is None or content is None:
        return None
    is_sip = number_in(chunks, _CONTENT, _SIP) == _SIP
    captured_ns = None
    if _SECONDS in chunks:
        microseconds = min(number_in(chunks, _MICROSECONDS), 999_999)
        captured_ns = number_in(chunks, _SECONDS) * 1_000_000_000 + microseconds * 1000
    return Packet(
        src,
        number_in(chunks, _SRC_PORT) & 0xFFFF,
        dst,
        number_in(chunks, _DST_PORT) & 0xFFFF,
        content,
        _TRANSPORTS.get(number_in(chunks, _PROTOCOL, 17), "UDP") if is_sip else "other",
        captured_ns=captured_ns,
    )


def _read_old_hep(payload: bytes, address_bytes: int) -> Packet | None:
    """Two bytes are a weak sign, so that the header must fit in all, and a SIP message begin behind it."""
    if len(payload) < payload[1] + 4:
        return None
    family, protocol, content = payload[2], payload[3], payload[payload[1] :]
    is_family = family in (_AF_INET if address_bytes == 4 else _AF_INET6)
    if not is_family or protocol not in _TRANSPORTS or not begins_signalling(content):
        return None
    src_port, dst_port = int.from_bytes(payload[4:6], "big"), int.from_bytes(payload[6:8], "big")
    src, dst = payload[8 : 8 + address_bytes], payload[8 + address_bytes : 8 + 2 * address_bytes]
    return Packet(
        str(ipaddress.ip_address(src)),
        src_port,
        str(ipaddress.ip_address(dst)),
        dst_port,
        content,
        _TRANSPORTS[protocol],
    )


def number_in(chunks: dict[int, bytes], kind: int, default: int = 0) -> int:
    """Return the number in a chunk of at most four bytes, the default where there is none."""
    value = chunks.get(kind)
    return default if value is None else int.from_bytes(value[:4], "big")


def address_in(chunks: dict[int, bytes], kind4: int, kind6: int) -> str | None:
    """Return the address in the chunk of either family, None where there is none."""
    for kind, size in ((kind4, 4), (kind6, 16)):
        value = chunks.get(kind)
        if value is not None and len(value) == size:
            return str(ipaddress.ip_address(value))
    return None


def _content(chunks: dict[int, bytes]) -> bytes | None:
    if _DEFLATED in chunks:
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(chunks[_DEFLATED], _MAX_PAYLOAD_BYTES)
        except zlib.error:
            return None
    return chunks.get(_PAYLOAD)
