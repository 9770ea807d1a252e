"""One flow of media packets, between two endpoints: what came, and what is odd about it."""

from functools import lru_cache
from typing import Literal

import msgspec

from firewall.net.rtcp import is_rtcp
from firewall.net.rtp import is_rtp
from firewall.net.rtp_stream import RTP_HEADER, STATIC_CLOCK_RATES, RtpPacket, RtpStream
from firewall.sip.media_endpoint import Formats

FIRST_PACKETS = 8
"""How many packets at the beginning of a flow, and after its source or payload type changed, the rules look at."""
MAX_STREAMS = 64
"""Of one flow whose every packet is given; more than ``_MANY_STREAMS`` are odd, and all that is kept of samples."""
_MANY_STREAMS = 8
MAX_WAITING = 1_024
_MAX_DROPOUT = 3000  # RFC 3550 A.1: a greater gap in sequence numbers is a restart or another sender

MediaAnomaly = Literal[
    "rtp_payload_type_not_negotiated",
    "rtp_ssrc_changed",
    "rtp_sequence_jump",
    "rtp_rate",
    "media_not_rtp",
    "rtp_too_many_sources",
]
PACKETS_PER_SECOND = 500
"""More than any codec for speech sends: packets of 2 ms, where 20 ms is the default (RFC 3551 §4.2)."""
_VIDEO_CLOCK_HZ = 90_000  # RFC 3551 §5
_RATE_PACKETS = 100
_HIGHEST_TYPE = 127


class Ends(msgspec.Struct, frozen=True, gc=False):
    """The endpoints of a flow."""

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int


