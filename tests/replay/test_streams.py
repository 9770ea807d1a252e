"""SIP messages out of TCP streams: whole ones, cut ones, and those behind what the capture lacks; tshark beside us."""

import random
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Packet
from firewall.net.frame import FrameDecoder
from firewall.replay import streams
from firewall.replay.streams import Arrival, SipStreams
from tests.net.packets import ethernet, linux_sll2, pcap, record, segment, tshark
from tests.replay.calls import invite, message

INVITE = invite()
OPTIONS = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="o1")
BYE = message("BYE sip:psap.example SIP/2.0", "2 BYE", call_id="c1", to_tag="b")
# tshark does not see a message behind a keep-alive of the same segment, so there is none between these.
MESSAGES = INVITE + OPTIONS + BYE
WIRE = INVITE + OPTIONS + b"\r\n\r\n" + BYE
PORTS = frozenset({5060})


class Capture:
    """Frames read one after the other, and the same frames as a file."""

    def __init__(self, ports: frozenset[int] = PORTS) -> None:
        self.streams = SipStreams(ports)
        self.frames: list[bytes] = []
        self.found: list[Arrival] = []
        self._decoder = FrameDecoder()

    def take(self, *packets: bytes) -> "Capture":
        for packet in packets:
            self.frames.append(ethernet(packet))
            self._read(record(self.frames[-1], number=len(self.frames)))
        return self

    def end(self) -> "Capture":
        self.found += self.streams.finish()
        return self

    def _read(self, frame: CaptureRecord) -> None:
        packet = self._decoder.decode(frame)
        assert isinstance(packet, Packet)
        self.found += self.streams.read(frame, packet)

    def numbered(self) -> list[tuple[int | None, bytes]]:
        """Frame number and method of each message."""
        return [
            (each.datagram.frame_number, each.datagram.payload.split()[0])
            for each in self.found
            if each.datagram.payload.strip()
        ]


def of_tshark(capture: Capture, folder: Path, *, in_order: bool = True) -> list[tuple[int | None, bytes]]:
    """The same of tshark; told to put segments ``in_order``, it waits for ever where some are missing."""
    path = folder / "a.pcap"
    path.write_bytes(pcap(capture.frames))
    rows = tshark(
        path,
        "frame.number",
        "sip.Method",
        only="sip.Method",
        options=("-o", f"tcp.reassemble_out_of_order:{str(in_order).upper()}"),
    )
    return [(int(number), method.encode()) for number, methods in rows for method in methods.split(",")]


def cut(wire: bytes, *places: int, start: int = 1000) -> list[bytes]:
    edges = [0, *places, len(wire)]
    return [segment(wire[a:b], start + a) for a, b in pairwise(edges)]


def test_messages_are_numbered_by_the_frame_that_completes_them_as_tshark_does(tmp_path: Path) -> None:
    size = len(INVITE)
    capture = Capture().take(segment(b"", 999, flags="S"), *cut(MESSAGES, 100, size + 50, size + len(OPTIONS) + 2))
    assert capture.numbered() == [(3, b"INVITE"), (4, b"OPTIONS"), (5, b"BYE")]
    assert of_tshark(capture, tmp_path) == capture.numbered()


def test_several_messages_in_one_segment_are_each_there(tmp_path: Path) -> None:
    capture = Capture().take(segment(MESSAGES, 1000))
    assert capture.numbered() == [(1, b"INVITE"), (1, b"OPTIONS"), (1, b"BYE")]
    assert of_tshark(capture, tmp_path) == capture.numbered()


def test_reordered_and_repeated_segments_give_the_messages_once(tmp_path: Path) -> None:
    size = len(INVITE)
    first, second, third, fourth = cut(MESSAGES, 200, size, size + len(OPTIONS))
    capture = Capture().take(segment(b"", 999, flags="S"), first, first, third, second, second, fourth).end()
    assert sorted(capture.numbered()) == [(4, b"OPTIONS"), (5, b"INVITE"), (7, b"BYE")]
    theirs = of_tshark(capture, tmp_path)
    assert [method for _, method in theirs] == [b"INVITE", b"OPTIONS", b"BYE"]


