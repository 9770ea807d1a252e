"""Transports of SIP that nobody here reads: told, so that a capture of them is not taken for empty."""

import re

from firewall.net.datagram import Packet

SIPS_PORT = 5061
EXPORT = "if Wireshark reads it, make a capture that is read with: tshark -r IN -Y sip -U 'OSI layer 7' -w OUT"
_TLS_HANDSHAKE = b"\x16\x03"
# RFC 7118 §4.1: client and server agree on the subprotocol "sip".
_WEBSOCKET_SIP = re.compile(rb"\r\nsec-websocket-protocol:[^\r\n]*\bsip\b", re.IGNORECASE)
_FIRST_BYTES = (b"GET ", b"HTTP")


def unread_transport(packet: Packet) -> str | None:
    """Return what SIP a TCP segment shows that is not read: over TLS (port 5061), over WebSocket; None for others."""
    payload = packet.payload
    if payload[:2] == _TLS_HANDSHAKE and SIPS_PORT in (packet.src_port, packet.dst_port):
        return "SIP over TLS"
    if payload[:4] in _FIRST_BYTES and _WEBSOCKET_SIP.search(payload) is not None:
        return "SIP over WebSocket"
    return None
