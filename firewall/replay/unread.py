"""Transports of SIP that nobody here reads: told, so that a capture of them is not taken for empty."""

import re

from firewall.net.datagram import Packet
from firewall.net.hep import HEP3_MAGIC
from firewall.net.signalling import SENT_PROTOCOL

SIPS_PORT = 5061
# Of a TLS handshake, of HTTP and HEP, and of a WebSocket frame that is a whole message.
_FIRST_BYTES = frozenset({b"\x16", b"G", b"H", b"\x81", b"\x82"})
_TLS_HANDSHAKE = b"\x16\x03"
# RFC 7118 §4.1: client and server agree on the subprotocol "sip".
_WEBSOCKET_SIP = re.compile(rb"\r\nsec-websocket-protocol:[^\r\n]*\bsip\b", re.IGNORECASE)
_HTTP = (b"GET ", b"HTTP")


def unread_transport(packet: Packet) -> str | None:
    """Return what SIP a TCP segment shows that is not read: over TLS (port 5061), over WebSocket, in HEP; else None."""
    payload = packet.payload
    if payload[:1] not in _FIRST_BYTES:
        return None
    if payload[:2] == _TLS_HANDSHAKE:
        return "SIP over TLS" if SIPS_PORT in (packet.src_port, packet.dst_port) else None
    if payload[:4] == HEP3_MAGIC:
        return "HEP over TCP"
    is_http = payload[:4] in _HTTP
    is_sip = _WEBSOCKET_SIP.search(payload) is not None if is_http else payload[0] & 0x80 and SENT_PROTOCOL in payload
    return "SIP over WebSocket" if is_sip else None
