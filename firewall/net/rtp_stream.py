"""How an RTP stream arrives: packets, losses and jitter of one source (RFC 3550 §6.4.1, A.3, A.8)."""

from collections.abc import Iterable
from struct import Struct

# RFC 3551 §6, tables 4 and 5; G.722's clock rate is 8000 for historical reasons (§4.5.2).
STATIC_CLOCK_RATES: dict[int, int] = {
    **dict.fromkeys((0, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18), 8000),
    6: 16000,
    10: 44100,
    11: 44100,
    16: 11025,
    17: 22050,
    **dict.fromkeys((14, 25, 26, 28, 31, 32, 33, 34), 90000),
}

RtpPacket = tuple[int, int, int, int]
"""Sequence number, timestamp, octets of the whole payload, instant (ns) at which it came."""

RTP_HEADER = Struct(">BBHII")
_HALF_RANGE = 0x8000
_TIMESTAMP_HALF, _TIMESTAMP_RANGE = 1 << 31, 1 << 32


class RtpStream:
    """What was received of one source in one flow. Instants are nanoseconds; ``octets`` are those of whole payloads;
    ``widest_gap`` is the greatest step of the sequence number.

    ``clock_rates`` gives the rate (Hz) of each payload type; a packet whose type has none leaves the jitter as it is.
    """

    __slots__ = (
        "_base_sequence",
        "_clock_rates",
        "_cycles",
        "_highest_sequence",
        "_last_timestamp",
        "jitter_ms",
        "jitter_sum_ms",
        "last_ns",
        "max_jitter_ms",
        "octets",
        "packets",
        "payload_type",
        "reordered",
        "ssrc",
        "widest_gap",
    )

    def __init__(self, ssrc: int, clock_rates: dict[int, int]) -> None:
        self.ssrc = ssrc
        self.packets = 0
        self.octets = 0
        self.reordered = 0
        self.payload_type = -1
        self.widest_gap = 0
        self.last_ns = 0
        self.jitter_ms = self.max_jitter_ms = self.jitter_sum_ms = 0.0
        self._clock_rates = clock_rates
        self._base_sequence = self._highest_sequence = self._cycles = 0
        self._last_timestamp = 0

    def take(self, payload_type: int, packets: Iterable[RtpPacket]) -> None:
        """Take note of packets of one payload type, in the order in which they came."""
        rate = self._clock_rates.get(payload_type)
        ms_per_tick = 1e3 / rate if rate else None
        self.payload_type = payload_type
        highest, jitter_ms, jitter_sum_ms, max_jitter_ms = (
            self._highest_sequence, self.jitter_ms, self.jitter_sum_ms, self.max_jitter_ms
        )  # fmt: skip
        last_ns, last_timestamp = self.last_ns, self._last_timestamp
        for sequence, timestamp, octets, now_ns in packets:
            self.octets += octets
            if self.packets == 0:
                self._base_sequence = highest = sequence
            else:
                ahead = sequence - highest & 0xFFFF
                if 0 < ahead < _HALF_RANGE:
                    if sequence < highest:
                        self._cycles += 0x10000
                    highest = sequence
                    if ahead > self.widest_gap:
                        self.widest_gap = ahead
                else:
                    self.reordered += 1
                if ms_per_tick is not None:
                    ticks = timestamp - last_timestamp
                    if ticks >= _TIMESTAMP_HALF:
                        ticks -= _TIMESTAMP_RANGE
                    elif ticks < -_TIMESTAMP_HALF:
                        ticks += _TIMESTAMP_RANGE
                    # A.8: the difference of the relative transit times of two packets, smoothed with gain 1/16.
                    difference_ms = (now_ns - last_ns) / 1e6 - ticks * ms_per_tick
                    jitter_ms += ((difference_ms if difference_ms >= 0 else -difference_ms) - jitter_ms) / 16
                    jitter_sum_ms += jitter_ms
                    if jitter_ms > max_jitter_ms:
                        max_jitter_ms = jitter_ms
            self.packets += 1
            last_timestamp, last_ns = timestamp, now_ns
        self._highest_sequence, self._last_timestamp, self.last_ns = highest, last_timestamp, last_ns
        self.jitter_ms, self.jitter_sum_ms, self.max_jitter_ms = jitter_ms, jitter_sum_ms, max_jitter_ms

    @property
    def expected(self) -> int:
        """How many packets the sequence numbers say were sent (A.3)."""
        return self._cycles + self._highest_sequence - self._base_sequence + 1 if self.packets else 0

    @property
    def lost(self) -> int:
        """Expected less received; negative where duplicates came (A.3)."""
        return self.expected - self.packets

    @property
    def mean_jitter_ms(self) -> float:
        """The mean of the jitter as it stood after each packet but the first."""
        return self.jitter_sum_ms / (self.packets - 1) if self.packets > 1 else 0.0
