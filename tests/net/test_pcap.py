"""Frames of pcap files: every byte order and unit, cut anywhere, and tshark's numbers and times for the same file."""

import struct
import subprocess
from pathlib import Path

import pytest

from firewall.errors import CaptureError
from firewall.net.capture_record import MAX_PACKET_BYTES, CaptureRecord, Cut
from firewall.net.pcap import JOINED
from tests.net.packets import START_NS, ethernet, frames_of, ipv4, is_cut, losses, pcap, read_all, tshark, udp

FRAMES = [ethernet(ipv4(udp(b"x" * size))) for size in (3, 40, 700)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_frames_and_times_are_read_in_both_byte_orders_and_units(order: str, nanoseconds: bool) -> None:
    stamped = [(START_NS + number * 1_000_007_000, frame) for number, frame in enumerate(FRAMES)]
    read = frames_of(pcap(stamped, order=order, nanoseconds=nanoseconds))
    assert [(frame.timestamp_ns, frame.data) for frame in read] == stamped
    assert [frame.frame_number for frame in read] == [1, 2, 3]


def test_nanoseconds_are_kept_to_the_last() -> None:
    (frame,) = frames_of(pcap([(START_NS + 123_456_789, FRAMES[0])], nanoseconds=True))
    assert frame.timestamp_ns == START_NS + 123_456_789


def test_the_frame_headers_of_the_modified_libpcap_have_eight_bytes_more() -> None:
    plain = pcap([FRAMES[0]])
    head, length = struct.pack("<I", 0xA1B2CD34) + plain[4:24], plain[24:40]
    (frame,) = frames_of(head + length + bytes(8) + FRAMES[0])
    assert frame.data == FRAMES[0]


def test_a_frame_check_sequence_noted_in_the_link_type_field_is_no_other_link_type() -> None:
    data = bytearray(pcap([FRAMES[0]]))
    data[20:24] = struct.pack("<I", 1 | 1 << 26 | 4 << 28)
    (frame,) = frames_of(bytes(data))
    assert frame.link_type == 1


def test_a_capture_cut_at_any_byte_gives_the_frames_before_the_cut_and_reports_it() -> None:
    data = pcap(FRAMES)
    ends = [24]
    for frame in FRAMES:
        ends.append(ends[-1] + 16 + len(frame))
    for size in range(24, len(data)):
        read = read_all(data[:size])
        whole = sum(end <= size for end in ends[1:])
        frames = [frame for frame in read if isinstance(frame, CaptureRecord)]
        assert [frame.data for frame in frames] == FRAMES[:whole]
        assert is_cut(read) == (size not in ends), f"cut at byte {size}"
        assert all(loss.packet == whole + 1 and loss.reason.startswith("cut") for loss in losses(read))


@pytest.mark.parametrize("size", range(4, 24))
def test_a_file_header_that_is_cut_is_one_sentence(size: int) -> None:
    with pytest.raises(CaptureError, match=rf"cut inside its file header, after {size} of 24 bytes"):
        read_all(pcap(FRAMES)[:size])


def test_a_length_beyond_reason_ends_the_reading_without_asking_for_the_memory() -> None:
    data = pcap(FRAMES[:1]) + struct.pack("<IIII", 1, 1, MAX_PACKET_BYTES + 1, 60) + b"rest"
    read = read_all(data)
    assert len(read) == 2
    assert is_cut(read)
    assert losses(read)[0].packet == 2


@pytest.mark.parametrize("kind", ["nokiapcap", "rh6_1pcap", "suse6_3pcap"])
@pytest.mark.parametrize("microseconds", [50, 2_000, 999_000])
def test_what_a_modified_libpcap_wrote_under_the_usual_magic_number_is_told_with_what_converts_it(
    tmp_path: Path, kind: str, microseconds: int
) -> None:
    plain, modified = tmp_path / "plain.pcap", tmp_path / "modified.pcap"
    plain.write_bytes(pcap([(START_NS + n * 10**9 + microseconds * 1000, FRAMES[1]) for n in range(6)]))
    subprocess.run(["editcap", "-F", kind, plain, modified], check=True)
    (loss,) = losses(read_all(modified.read_bytes()))
    assert loss.reason.endswith("convert it with editcap -F pcap IN OUT")
    subprocess.run(["editcap", "-F", "pcap", modified, plain], check=True)
    assert [frame.data for frame in frames_of(plain.read_bytes())] == [FRAMES[1]] * 6


@pytest.mark.parametrize("zeros", [16, 40, 100_000])
def test_zeros_where_a_frame_should_begin_are_a_cut_and_not_thousands_of_frames(zeros: int) -> None:
    """As a file system leaves them behind what was written before the power failed, or a tool that allots a file."""
    *frames, cut = read_all(pcap(FRAMES) + bytes(zeros))
    assert [frame.data for frame in frames if isinstance(frame, CaptureRecord)] == FRAMES
    number = len(FRAMES) + 1
    assert cut == Cut(number, f"cut: there are only zeros where packet {number} should begin")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("nanoseconds", [False, True])
def test_another_capture_behind_the_frames_is_told_as_that(order: str, nanoseconds: bool) -> None:
    """As ``zcat *.pcap.gz`` joins the parts of a recording."""
    *frames, cut = read_all(pcap(FRAMES) + pcap(FRAMES, order=order, nanoseconds=nanoseconds))
    assert [frame.data for frame in frames if isinstance(frame, CaptureRecord)] == FRAMES
    assert cut == Cut(4, f"cut: another capture begins where packet 4 should; {JOINED}")
    section = b"\n\r\r\n" + struct.pack("<II", 28, 0x1A2B3C4D) + bytes(16)
    assert losses(read_all(pcap(FRAMES) + section)) == [cut]


def test_an_empty_frame_of_some_time_is_a_frame() -> None:
    assert [frame.data for frame in frames_of(pcap([(START_NS, b""), (START_NS, FRAMES[0])]))] == [b"", FRAMES[0]]


def test_an_empty_capture_has_no_frames() -> None:
    assert read_all(pcap([])) == []


def test_the_lengths_of_version_2_2_stand_the_other_way_round() -> None:
    frame = FRAMES[2]
    data = bytearray(pcap([]))
    data[4:8] = struct.pack("<HH", 2, 2)
    (read,) = frames_of(bytes(data) + struct.pack("<IIII", 1, 0, len(frame) + 5, len(frame)) + frame)
    assert (read.data, read.original_length) == (frame, len(frame) + 5)


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_tshark_gives_the_same_frames_the_same_numbers_times_and_lengths(tmp_path: Path, nanoseconds: bool) -> None:
    stamped = [(START_NS + number * 3_000_000_001, frame) for number, frame in enumerate(FRAMES * 4)]
    data = pcap(stamped, nanoseconds=nanoseconds, snap_bytes=100)
    (tmp_path / "a.pcap").write_bytes(data)
    theirs = tshark(tmp_path / "a.pcap", "frame.number", "frame.time_epoch", "frame.len", "frame.cap_len")
    ours = [
        [str(frame.frame_number), _epoch(frame.timestamp_ns), str(frame.original_length), str(len(frame.data))]
        for frame in frames_of(data)
    ]
    assert ours == theirs


def _epoch(timestamp_ns: int) -> str:
    return f"{timestamp_ns // 10**9}.{timestamp_ns % 10**9:09d}"
