"""How an RTP stream arrives: packets, losses and jitter of one source (RFC 3550 §6.4.1, A.3, A.8)."""

from collections.abc import Iterable
from struct import Struct

import msgspec

# RFC 3551 §6, tables 4 and 5, with what had been given there before it; G.722's clock rate is 8000 for historical
# reasons (§4.5.2).
STATIC_CLOCK_RATES: dict[int, int] = {
    **dict.fromkeys((0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 15, 18, 19), 8000),
    6: 16000,
    10: 44100,
    11: 44100,
    16: 11025,
    17: 22050,
    **dict.fromkeys((14, 25, 26, 28, 31, 32, 33, 34), 90000),
}

RtpPacket = tuple[int, int, int, int, bool]
"""Sequence number, timestamp, octets of the whole payload, instant (ns) at which it came, marker."""

RTP_HEADER = Struct(">BBHII")
_HALF_RANGE, _LAST_SEQUENCE = 0x8000, 0xFFFF
_TIMESTAMP_HALF, _TIMESTAMP_MASK = 1 << 31, 0xFFFF_FFFF
_COMFORT_NOISE = frozenset({13, 19})  # RFC 3389; 19 is what was given to it before


class RtpStream(msgspec.Struct, eq=False, gc=False):
    """What was received of one source in one flow. Instants are nanoseconds; ``octets`` are those of whole payloads;
    ``widest_gap`` is the greatest step of the sequence number, 0 while each was one.

    ``clock_rates`` gives the rate (Hz) of each payload type; a packet whose type has none leaves the jitter as it is.
    Jitter is that of RFC 3550 A.8. For its mean and its maximum only packets count that follow the one before without a
    pause of the sender's: none with a marker, no comfort noise and not what comes after it, as in Wireshark, whose
    ``rtp,streams`` these figures are.
    """

    ssrc: int
    _clock_rates: dict[int, int]
    packets: int = 0
    octets: int = 0
    reordered: int = 0
    payload_type: int = -1
    widest_gap: int = 0
    jitter_ms: float = 0.0
    max_jitter_ms: float = 0.0
    mean_jitter_ms: float = 0.0
    _first_sequence: int = 0
    _last_sequence: int = 0
    _highest_sequence: int = 0
    _cycles: int = 0
    _is_next_round: bool = False
    _first_timestamp: int = 0
    _last_ns: int = 0
    _last_nominal_ms: float = 0.0

    def take(self, payload_type: int, packets: Iterable[RtpPacket]) -> None:
        """Take note of packets of one payload type, in the order in which they came."""
        ticks_per_ms = self._clock_rates.get(payload_type, 0) // 1000
        is_noise = payload_type in _COMFORT_NOISE
        is_after_pause = is_noise or self.payload_type in _COMFORT_NOISE
        self.payload_type = payload_type
        count, octets_in_all = self.packets, self.octets
        last_ns, last_nominal_ms, last_sequence = self._last_ns, self._last_nominal_ms, self._last_sequence
        first_sequence, first_timestamp = self._first_sequence, self._first_timestamp
        highest, is_next_round = self._highest_sequence, self._is_next_round
        jitter_ms, mean_jitter_ms, max_jitter_ms = self.jitter_ms, self.mean_jitter_ms, self.max_jitter_ms
        for sequence, timestamp, octets, now_ns, marker in packets:
            octets_in_all += octets
            if count == 0:
                first_sequence = highest = sequence
                first_timestamp, last_ns = timestamp, now_ns
            else:
                highest = sequence if sequence == highest + 1 else self._note_order(sequence, highest)
                ticks = timestamp - first_timestamp & _TIMESTAMP_MASK
                # A packet from before the first one, or whose timestamp is made up, says nothing of time or rounds.
                if ticks < _TIMESTAMP_HALF:
                    if sequence <= first_sequence or is_next_round:
                        is_next_round = self._note_round(sequence, first_sequence, last_sequence, is_next_round)
                    if ticks_per_ms:
                        nominal_ms = ticks / ticks_per_ms
                        # A.8: the difference of the relative transit times of two packets, smoothed with gain 1/16.
                        difference_ms = (now_ns - last_ns) / 1e6 - (nominal_ms - last_nominal_ms)
                        jitter_ms += ((difference_ms if difference_ms >= 0 else -difference_ms) - jitter_ms) / 16
                        last_nominal_ms = nominal_ms
                        if not marker and not is_after_pause:
                            mean_jitter_ms += (jitter_ms - mean_jitter_ms) / count
                            if jitter_ms > max_jitter_ms:
                                max_jitter_ms = jitter_ms
                    last_ns = now_ns
            is_after_pause = is_noise
            count += 1
            last_sequence = sequence
        self.packets, self.octets = count, octets_in_all
        self._last_ns, self._last_nominal_ms, self._last_sequence = last_ns, last_nominal_ms, last_sequence
        self._first_sequence, self._first_timestamp = first_sequence, first_timestamp
        self._highest_sequence, self._is_next_round = highest, is_next_round
        self.jitter_ms, self.mean_jitter_ms, self.max_jitter_ms = jitter_ms, mean_jitter_ms, max_jitter_ms

    def _note_order(self, sequence: int, highest: int) -> int:
        """Take note of a sequence number that is not the next one; return the highest so far."""
        ahead = sequence - highest & 0xFFFF
        if not 0 < ahead < _HALF_RANGE:
            self.reordered += 1
            return highest
        if ahead > self.widest_gap:
            self.widest_gap = ahead
        return sequence

    def _note_round(self, sequence: int, first: int, last: int, is_next_round: bool) -> bool:
        """Count how often the sequence numbers passed the first one's again (A.1); tell whether they just did."""
        wraps = sequence < first or (sequence == 0 and last == _LAST_SEQUENCE)
        if wraps and not is_next_round:
            self._cycles += 1
            return True
        return is_next_round and sequence <= first

    @property
    def expected(self) -> int:
        """How many packets the sequence numbers say were sent up to the one that came last (A.3)."""
        return (self._cycles << 16) + self._last_sequence - self._first_sequence + 1 if self.packets else 0

    @property
    def lost(self) -> int:
        """Expected less received; negative where duplicates came (A.3)."""
        return self.expected - self.packets
