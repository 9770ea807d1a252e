"""Fields of media: what was negotiated for a flow, and the headers of its packets (RFC 3550 §5.1, §6.1)."""

from collections.abc import Callable
from operator import attrgetter
from typing import get_args

from firewall.net.rtcp import RtcpHeader, read_rtcp
from firewall.net.rtp import RtpHeader, read_rtp_header
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import MAX_UINT16, MAX_UINT32, PRESENT, FieldSpec, OneReader, Reader, Values, own_field
from firewall.sip.sdp import Direction


def _payload(facts: Facts) -> bytes:
    """Only what SDP negotiated is taken for RTP: nothing in the packet itself says that it is (RFC 3550 §11)."""
    if not facts.media_negotiated or facts.message is not None:
        return b""
    return b"" if facts.media is not None and facts.media.protocol == "udp" else facts.datagram.payload


def _rtp(read: Callable[[RtpHeader], int]) -> Reader:
    def header_value(facts: Facts) -> Values:
        header = read_rtp_header(_payload(facts))
        return (read(header),) if header is not None else ()

    return header_value


def _rtcp(read: Callable[[RtcpHeader], int | None]) -> Reader:
    def header_values(facts: Facts) -> Values:
        values = (read(header) for header in read_rtcp(_payload(facts)))
        return tuple(value for value in values if value is not None)

    return header_values


def _is_there(read: Reader) -> Reader:
    return lambda facts: PRESENT if read(facts) else ()


def _media(name: str) -> OneReader:
    read = attrgetter(name)
    return lambda facts: read(facts.media) if facts.media is not None else None


_RTP_HEADER: tuple[tuple[str, str, int, Callable[[RtpHeader], int]], ...] = (
    ("version", "Version", 3, lambda header: header.version),
    ("p_type", "Payload type", 127, lambda header: header.payload_type),
    ("seq", "Sequence number", MAX_UINT16, lambda header: header.sequence_number),
    ("timestamp", "Timestamp", MAX_UINT32, lambda header: header.timestamp),
    ("ssrc", "Synchronization source", MAX_UINT32, lambda header: header.ssrc),
)
# Sender and receiver reports (RFC 3550 §6.4), feedback (RFC 4585 §6.1), extended reports (RFC 3611 §2). Descriptions
# and goodbyes name sources that they are about.
_WITH_SENDER = frozenset({200, 201, 205, 206, 207})
_RTCP_HEADER: tuple[tuple[str, str, int, Callable[[RtcpHeader], int | None]], ...] = (
    ("version", "Version of each packet of a compound", 3, lambda header: header.version),
    ("pt", "Packet type of each packet of a compound", 255, lambda header: header.packet_type),
    ("length", "Length of each packet of a compound, in 32-bit words less one", MAX_UINT16, lambda h: h.words),
    (
        "senderssrc",
        "Synchronization source that sends a report or feedback",
        MAX_UINT32,
        lambda header: header.ssrc if header.packet_type in _WITH_SENDER else None,
    ),
)

RTP_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("rtp", "protocol", "Negotiated RTP", _is_there(_rtp(lambda header: header.version))),
    *(FieldSpec(f"rtp.{name}", "number", what, _rtp(read), maximum=most) for name, what, most, read in _RTP_HEADER),
    FieldSpec("rtp.marker", "flag", "Marker", _rtp(lambda header: header.marker), maximum=1),
    FieldSpec("rtcp", "protocol", "Negotiated RTCP", _is_there(_rtcp(lambda header: header.version))),
    *(FieldSpec(f"rtcp.{name}", "number", what, _rtcp(read), maximum=most) for name, what, most, read in _RTCP_HEADER),
)

_NEGOTIATED = "The packet is of a media flow that an allowed SDP negotiated"
_CODECS = "Encodings agreed on, lower case: pcmu, t140 …"

MEDIA_FIELDS: tuple[FieldSpec, ...] = (
    own_field("media.negotiated", "flag", _NEGOTIATED, lambda facts: facts.media_negotiated),
    own_field("media.kind", "text", "Medium: audio, video, text, message …", _media("kind")),
    own_field(
        "media.protocol", "text", "What the port was negotiated for", _media("protocol"), "rtp", "rtcp", "msrp", "udp"
    ),
    FieldSpec("media.codec", "text", _CODECS, lambda facts: facts.media.codecs if facts.media else (), own=True),
    own_field(
        "media.direction",
        "text",
        "What the sender of the packet agreed to do",
        _media("direction"),
        *get_args(Direction),
    ),
)
