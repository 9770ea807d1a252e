"""RTCP headers (RFC 3550 §6.1): the packets of a compound."""

from struct import Struct

import msgspec

_HEADER = Struct(">BBH").unpack_from
_SSRC = Struct(">I").unpack_from
_FIRST_TYPE, _LAST_TYPE = 192, 223  # RFC 5761 §4: what tells RTCP from RTP on one port
_VERSION = 2


class RtcpHeader(msgspec.Struct, frozen=True, gc=False):
    """The header that all packets of a compound have. ``words`` is the length as the wire has it: 32-bit words, less
    one; ``ssrc`` is None in a packet too short to have one."""

    version: int
    count: int
    packet_type: int
    words: int
    ssrc: int | None


def is_rtcp(payload: bytes) -> bool:
    """Tell whether a datagram on a media port is RTCP of version 2 (RFC 5761 §4)."""
    return len(payload) >= 4 and payload[0] >> 6 == _VERSION and _FIRST_TYPE <= payload[1] <= _LAST_TYPE


def read_rtcp(payload: bytes) -> tuple[RtcpHeader, ...]:
    """Return the headers of a compound as far as it can be read; () for what is no RTCP. Any bytes give one of both."""
    if not is_rtcp(payload):
        return ()
    headers: list[RtcpHeader] = []
    at = 0
    while at + 4 <= len(payload):
        first, packet_type, words = _HEADER(payload, at)
        if first >> 6 != _VERSION:
            break
        ssrc = _SSRC(payload, at + 4)[0] if at + 8 <= len(payload) and words else None
        headers.append(RtcpHeader(first >> 6, first & 31, packet_type, words, ssrc))
        at += 4 * (words + 1)
    return tuple(headers)
