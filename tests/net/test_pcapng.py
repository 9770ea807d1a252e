"""Frames of pcapng files: sections, interfaces, clocks, every packet block, damage anywhere, tshark beside."""

import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import CaptureError
from firewall.net.capture import read_capture
from firewall.net.capture_record import MAX_TIMESTAMP_NS, CaptureRecord
from firewall.net.pcapng import NO_LINK_TYPE
from tests.net.packets import (
    START_NS,
    block,
    enhanced,
    ethernet,
    frames_of,
    interface,
    ipv4,
    is_cut,
    losses,
    option,
    read_all,
    read_to_the_end,
    section,
    tshark,
    udp,
)

FRAMES = [ethernet(ipv4(udp(b"x" * size))) for size in (3, 41, 700)]
IF_NAME, IF_TSRESOL, IF_TSOFFSET, PACKET_FLAGS = 2, 9, 14, 2
MICROSECONDS = START_NS // 1000


def named(name: bytes, order: str = "<") -> bytes:
    return interface(options=option(IF_NAME, name, order), order=order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_enhanced_packets_are_read_in_both_byte_orders(order: str) -> None:
    data = section(order) + named(b"f0", order)
    data += b"".join(enhanced(frame, MICROSECONDS + n, 0, b"", order) for n, frame in enumerate(FRAMES))
    read = frames_of(data)
    assert [frame.data for frame in read] == FRAMES
    assert [frame.timestamp_ns for frame in read] == [START_NS + n * 1000 for n in range(3)]
    assert {(frame.interface, frame.link_type, frame.outgoing) for frame in read} == {("f0", 1, None)}


@pytest.mark.parametrize(
    ("resolution", "ticks"),
    [(b"\x06", MICROSECONDS), (b"\x09", START_NS), (b"\x03", START_NS // 10**6), (b"\x80", START_NS // 10**9),
     (b"\x8a", START_NS // 10**9 * 1024)],
)  # fmt: skip
def test_the_clock_of_an_interface_has_its_own_resolution(resolution: bytes, ticks: int) -> None:
    (frame,) = frames_of(section() + interface(options=option(IF_TSRESOL, resolution)) + enhanced(FRAMES[0], ticks))
    assert frame.timestamp_ns == START_NS


def test_the_clock_of_an_interface_may_have_an_offset() -> None:
    offset = option(IF_TSOFFSET, struct.pack("<q", START_NS // 10**9 - 7))
    (frame,) = frames_of(section() + interface(options=offset) + enhanced(FRAMES[0], 7_000_000))
    assert frame.timestamp_ns == START_NS


@pytest.mark.parametrize(("ticks", "offset"), [(2**64 - 1, 0), (2**64 - 1, 2**62), (0, -(2**62))])
def test_a_time_that_no_calendar_has_is_brought_to_its_edge(ticks: int, offset: int) -> None:
    described = interface(options=option(IF_TSRESOL, b"\0") + option(IF_TSOFFSET, struct.pack("<q", offset)))
    (frame,) = frames_of(section() + described + enhanced(FRAMES[0], ticks))
    assert frame.timestamp_ns in (0, MAX_TIMESTAMP_NS)


def test_interfaces_of_every_section_are_told_apart() -> None:
    data = section() + named(b"f0") + named(b"f1") + enhanced(FRAMES[0], 1, 0) + enhanced(FRAMES[1], 2, 1)
    data += section(">") + named(b"g0", ">") + enhanced(FRAMES[2], 3, 0, b"", ">")
    read = frames_of(data)
    assert [frame.interface for frame in read] == ["f0", "f1", "g0"]
    assert len({frame.interface_id for frame in read}) == 3
    assert [frame.frame_number for frame in read] == [1, 2, 3]


def test_an_interface_of_the_same_name_goes_on_in_the_next_section() -> None:
    """As where ``cat`` joins the parts of one recording: a message that the end of a part cuts goes on, too."""
    begin = section() + named(b"f0") + named(b"f1")
    parts = [begin + enhanced(FRAMES[0], ticks, 0) + enhanced(FRAMES[1], ticks + 1, 1) for ticks in (1, 3)]
    nameless = [section() + interface() + enhanced(FRAMES[0], ticks) for ticks in (5, 6)]
    read = frames_of(b"".join((*parts, *nameless)))
    assert [frame.interface_id for frame in read] == [0, 1, 0, 1, 2, 3]


@pytest.mark.parametrize(("flags", "outgoing"), [(0, None), (1, False), (2, True), (2 | 1 << 5, True)])
def test_the_flags_of_a_packet_tell_its_direction(flags: int, outgoing: bool | None) -> None:
    told = option(1, b"a comment") + option(PACKET_FLAGS, struct.pack("<I", flags)) + option(0, b"")
    (frame,) = frames_of(section() + interface() + enhanced(FRAMES[1], 1, 0, told))
    assert frame.outgoing is outgoing
    assert frame.data == FRAMES[1]


def test_a_simple_packet_has_the_time_of_the_packet_before_it_and_is_cut_by_the_interface() -> None:
    simple = block(3, struct.pack("<I", len(FRAMES[2])) + FRAMES[2][:100])
    data = section() + interface(snap_bytes=100) + enhanced(FRAMES[0], MICROSECONDS) + simple
    first, second = frames_of(data)
    assert second.timestamp_ns == first.timestamp_ns == START_NS
    assert (second.data, second.original_length) == (FRAMES[2][:100], len(FRAMES[2]))


def test_an_obsolete_packet_block_is_read() -> None:
    head = struct.pack("<HHIIII", 1, 0, MICROSECONDS >> 32, MICROSECONDS & 0xFFFFFFFF, len(FRAMES[1]), len(FRAMES[1]))
    (frame,) = frames_of(section() + named(b"f0") + named(b"f1") + block(2, head + FRAMES[1]))
    assert (frame.data, frame.timestamp_ns, frame.interface) == (FRAMES[1], START_NS, "f1")


@pytest.mark.parametrize("kind", [4, 5, 10, 0x12345678])
def test_blocks_of_other_kinds_are_passed_over(kind: int) -> None:
    read = frames_of(section() + block(kind, b"whatever") + interface() + block(kind, b"") + enhanced(FRAMES[0], 1))
    assert [frame.frame_number for frame in read] == [1]


@pytest.mark.parametrize("kind", [9, 0xBAD, 0x40000BAD])
def test_a_block_that_wireshark_numbers_is_counted_like_a_frame_but_is_none(kind: int) -> None:
    read = frames_of(section() + interface() + block(kind, b"__REALTIME_TIMESTAMP=1\n") + enhanced(FRAMES[0], 1))
    assert [(frame.frame_number, frame.link_type) for frame in read] == [(1, NO_LINK_TYPE), (2, 1)]


def test_a_packet_of_an_interface_that_nobody_described_is_lost_alone() -> None:
    read = read_all(section() + interface() + enhanced(FRAMES[0], 1, 7) + enhanced(FRAMES[1], 2, 0))
    assert [loss.packet for loss in losses(read)] == [1]
    assert not is_cut(read)
    assert [frame.frame_number for frame in read if isinstance(frame, CaptureRecord)] == [2]


def test_a_packet_that_claims_more_than_its_block_holds_is_lost_alone() -> None:
    head = struct.pack("<IIIII", 0, 0, 0, 5000, 5000)
    read = read_all(section() + interface() + block(6, head + b"short") + enhanced(FRAMES[1], 2))
    assert [(loss.packet, "claims 5000 bytes" in loss.reason) for loss in losses(read)] == [(1, True)]


def test_a_capture_cut_at_any_byte_gives_the_frames_before_the_cut_and_reports_it() -> None:
    pieces = [section() + interface(), *(enhanced(frame, n) for n, frame in enumerate(FRAMES))]
    data = b"".join(pieces)
    block_ends = [28, len(pieces[0])]
    for piece in pieces[1:]:
        block_ends.append(block_ends[-1] + len(piece))
    for size in range(28, len(data)):
        read = read_all(data[:size])
        whole = sum(end <= size for end in block_ends[2:])
        assert [frame.data for frame in read if isinstance(frame, CaptureRecord)] == FRAMES[:whole]
        assert is_cut(read) == (size not in block_ends), f"cut at byte {size}"
        assert all(loss.packet == whole + 1 for loss in losses(read))


@pytest.mark.parametrize("size", range(4, 28))
def test_a_section_header_that_is_cut_is_one_sentence(size: int) -> None:
    with pytest.raises(CaptureError, match="cut inside its section header"):
        read_all(section()[:size])


def test_a_section_header_without_byte_order_is_one_sentence() -> None:
    with pytest.raises(CaptureError, match="no byte order"):
        read_all(section().replace(struct.pack("<I", 0x1A2B3C4D), b"what"))


@pytest.mark.parametrize("size", [0, 8, 2**31, 2**32 - 4])
def test_a_block_length_beyond_reason_ends_the_reading(size: int) -> None:
    read = read_all(section() + interface() + enhanced(FRAMES[0], 1) + struct.pack("<III", 6, size, 0) + bytes(40))
    assert len(read) == 2
    assert is_cut(read)


def test_block_lengths_that_differ_end_the_reading() -> None:
    data = bytearray(section() + interface() + enhanced(FRAMES[0], 1))
    data[-4] ^= 4
    read = read_all(bytes(data))
    assert is_cut(read)
    assert len(read) == 1


def test_tshark_gives_the_same_frames_the_same_numbers_and_times(tmp_path: Path) -> None:
    nanoseconds = interface(options=option(IF_NAME, b"f1") + option(IF_TSRESOL, b"\x09"))
    data = section() + named(b"f0") + block(9, b"__REALTIME_TIMESTAMP=1\nMESSAGE=x\n") + nanoseconds
    data += enhanced(FRAMES[0], MICROSECONDS, 0) + block(0xBAD, struct.pack("<I", 32473) + b"x")
    data += enhanced(FRAMES[1], START_NS + 1, 1) + section(">") + named(b"g0", ">")
    data += enhanced(FRAMES[2], MICROSECONDS + 5, 0, b"", ">")
    (tmp_path / "a.pcapng").write_bytes(data)
    theirs = tshark(tmp_path / "a.pcapng", "frame.number", "frame.time_epoch", "frame.len", "frame.protocols")
    ours = [
        [
            str(frame.frame_number),
            f"{frame.timestamp_ns // 10**9}.{frame.timestamp_ns % 10**9:09d}",
            str(frame.original_length),
        ]
        for frame in frames_of(data)
        if frame.link_type != NO_LINK_TYPE
    ]
    assert ours == [row[:3] for row in theirs if row[3].startswith("eth")]


class ByteByByte(io.BytesIO):
    """Gives what nobody can have in one piece: the window never holds a second block, so each is read by itself."""

    def read(self, _size: int | None = -1, /) -> bytes:
        return super().read(1)


def sections(order: str) -> bytes:
    """Packets of three clocks, with all kinds of options, and everything that may stand between them."""
    flags = [option(PACKET_FLAGS, struct.pack(f"{order}I", value), order) for value in (0, 1, 2)]
    interfaces = [
        interface(options=option(IF_TSRESOL, bits, order), order=order) for bits in (b"\x09", b"\x83", b"\x14")
    ]
    begin = section(order) + b"".join(interfaces)
    options = [b"", *flags, option(1, b"a comment", order) + flags[1], option(1, bytes(200), order) + flags[2]]
    packets = [
        enhanced(frame, 10**15 + n, n % 3, each, order)
        for n, (frame, each) in enumerate((frame, each) for frame in FRAMES for each in options)
    ]
    odd = [
        enhanced(FRAMES[0], 2**64 - 1, 0, b"", order),
        enhanced(FRAMES[0], 1, 3, b"", order),
        block(5, b"1234", order),
    ]
    short = block(6, bytes(16), order)
    return begin + b"".join(packets) + b"".join(part + packets[0] for part in (*odd, short)) + begin + b"".join(packets)


@given(st.sampled_from("<>"), st.lists(st.tuples(st.integers(28, 6000), st.integers(0, 255)), max_size=3))
def test_packets_read_in_one_go_are_those_read_one_by_one_whatever_is_damaged(
    order: str, damages: list[tuple[int, int]]
) -> None:
    data = bytearray(sections(order))
    for place, value in damages:
        data[place % len(data)] = value
    assert read_to_the_end(read_capture(ByteByByte(data), "test.pcapng")) == read_all(bytes(data))