def test_a_capture_that_begins_in_the_middle_begins_at_the_next_start_line(tmp_path: Path) -> None:
    tail = INVITE[-60:]
    capture = Capture().take(segment(tail, 5000), segment(OPTIONS + BYE, 5060)).end()
    assert capture.numbered() == [(2, b"OPTIONS"), (2, b"BYE")]
    assert of_tshark(capture, tmp_path) == capture.numbered()
    assert capture.streams.unreadable == []


def test_messages_after_a_gap_are_found_and_the_gap_is_told(tmp_path: Path) -> None:
    first, _, third = cut(INVITE + OPTIONS, 300, len(INVITE))
    acknowledged = segment(b"", 1, acknowledges=1000 + len(INVITE + OPTIONS), back=True)
    capture = Capture().take(
        segment(b"", 999, flags="S"), first, third, acknowledged, segment(BYE, 1000 + len(INVITE + OPTIONS))
    )
    assert capture.numbered() == [(3, b"OPTIONS"), (5, b"BYE")]
    (lost,) = capture.streams.unreadable
    missing = len(INVITE) - 300
    assert (lost.packet, lost.reason) == (
        3,
        f"TCP segments are missing: {missing} bytes of the stream before this frame",
    )
    assert of_tshark(capture, tmp_path, in_order=False) == capture.numbered()


@pytest.mark.parametrize("lost_bytes", range(1, len("INVITE")))
def test_a_message_that_lost_the_beginning_of_its_method_is_none(lost_bytes: int) -> None:
    first, _, rest = cut(OPTIONS + INVITE, len(OPTIONS), len(OPTIONS) + lost_bytes)
    acknowledged = segment(b"", 1, acknowledges=1000 + len(OPTIONS + INVITE), back=True)
    behind = segment(BYE, 1000 + len(OPTIONS + INVITE))
    capture = Capture().take(segment(b"", 999, flags="S"), first, rest, acknowledged, behind).end()
    assert capture.numbered() == [(2, b"OPTIONS"), (5, b"BYE")]
    assert Capture().take(rest, behind).end().numbered() == [(2, b"BYE")]


def test_a_message_of_an_unregistered_method_may_begin_what_is_there_of_a_stream() -> None:
    service = OPTIONS.replace(b"OPTIONS", b"SERVICE")
    assert Capture().take(segment(service, 1000)).end().numbered() == [(1, b"SERVICE")]


def test_a_message_behind_a_gap_is_found_also_inside_a_segment_and_cut_into_bytes() -> None:
    lost_end = 100
    rest = INVITE[lost_end + 50 :] + OPTIONS
    tiny = [segment(rest[at : at + 3], 1000 + lost_end + 50 + at) for at in range(0, len(rest), 3)]
    acknowledged = segment(b"", 1, acknowledges=1000 + len(INVITE), back=True)
    capture = Capture().take(
        segment(b"", 999, flags="S"), segment(INVITE[:lost_end], 1000), tiny[0], acknowledged, *tiny[1:]
    )
    assert capture.numbered() == [(3 + len(tiny), b"OPTIONS")]


def test_a_lost_segment_that_comes_after_all_gives_its_message() -> None:
    after = 1000 + len(OPTIONS)
    acknowledged = segment(b"", 1, acknowledges=after + len(BYE), back=True)
    capture = Capture().take(segment(b"", 999, flags="S"), segment(BYE, after), acknowledged, segment(OPTIONS, 1000))
    assert capture.numbered() == [(2, b"BYE"), (4, b"OPTIONS")]


