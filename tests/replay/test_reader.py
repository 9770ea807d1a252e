"""One capture read: what is given to the engine, what is counted, what is told as lost."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from firewall.net.capture_record import CaptureRecord
from firewall.replay.reader import CaptureReader, MediaArrival
from firewall.replay.report import CaptureReport
from firewall.replay.streams import Arrival
from firewall.sip.message import parse_message
from tests.net.packets import CALLER, PSAP, START_NS, ethernet, ipv4, segment, udp
from tests.net.test_hep import hep
from tests.replay.calls import CALLER_MEDIA, PSAP_MEDIA, back, forth, invite, message, rtp

OPTIONS = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="o1")
MS = 1_000_000


@pytest.fixture
def reader() -> CaptureReader:
    return CaptureReader(CaptureReport("a.pcap"), frozenset({5060, 5070}), frozenset())


def read(reader: CaptureReader, *packets: bytes) -> list[Arrival | MediaArrival]:
    found: list[Arrival | MediaArrival] = []
    for number, packet in enumerate(packets, 1):
        frame = ethernet(packet)
        found += reader.read(CaptureRecord(number, START_NS + number * MS, 1, frame, len(frame)))
    return found


def test_a_datagram_is_decided_when_it_was_captured(reader: CaptureReader) -> None:
    (arrival,) = read(reader, forth(invite()))
    assert (arrival.now_ns, arrival.seen_ns, arrival.datagram.payload) == (START_NS + MS, START_NS + MS, invite())


def test_signalling_is_what_the_ports_or_the_content_say(reader: CaptureReader) -> None:
    keep_alive = b"\r\n\r\n"
    found = read(reader, forth(keep_alive, 5070), forth(OPTIONS, 9999), forth(keep_alive, 9999))
    assert [arrival.datagram.payload for arrival in found if isinstance(arrival, Arrival)] == [keep_alive, OPTIONS]


def test_a_message_that_waited_for_a_lost_segment_is_decided_when_it_was_whole(reader: CaptureReader) -> None:
    found = read(
        reader,
        segment(b"", 999, flags="S"),
        segment(OPTIONS, 1050),
        segment(b"\r\n" * 25, 1000),
    )
    last = found[-1]
    assert (last.datagram.payload, last.datagram.frame_number, last.datagram.transport) == (OPTIONS, 2, "TCP")
    assert (last.now_ns, last.seen_ns) == (START_NS + 3 * MS, START_NS + 2 * MS)


def test_what_a_capture_agent_sent_has_the_time_at_which_the_agent_captured_it(reader: CaptureReader) -> None:
    (arrival,) = read(reader, ipv4(udp(hep(at_ns=START_NS - MS), 40000, 9060)))
    assert (arrival.datagram.src_ip, arrival.datagram.dst_ip) == (CALLER, PSAP)
    assert arrival.now_ns == START_NS - MS


def test_media_is_counted_and_its_flow_remembered(reader: CaptureReader) -> None:
    reader.endpoints.learn(parse_message(invite()))
    media = back(rtp(1), CALLER_MEDIA)
    found = read(reader, media, ipv4(udp(rtp(1), 7, PSAP_MEDIA)))
    assert [(each.negotiated, each.is_plain) for each in found if isinstance(each, MediaArrival)] == [
        (True, True),
        (False, True),
    ]
    assert reader.found.rtp_packets == 1


def test_media_cut_by_the_snapshot_length_is_media_all_the_same(reader: CaptureReader) -> None:
    reader.endpoints.learn(parse_message(invite()))
    frame = ethernet(back(rtp(1), CALLER_MEDIA))
    (cut,) = reader.read(CaptureRecord(1, START_NS, 1, frame[:64], len(frame)))
    assert isinstance(cut, MediaArrival)
    assert [lost.packet for lost in reader.found.unreadable] == [1]


def test_what_is_lost_is_told_in_the_order_of_the_frames(reader: CaptureReader) -> None:
    found = read(
        reader,
        segment(b"", 999, flags="S"),
        segment(OPTIONS[:40], 1000),
        ipv4(bytes(80), more=True),
        ipv4(b"short"),
    )
    assert (found, list(reader.finish(START_NS))) == ([], [])
    assert [lost.packet for lost in reader.found.unreadable] == [2, 3, 4]


OPEN_BODY = OPTIONS.replace(b"Content-Length: 0\r\n", b"Content-Type: text/plain\r\n") + b"of unknown length"
STREAM = OPTIONS + invite() + OPEN_BODY + OPTIONS
PLACES = [0, len(OPTIONS), len(OPTIONS) + len(invite()), len(STREAM) - len(OPTIONS), len(STREAM)]
UP_TO_OPEN_BODY = ethernet(segment(STREAM[: PLACES[3]], 1000))
BEGIN, BETWEEN, BEHIND = [ethernet(segment(STREAM[start:end], 1000 + start)) for start, end in pairwise(PLACES[:4])]
FRAMES = st.one_of(
    st.sampled_from([*map(ethernet, (forth(OPTIONS, 9999), back(rtp(1), CALLER_MEDIA), ipv4(bytes(80), more=True)))]),
    st.just(UP_TO_OPEN_BODY),
    st.builds(
        lambda ends, port, flags, tags: ethernet(
            segment(STREAM[min(ends) : max(ends)], 1000 + min(ends), flags=flags, ports=(port, 5060)), tags=tags
        ),
        st.tuples(st.sampled_from(PLACES), st.sampled_from(PLACES)),
        st.sampled_from([1024, 1025]),
        st.sampled_from(["A", "A", "A", "FA"]),
        st.sampled_from([(), (0x8100,)]),
    ),
)


@example([(ethernet(forth(OPTIONS)), 200), (UP_TO_OPEN_BODY, -200)], 2)
@example([(BEGIN, 0), (BEHIND, 1), (ethernet(forth(OPTIONS)), 200), (BETWEEN, 1)], 4)
@given(st.lists(st.tuples(FRAMES, st.sampled_from([-200, 0, 1, 60, 200])), max_size=20), st.integers(1, 20))
@settings(max_examples=300)
def test_what_is_read_ahead_is_what_is_read_in_turn(captured: list[tuple[bytes, int]], at_once: int) -> None:
    frames, now_ns = [], START_NS
    for number, (frame, later_ms) in enumerate(captured, 1):
        now_ns += later_ms * MS
        frames.append(CaptureRecord(number, now_ns, 1, frame, len(frame)))
    ahead, in_turn = (CaptureReader(CaptureReport("a.pcap"), frozenset({5060}), frozenset()) for _ in range(2))
    found = []
    for first in range(0, len(frames), at_once):
        part = frames[first : first + at_once]
        for each, arrivals in zip(part, ahead.read_ahead(part), strict=True):
            quiet = ahead.quiet(each.timestamp_ns) if ahead.open_bodies else []
            found.append([*quiet, *(ahead.read(each) if arrivals is None else arrivals)])
    assert found == [
        [*(in_turn.quiet(each.timestamp_ns) if in_turn.open_bodies else []), *in_turn.read(each)] for each in frames
    ]
    assert [*ahead.finish(now_ns)] == [*in_turn.finish(now_ns)]
    assert ahead.found == in_turn.found