class MediaFlow(msgspec.Struct, eq=False, gc=False):
    """What is known of one flow. ``is_sampled``: only some of its packets are given, so gaps between them mean nothing.

    ``is_plain``: nothing but its counts asks for its next packet, if it is of ``ssrc`` and ``payload_type``. Such
    packets may be appended to ``waiting`` (``net.rtp_stream.RtpPacket``), up to ``MAX_WAITING``; they are counted when
    somebody asks. Of media that is no RTP (``is_rtp``) packets are counted, whatever they look like.
    ``call_id`` is whose it is, where calls share a pinhole; ``is_call_known``: it begins where that call receives.
    """

    ends: Ends
    _formats: Formats
    is_rtp: bool = True
    call_id: str = ""
    is_call_known: bool = False
    looked_at: int = 0
    is_plain: bool = False
    is_sampled: bool = False
    is_speech: bool = False
    ssrc: int = -1
    payload_type: int = -1
    waiting: list[RtpPacket] = msgspec.field(default_factory=list)
    anomalies: dict[MediaAnomaly, None] = msgspec.field(default_factory=dict)
    _packets: int = 0
    _octets: int = 0
    _last_ns: int = 0
    _rtp_ns: int = 0
    _rates: dict[int, int] = msgspec.field(default_factory=dict)
    _streams: dict[int, RtpStream] = msgspec.field(default_factory=dict)
    _stream: RtpStream | None = None

    def __post_init__(self) -> None:
        self._describe(self._formats)

    @property
    def packets(self) -> int:
        """How many packets came."""
        return self._packets + len(self.waiting)

    @property
    def octets(self) -> int:
        """How many octets of payload came."""
        self.settle()
        return self._octets

    @property
    def last_ns(self) -> int:
        """When the last packet came; 0 before the first."""
        return self.waiting[-1][3] if self.waiting else self._last_ns

    @property
    def rtp_ns(self) -> int:
        """When the last packet came that was RTP; 0 before the first."""
        return self.waiting[-1][3] if self.waiting else self._rtp_ns

    @property
    def streams(self) -> dict[int, RtpStream]:
        """The RTP sources by SSRC."""
        self.settle()
        return self._streams

    def describe(self, formats: Formats) -> None:
        """Take these formats for the negotiated ones from now on: each call that shares a port tells them all flows."""
        if formats is not self._formats:
            self._describe(formats)

    def _describe(self, formats: Formats) -> None:
        self._formats = formats
        self._rates = _clock_rates(formats.clock_rates)
        self.is_speech = is_speech(formats)

    def look_again(self) -> None:
        """Have the rules look at its next packets as at its first ones."""
        self.is_plain, self.looked_at = False, 0

    def take(self, payload: bytes, now_ns: int) -> None:
        """Count a packet of any kind that may stand on a media port (RFC 7983 §7)."""
        self.settle()
        self._packets += 1
        self._octets += len(payload)
        self._last_ns = now_ns
        if not self.is_rtp:
            return
        if is_rtp(payload):
            self._rtp_ns = now_ns
            _, second, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(payload)
            payload_type = second & 0x7F
            if ssrc != self.ssrc or payload_type != self.payload_type or self._stream is None:
                self._stream = self._changed(ssrc, payload_type)
            self._stream.take(payload_type, ((sequence, timestamp, len(payload), now_ns, second > _HIGHEST_TYPE),))
            self._note_gap(self._stream)
        elif not is_rtcp(payload) and not _is_set_up(payload):
            self.anomalies["media_not_rtp"] = None

    def settle(self) -> None:
        """Count the packets that wait."""
        waiting, stream = self.waiting, self._stream
        if not waiting or stream is None:
            return
        self._packets += len(waiting)
        self._last_ns = self._rtp_ns = waiting[-1][3]
        elapsed_ns = waiting[-1][3] - waiting[0][3]
        if self.is_speech and len(waiting) >= _RATE_PACKETS and is_flood(len(waiting) - 1, elapsed_ns):
            self.anomalies["rtp_rate"] = None
        octets_before = stream.octets
        stream.take(self.payload_type, waiting)
        self._octets += stream.octets - octets_before
        self._note_gap(stream)
        waiting.clear()

    def _note_gap(self, stream: RtpStream) -> None:
        if stream.widest_gap > _MAX_DROPOUT and not self.is_sampled:
            self.anomalies["rtp_sequence_jump"] = None

    def _changed(self, ssrc: int, payload_type: int) -> RtpStream:
        """Find the stream of a source that is not the last one, or whose payload type is another."""
        if self._formats.payload_types and payload_type not in self._formats.payload_types:
            self.anomalies["rtp_payload_type_not_negotiated"] = None
        stream = self._streams.get(ssrc)
        if stream is None:
            # Media that share a port have a source each, which their payload types tell from another; video has several
            # of its own (simulcast, RFC 8853; retransmission, RFC 4588).
            is_alone, is_video = not self._formats.are_bundled, self._rates.get(payload_type) == _VIDEO_CLOCK_HZ
            others = () if is_video else self._streams.values()
            if any(is_alone or payload_type == each.payload_type for each in others):
                self.anomalies["rtp_ssrc_changed"] = None
            if len(self._streams) >= _MANY_STREAMS:
                self.anomalies["rtp_too_many_sources"] = None
            if len(self._streams) >= (_MANY_STREAMS if self.is_sampled else MAX_STREAMS):
                del self._streams[next(iter(self._streams))]
            stream = self._streams[ssrc] = RtpStream(ssrc, self._rates)
        self.ssrc, self.payload_type = ssrc, payload_type
        self.looked_at = 0
        self.is_plain = False
        return stream


@lru_cache(maxsize=64)
def _clock_rates(negotiated: tuple[tuple[int, int], ...]) -> dict[int, int]:
    return {**STATIC_CLOCK_RATES, **dict(negotiated)}


def is_speech(formats: Formats) -> bool:
    """Tell whether formats are known and none of them is video."""
    return bool(formats.clock_rates) and all(rate != _VIDEO_CLOCK_HZ for _, rate in formats.clock_rates)


def is_flood(packets: int, elapsed_ns: int) -> bool:
    """Tell whether so many packets in that time are more than a codec for speech sends."""
    return packets * 1_000_000_000 > PACKETS_PER_SECOND * elapsed_ns


def _is_set_up(payload: bytes) -> bool:
    """STUN (0..3), ZRTP (16..19), DTLS (20..63), TURN channels (64..79): RFC 7983 §7."""
    return bool(payload) and payload[0] <= 79
