"""How a stream arrives, against the definitions of RFC 3550 written out."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.net.rtp_stream import RtpStream

MS = 1_000_000


def test_losses_are_what_the_sequence_numbers_say_across_their_wrap() -> None:
    stream = RtpStream(1, {0: 8000})
    for n, sequence in enumerate((65533, 65534, 0, 1, 4)):
        stream.take(0, [(sequence, n * 160, 172, n * 20 * MS, False)])
    assert (stream.expected, stream.packets, stream.lost) == (8, 5, 3)


def test_a_late_packet_is_no_loss_and_a_duplicate_makes_it_negative() -> None:
    stream = RtpStream(1, {0: 8000})
    for sequence in (1, 3, 2, 3):
        stream.take(0, [(sequence, 0, 172, 0, False)])
    assert (stream.lost, stream.reordered) == (-1, 2)


def test_an_even_stream_has_no_jitter() -> None:
    stream = RtpStream(1, {0: 8000})
    for n in range(100):
        stream.take(0, [(n, n * 160, 172, n * 20 * MS, False)])
    assert stream.max_jitter_ms == 0


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 4000)), min_size=2, max_size=50))
def test_jitter_is_that_of_appendix_a_8(steps: list[tuple[int, int]]) -> None:
    """RFC 3550 A.8: J(i) = J(i-1) + (|D(i-1,i)| - J(i-1)) / 16, in units of the clock."""
    stream = RtpStream(1, {0: 8000})
    arrival_ms, timestamp, jitter = 0, 2**32 - 5000, 0.0
    stream.take(0, [(0, timestamp, 172, 0, False)])
    for sequence, (gap_ms, ticks) in enumerate(steps, start=1):
        arrival_ms += gap_ms
        timestamp += ticks
        jitter += (abs(gap_ms * 8 - ticks) - jitter) / 16
        stream.take(0, [(sequence, timestamp % 2**32, 172, arrival_ms * MS, False)])
    assert abs(stream.jitter_ms * 8 - jitter) < 1e-6


def test_a_payload_type_without_a_clock_rate_has_no_jitter() -> None:
    stream = RtpStream(1, {})
    for n in range(10):
        stream.take(96, [(n, 0, 10, n * MS, False)])
    assert stream.mean_jitter_ms == 0


def test_mean_and_maximum_leave_out_what_follows_a_pause_of_the_sender() -> None:
    """A marker begins a talk spurt (RFC 3551 §4.1), comfort noise a silence (RFC 3389)."""
    stream = RtpStream(1, {0: 8000, 13: 8000})
    stream.take(0, [(0, 0, 172, 0, False), (1, 160, 172, 52 * MS, True)])
    assert (stream.jitter_ms, stream.mean_jitter_ms, stream.max_jitter_ms) == (2, 0, 0)
    stream.take(13, [(2, 320, 13, 72 * MS, False)])
    stream.take(0, [(3, 480, 172, 92 * MS, False)])
    assert stream.max_jitter_ms == 0
    stream.take(0, [(4, 640, 172, 112 * MS, False)])
    assert stream.max_jitter_ms == stream.jitter_ms == 2 * (15 / 16) ** 3


def test_a_timestamp_from_before_the_first_packet_leaves_the_jitter_as_it_is() -> None:
    stream = RtpStream(1, {0: 8000})
    stream.take(0, [(5, 1600, 172, 0, False), (4, 1440, 172, 3 * MS, False), (6, 1760, 172, 20 * MS, False)])
    assert (stream.max_jitter_ms, stream.lost, stream.reordered) == (0, -1, 1)