@pytest.mark.parametrize("late", [(0,), (0, 1), (0, 1, 2)], ids=["in one", "in two", "in three"])
@pytest.mark.parametrize("is_behind", [True, False])
def test_a_message_over_a_gap_is_decided_when_the_last_of_it_comes_after_all(
    late: tuple[int, ...], is_behind: bool
) -> None:
    """Whether or not something behind the gap began a message meanwhile."""
    size, missing = len(INVITE), len(INVITE) - 250
    places = [200, *(200 + missing * part // len(late) for part in late[1:]), 200 + missing]
    first, *lost, rest = cut(INVITE, *places)
    acknowledged = segment(b"", 1, acknowledges=1000 + size, back=True)
    behind = [segment(OPTIONS, 1000 + size)] if is_behind else []
    capture = Capture().take(segment(b"", 999, flags="S"), first, rest, acknowledged, *behind, *lost).end()
    came = 4 + len(behind) + len(late)
    assert capture.numbered() == [(5, b"OPTIONS")] * is_behind + [(came, b"INVITE")]
    assert capture.found[-1].datagram.payload == INVITE
    assert capture.take(segment(BYE, 1000 + size + is_behind * len(OPTIONS))).numbered()[-1] == (came + 1, b"BYE")


def test_what_fills_a_gap_and_lacks_its_beginning_is_no_message_of_another_method() -> None:
    after = 1000 + len(INVITE)
    acknowledged = segment(b"", 1, acknowledges=after + len(BYE), back=True)
    capture = Capture().take(segment(b"", 999, flags="S"), segment(BYE, after), acknowledged, segment(INVITE[2:], 1002))
    assert capture.end().numbered() == [(2, b"BYE")]


@pytest.mark.parametrize("place", [100, len(INVITE) - 60, len(INVITE), len(INVITE) + 9])
def test_without_the_syn_the_first_two_segments_may_be_swapped(place: int) -> None:
    first, second, third = cut(INVITE + OPTIONS + BYE, place, len(INVITE + OPTIONS))
    capture = Capture().take(second, first, third).end()
    assert sorted(method for _, method in capture.numbered()) == [b"BYE", b"INVITE", b"OPTIONS"]
    assert capture.streams.unreadable == []


def test_what_is_kept_for_gaps_is_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_PENDING_BYTES", 5000)
    capture = Capture()
    for port in range(1, 60):
        ports = (port, 5060)
        capture.take(segment(b"x" * 400 + b"\r\n", 1000, ports=ports), segment(INVITE[:200], 700, ports=ports))
    assert 0 < len(capture.streams) <= 5000 // 600
    capture.take(*(segment(b"", 9, flags="R", ports=(port, 5060)) for port in range(1, 60)))
    assert len(capture.streams) == capture.streams.pending_bytes == 0


def test_sip_on_any_port_is_found_by_its_content_and_nothing_else_is_looked_into() -> None:
    ports = (40000, 40001)
    capture = Capture().take(
        segment(b"", 999, flags="S", ports=ports),
        segment(OPTIONS[:40], 1000, ports=ports),
        segment(OPTIONS[40:], 1040, ports=ports),
        segment(b"GET / HTTP/1.1\r\n\r\n", 1000, ports=(40000, 80)),
    )
    assert capture.numbered() == [(3, b"OPTIONS")]


def test_what_is_no_sip_on_a_signalling_port_is_given_to_the_engine_as_it_is() -> None:
    capture = Capture().take(segment(b"", 999, flags="S"), segment(b"\x16\x03\x01\x02\x00\x01", 1000))
    assert [each.datagram.payload for each in capture.found] == [b"\x16\x03\x01\x02\x00\x01"]


@pytest.mark.parametrize("junk", [b"\0", b"\x16\x03\x01\x02\x00\x01\xfcab", bytes(range(256)) * 40])
def test_behind_junk_a_message_cut_in_two_is_found(junk: bytes) -> None:
    capture = Capture().take(segment(b"", 999, flags="S"), *cut(junk + INVITE + BYE, len(junk), len(junk) + 90)).end()
    messages = [each.datagram.payload for each in capture.found if len(each.datagram.payload) > 100]
    assert messages[-2:] == [INVITE, BYE]
    assert b"".join(each.datagram.payload for each in capture.found) == junk + INVITE + BYE


NO_LENGTH = re.sub(rb"Content-Length: \d+\r\n", b"", INVITE)


def test_a_message_without_content_length_has_its_body_and_the_frame_that_brought_the_last_of_it() -> None:
    followed = Capture().take(*cut(NO_LENGTH + BYE, len(NO_LENGTH) - 30, len(NO_LENGTH))).end()
    assert [(each.datagram.frame_number, each.datagram.payload) for each in followed.found] == [
        (2, NO_LENGTH),
        (3, BYE),
    ]
    last = Capture().take(*cut(NO_LENGTH, 99)).end()
    assert [(each.datagram.frame_number, each.datagram.payload) for each in last.found] == [(2, NO_LENGTH)]
    assert last.streams.unreadable == []


def test_a_message_without_content_length_is_whole_when_its_sender_is_quiet() -> None:
    sip, decoder = SipStreams(PORTS), FrameDecoder()
    packet = decoder.decode(record(ethernet(segment(NO_LENGTH, 1000))))
    assert isinstance(packet, Packet)
    assert sip.read(record(b""), packet) == []
    (since_ns,) = sip.open_bodies.values()
    assert sip.quiet(since_ns + 99_000_000) == []
    assert [each.datagram.payload for each in sip.quiet(since_ns + 100_000_000)] == [NO_LENGTH]
    assert (sip.open_bodies, sip.finish()) == ({}, [])


def test_where_a_segment_was_lost_the_sender_is_quiet_only_once_it_was_sent_again() -> None:
    capture = Capture().take(
        segment(b"", 999, flags="S"), segment(NO_LENGTH[100:], 1100), segment(NO_LENGTH[:100], 1000)
    )
    assert [*capture.streams.open_bodies.values()] == [record(b"", number=3).timestamp_ns]


def test_many_messages_without_content_length_at_once_cost_no_more_than_linear_time() -> None:
    """Quadratic work would take some fifteen seconds."""
    sip, decoder = SipStreams(PORTS), FrameDecoder()
    begun_s = time.process_time()
    for port in range(1, 6_001):
        frame = record(ethernet(segment(NO_LENGTH, 1000, ports=(port, 5060))), number=1)
        packet = decoder.decode(frame)
        assert isinstance(packet, Packet)
        assert sip.read(frame, packet) == []
    assert len(sip.finish()) == 6_000
    assert time.process_time() - begun_s < 5


def test_what_is_no_sip_on_a_signalling_port_takes_linear_time_and_bounded_memory() -> None:
    sip, decoder = SipStreams(PORTS), FrameDecoder()
    begun_s, line = time.process_time(), b"x\r\n" * 400
    for number in range(1_000):
        frame = record(ethernet(segment(line, 1000 + number * len(line))), number=number + 1)
        packet = decoder.decode(frame)
        assert isinstance(packet, Packet)
        assert sip.read(frame, packet) == []
    assert sip.pending_bytes < 66_000
    assert time.process_time() - begun_s < 15


def test_a_clock_set_back_keeps_nobodys_message_waiting() -> None:
    sip, decoder = SipStreams(PORTS), FrameDecoder()

    def read(port: int, at_ns: int) -> list[bytes]:
        data = ethernet(segment(NO_LENGTH, 1000, ports=(port, 5060)))
        frame = CaptureRecord(port, at_ns, 1, data, len(data))
        packet = decoder.decode(frame)
        assert isinstance(packet, Packet)
        return [each.datagram.payload for each in sip.read(frame, packet)]

    hour_ns = 3_600_000_000_000
    assert [read(1, 2 * hour_ns), read(2, hour_ns), read(3, hour_ns + 99_000_000)] == [[], [NO_LENGTH], []]
    assert [each.datagram.src_port for each in sip.quiet(hour_ns + 100_000_000)] == [2]


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_sip_on_another_port_is_found_by_its_first_bytes_however_few_a_segment_has(size: int, tmp_path: Path) -> None:
    ports = (1024, 7777)
    wire = b"\r\n\r\n" + INVITE + BYE
    parts = [segment(wire[at : at + size], 1000 + at, ports=ports) for at in range(0, len(wire), size)]
    capture = Capture().take(segment(b"", 999, flags="S", ports=ports), *parts).end()
    assert [method for _, method in capture.numbered()] == [b"INVITE", b"BYE"]
    whole = Capture().take(segment(b"", 999, flags="S", ports=ports), segment(INVITE + BYE, 1000, ports=ports)).end()
    assert whole.numbered() == of_tshark(whole, tmp_path) == [(2, b"INVITE"), (2, b"BYE")]


def test_what_is_no_sip_on_another_port_is_left_alone() -> None:
    capture = Capture().take(*cut(b"IMAP is no SIP\r\nINFO neither\r\n", 1, 9)).end()
    other = Capture().take(segment(b"GET / HTTP/1.1\r\n\r\n", 1000, ports=(1024, 80))).end()
    assert (len(other.streams), [each for each in other.found if each.datagram.payload.startswith(b"GET")]) == (0, [])
    assert all(b"SIP/" not in each.datagram.payload for each in capture.found)


def test_a_message_cut_by_the_end_of_its_connection_is_given_one_cut_by_the_captures_end_is_told() -> None:
    closed = (
        Capture().take(segment(b"", 999, flags="S"), segment(INVITE[:200], 1000), segment(b"", 1200, flags="FA")).end()
    )
    assert [(each.datagram.frame_number, each.datagram.payload) for each in closed.found] == [(2, INVITE[:200])]
    ended = Capture().take(segment(b"", 999, flags="S"), segment(INVITE[:200], 1000)).end()
    assert ended.found == []
    (lost,) = ended.streams.unreadable
    assert (lost.packet, lost.reason) == (2, "the capture ends inside a SIP message over TCP: 200 bytes came")


@pytest.mark.parametrize("before", [b"", b"rest of a body\r\n", b"rest of a body"])
def test_a_message_cut_by_the_captures_end_is_told_also_where_the_capture_begins_behind_the_syn(
    before: bytes,
) -> None:
    ended = Capture().take(segment(before + INVITE[:100], 1000), segment(INVITE[100:200], 1100 + len(before))).end()
    held = "the capture ends inside a SIP message over TCP: 200 bytes came"
    assert [(each.packet, each.reason) for each in ended.streams.unreadable] == [(2, held)]
    rest = Capture().take(segment(INVITE[3:200], 1000)).end()
    assert (rest.found, rest.streams.unreadable) == ([], [])


@pytest.mark.parametrize(("behind", "is_copy"), [(77, False), (1000, True)])
def test_each_side_of_a_firewall_has_its_own_stream(behind: int, is_copy: bool) -> None:
    """A proxy numbers the bytes anew; a router lets the same segment out again."""
    decoder, found = FrameDecoder(), []
    sip = SipStreams(PORTS)
    for number, (interface, outgoing, start) in enumerate([(1, False, 1000), (2, True, behind)], 1):
        frame = record(
            linux_sll2(segment(INVITE, start), interface=interface, outgoing=outgoing), link_type=276, number=number
        )
        packet = decoder.decode(frame)
        assert isinstance(packet, Packet)
        found += sip.read(frame, packet)
    assert [(each.datagram.frame_number, each.seen_on) for each in found] == [(1, (1, False)), (2, (2, True))]
    assert [each.is_copy for each in found] == [False, is_copy]


def test_messages_that_never_end_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MAX_PENDING_BYTES", 5000)
    capture = Capture()
    for port in range(1, 60):
        capture.take(segment(INVITE[:-1], 1000, ports=(port, 5060)))
    assert len(capture.streams) <= 5000 // (len(INVITE) - 1) + 1


def test_what_is_over_but_not_told_yet_makes_room_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reset ends both ways, but what it acknowledges of the way back is told first, and is too much."""
    unfinished, size = INVITE[:-1], len(INVITE) - 1
    monkeypatch.setattr(streams, "MAX_PENDING_BYTES", 2 * size - 1)
    capture = Capture().take(segment(unfinished, 1000), segment(b"", 4999, flags="SA", back=True))
    capture.take(segment(unfinished, 5100, back=True))
    capture.take(segment(b"", 1000 + size, flags="AR", acknowledges=5100 + size))
    assert len(capture.streams) == 0


@given(st.lists(st.integers(1, len(WIRE) - 1), max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_any_cut_in_any_order_gives_the_same_messages(places: list[int], chance: random.Random) -> None:
    packets = cut(WIRE, *sorted(set(places)))
    chance.shuffle(packets)
    capture = Capture().take(segment(b"", 999, flags="S"), *packets).end()
    whole = Capture().take(segment(b"", 999, flags="S"), segment(WIRE, 1000)).end()
    assert [each.datagram.payload for each in capture.found] == [each.datagram.payload for each in whole.found]


@given(
    st.lists(
        st.tuples(st.integers(0, 600), st.binary(max_size=30), st.sampled_from(["A", "SA", "FA", "RA"]), st.booleans()),
        max_size=25,
    )
)
@settings(max_examples=100)
def test_any_bytes_in_any_segments_are_taken(stream: list[tuple[int, bytes, str, bool]]) -> None:
    capture = Capture()
    for at, data, flags, back in stream:
        capture.take(segment(data, at, flags=flags, acknowledges=at, back=back))
    capture.end()
