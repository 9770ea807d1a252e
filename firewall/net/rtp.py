"""RTP headers (RFC 3550 §5.1) and how they are told from RTCP on the same port (RFC 5761 §4)."""

from struct import Struct

import msgspec

RTP_VERSION = 2
_HEADER_BYTES = 12
_HEADER = Struct(">BBHII").unpack_from
# RTCP packet types 192..223 stand where RTP has its marker bit and payload types 64..95, which RTP does not use.
_RTCP_FIRST, _RTCP_LAST = 192, 223


class RtpHeader(msgspec.Struct, frozen=True, gc=False):
    """The fixed header of one RTP packet. ``marker``, ``padding`` and ``extension`` are 0 or 1."""

    version: int
    padding: int
    extension: int
    csrc_count: int
    marker: int
    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int


def is_rtp(payload: bytes) -> bool:
    """Tell whether a datagram between negotiated media addresses is an RTP packet of version 2."""
    return (
        len(payload) >= _HEADER_BYTES and payload[0] >> 6 == RTP_VERSION and not _RTCP_FIRST <= payload[1] <= _RTCP_LAST
    )


def read_rtp_header(payload: bytes) -> RtpHeader | None:
    """Return the RTP header at the front of a datagram, None where there is none. Any bytes give one of the two."""
    if not is_rtp(payload):
        return None
    first, second, sequence_number, timestamp, ssrc = _HEADER(payload)
    return RtpHeader(
        first >> 6,
        first >> 5 & 1,
        first >> 4 & 1,
        first & 15,
        second >> 7,
        second & 127,
        sequence_number,
        timestamp,
        ssrc,
    )
