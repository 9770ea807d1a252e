"""What one flow counts and finds odd."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.media_flow import MAX_STREAMS, Ends, MediaFlow
from firewall.sip.media_endpoint import Formats
from tests.media import rtp

ENDS = Ends("192.0.2.1", 4000, "198.51.100.1", 4002)
FORMATS = Formats(frozenset({0, 101}), ("pcmu", "telephone-event"), ((0, 8000), (101, 8000)))


def test_what_goes_with_rtp_on_its_port_is_counted_and_nothing_odd() -> None:
    """RFC 7983 §7: STUN, ZRTP, DTLS, TURN channels; RTCP on the same port (RFC 5761)."""
    flow = MediaFlow(ENDS, FORMATS)
    for payload in (
        b"\0\1" + bytes(18),
        b"\x10" + bytes(20),
        b"\x16\xfe\xfd" + bytes(10),
        b"\x40" + bytes(8),
        b"\x80\xc8\0\6",
    ):
        flow.take(payload, 0)
    assert (flow.packets, list(flow.anomalies), flow.streams) == (5, [], {})
    flow.take(b"hello", 0)
    assert list(flow.anomalies) == ["media_not_rtp"]


def test_a_gap_wider_than_any_loss_is_odd() -> None:
    flow = MediaFlow(ENDS, FORMATS)
    for sequence in (1, 2, 30, 3100):
        flow.take(rtp(sequence), 0)
    assert list(flow.anomalies) == ["rtp_sequence_jump"]


def test_gaps_between_samples_are_no_gaps() -> None:
    flow = MediaFlow(ENDS, FORMATS)
    flow.is_sampled = True
    for sequence in (1, 30_000):
        flow.take(rtp(sequence), 0)
    assert list(flow.anomalies) == []


def test_more_packets_than_speech_has_are_a_flood_and_video_may_have_them() -> None:
    video = Formats(frozenset({0}), ("h264",), ((0, 90_000),))
    for formats, gap_ns, odd in ((FORMATS, 20_000_000, []), (FORMATS, 1_000_000, ["rtp_rate"]), (video, 1_000_000, [])):
        flow = MediaFlow(ENDS, formats)
        flow.take(rtp(0), 0)
        flow.waiting += [(n, n * 160, 172, n * gap_ns, False) for n in range(1, 500)]
        flow.settle()
        assert list(flow.anomalies) == odd


def test_one_camera_may_have_several_sources_and_a_voice_has_one() -> None:
    """Simulcast (RFC 8853) has one for each size of the picture, retransmission (RFC 4588) another."""
    both = Formats(frozenset({0, 96, 97}), ("pcmu", "vp8", "rtx"), ((0, 8000), (96, 90_000), (97, 90_000)))
    for payload_types, odd in (((0, 96, 97, 96), []), ((0, 96, 0), ["rtp_ssrc_changed"])):
        flow = MediaFlow(ENDS, both.and_those_of(FORMATS))
        for ssrc, payload_type in enumerate(payload_types):
            flow.take(rtp(ssrc=ssrc, payload_type=payload_type), 0)
        assert list(flow.anomalies) == odd


def test_sources_are_bounded() -> None:
    flow = MediaFlow(ENDS, FORMATS)
    for ssrc in range(100):
        flow.take(rtp(ssrc=ssrc), 0)
    assert len(flow.streams) == MAX_STREAMS
    assert list(flow.anomalies) == ["rtp_ssrc_changed", "rtp_too_many_sources"]


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_bytes_are_counted(payloads: list[bytes]) -> None:
    flow = MediaFlow(ENDS, FORMATS)
    for payload in payloads:
        flow.take(payload, 0)
    assert (flow.packets, flow.octets) == (len(payloads), sum(map(len, payloads)))


def test_the_garbage_collector_is_not_kept_busy_by_flows() -> None:
    """100 000 calls have twice as many, and a collection may begin in the middle of a message."""
    flow = MediaFlow(ENDS, FORMATS)
    flow.take(rtp(1), 1)
    (stream,) = flow.streams.values()
    assert not [each for each in (flow, flow.ends, stream, flow.streams, flow.anomalies) if gc.is_tracked(each)]
