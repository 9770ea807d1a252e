"""One flow of media packets, between two endpoints: what came, and what is odd about it."""

from typing import Literal, NamedTuple

from firewall.net.rtcp import is_rtcp
from firewall.net.rtp import is_rtp
from firewall.net.rtp_stream import RTP_HEADER, STATIC_CLOCK_RATES, RtpStream
from firewall.sip.media_endpoint import Formats

FIRST_PACKETS = 8
"""How many packets at the beginning of a flow, and after its source or payload type changed, the rules look at."""
MAX_STREAMS = 8
_MAX_DROPOUT = 3000  # RFC 3550 A.1: a greater gap in sequence numbers is a restart or another sender

MediaAnomaly = Literal[
    "rtp_payload_type_not_negotiated", "rtp_ssrc_changed", "rtp_sequence_jump", "media_not_rtp", "rtp_too_many_sources"
]
FlowKey = tuple[str, int, str, int]
"""Source address and port, destination address and port."""


class Ends(NamedTuple):
    """The endpoints of a flow."""

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int


class MediaFlow:
    """What is known of one flow. ``is_plain``: nothing but its counts asks for its next packet."""

    __slots__ = (
        "_formats",
        "_rates",
        "_stream",
        "anomalies",
        "ends",
        "is_plain",
        "last_ns",
        "looked_at",
        "octets",
        "packets",
        "streams",
    )

    def __init__(self, ends: Ends, formats: Formats) -> None:
        self.ends = ends
        self.packets = 0
        self.octets = 0
        self.last_ns = 0
        self.looked_at = 0
        self.is_plain = False
        self.streams: dict[int, RtpStream] = {}
        self.anomalies: dict[MediaAnomaly, None] = {}
        self.describe(formats)
        self._stream: RtpStream | None = None

    def describe(self, formats: Formats) -> None:
        """Take these formats for the negotiated ones from now on."""
        self._formats = formats
        self._rates = {**STATIC_CLOCK_RATES, **dict(formats.clock_rates)}

    def take_rtp(self, second: int, sequence: int, timestamp: int, ssrc: int, octets: int, now_ns: int) -> None:
        """Count an RTP packet; ``second`` is the second byte of its header (marker and payload type)."""
        self.packets += 1
        self.octets += octets
        self.last_ns = now_ns
        stream = self._stream
        payload_type = second & 0x7F
        if stream is None or stream.ssrc != ssrc or stream.payload_type != payload_type:
            stream = self._changed(ssrc, payload_type)
        lost_before = stream.expected - stream.packets
        stream.take(payload_type, sequence, timestamp, octets, now_ns)
        if stream.expected - stream.packets - lost_before > _MAX_DROPOUT:
            self.anomalies["rtp_sequence_jump"] = None

    def take(self, payload: bytes, now_ns: int) -> None:
        """Count a packet of any kind that may stand on a media port (RFC 7983 §7)."""
        if is_rtp(payload):
            _, second, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(payload)
            self.take_rtp(second, sequence, timestamp, ssrc, len(payload), now_ns)
            return
        self.packets += 1
        self.octets += len(payload)
        self.last_ns = now_ns
        if not is_rtcp(payload) and not _is_set_up(payload):
            self.anomalies["media_not_rtp"] = None

    def _changed(self, ssrc: int, payload_type: int) -> RtpStream:
        """Find the stream of a source that is not the last one, or whose payload type is another."""
        if self._formats.payload_types and payload_type not in self._formats.payload_types:
            self.anomalies["rtp_payload_type_not_negotiated"] = None
        stream = self.streams.get(ssrc)
        if stream is None:
            if self.streams:
                self.anomalies["rtp_ssrc_changed"] = None
            if len(self.streams) >= MAX_STREAMS:
                self.anomalies["rtp_too_many_sources"] = None
                del self.streams[next(iter(self.streams))]
            stream = self.streams[ssrc] = RtpStream(ssrc, self._rates)
        self._stream = stream
        self.looked_at = 0
        self.is_plain = False
        return stream


def _is_set_up(payload: bytes) -> bool:
    """STUN (0..3), ZRTP (16..19), DTLS (20..63), TURN channels (64..79): RFC 7983 §7."""
    return bool(payload) and payload[0] <= 79
