"""Exported PDUs: messages that Wireshark took out of what carried them, TLS that it could decrypt above all.

A frame of link type 252 (``tshark -U``) has tags, each of two bytes with two bytes of length, then the message; the
tags name its dissector and where it came from (wsutil/exported_pdu_tlvs.h).
"""

from struct import Struct

from firewall.net.datagram import Packet, Transport
from firewall.net.hep import address_in, number_in

EXPORTED_PDU = 252
EXPORT = "if Wireshark reads it, make a capture that is read with: tshark -r IN -Y sip -U 'OSI layer 7' -w OUT"
_TAG = Struct(">HH").unpack_from
_END, _DISSECTOR, _SRC4, _DST4, _SRC6, _DST6, _PORT_TYPE, _SRC_PORT, _DST_PORT = 0, 12, 20, 21, 22, 23, 24, 25, 26
_READ_DISSECTORS = frozenset({b"sip", b"rtp", b"rtcp"})
_TCP_PORT_TYPE = 2


def read_exported_pdu(data: bytes) -> Packet | None:
    """Return the message in an exported PDU, None when its tags are damaged or tell no addresses.

    What is neither SIP nor RTP has the transport ``other``.
    """
    tags: dict[int, bytes] = {}
    offset, kind = 0, -1
    while kind != _END:
        if offset + 4 > len(data):
            return None
        kind, size = _TAG(data, offset)
        tags[kind] = data[offset + 4 : offset + 4 + size]
        offset += 4 + size
    src, dst = address_in(tags, _SRC4, _SRC6), address_in(tags, _DST4, _DST6)
    if src is None or dst is None or offset > len(data):
        return None
    transport: Transport = "TCP" if number_in(tags, _PORT_TYPE) == _TCP_PORT_TYPE else "UDP"
    is_read = tags.get(_DISSECTOR, b"").rstrip(b"\0") in _READ_DISSECTORS
    ports = number_in(tags, _SRC_PORT) & 0xFFFF, number_in(tags, _DST_PORT) & 0xFFFF
    return Packet(src, ports[0], dst, ports[1], data[offset:], transport if is_read else "other")
