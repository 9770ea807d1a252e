"""One capture read: what is given to the engine, what is counted, what is told as lost."""

import pytest

from firewall.net.capture_record import CaptureRecord
from firewall.replay.reader import Arrival, CaptureReader, MediaArrival
from firewall.replay.report import CaptureReport
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
