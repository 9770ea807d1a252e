"""Frames of several interfaces come in time order, within bounds; those of one interface come as they are."""

from collections.abc import Iterator

import pytest

from firewall.net import order
from firewall.net.capture_record import CaptureRecord, Cut, Unreadable
from firewall.net.order import MAX_HELD_FRAMES, in_time_order
from tests.net.packets import (
    SECOND_NS,
    START_NS,
    enhanced,
    ethernet,
    frames_of,
    interface,
    is_cut,
    linux_sll,
    linux_sll2,
    pcap,
    read_all,
    section,
)

MS = 1_000_000
Seen = tuple[int, int]
"""The interface and the time in milliseconds of a frame."""


def frames(*seen: Seen) -> Iterator[CaptureRecord | Unreadable]:
    for number, (where, at_ms) in enumerate(seen, 1):
        yield CaptureRecord(number, START_NS + at_ms * MS, 1, b"", 0, None, where)


def numbers(ordered: Iterator[CaptureRecord | Unreadable]) -> list[int]:
    return [frame.frame_number if isinstance(frame, CaptureRecord) else frame.packet for frame in ordered]


def test_a_frame_that_another_interface_wrote_late_comes_at_its_time_with_its_number() -> None:
    assert numbers(in_time_order(frames((0, 10), (1, 30), (0, 20), (1, 40)))) == [1, 3, 2, 4]


def test_frames_of_one_time_stay_in_the_files_order() -> None:
    assert numbers(in_time_order(frames((1, 10), (0, 10), (1, 10), (0, 9)))) == [4, 1, 2, 3]


def test_one_interface_is_given_as_it_is_however_its_clock_goes() -> None:
    assert numbers(in_time_order(frames((3, 10), (3, 5), (3, 900), (3, 2)))) == [1, 2, 3, 4]


def test_the_second_interface_may_begin_late_in_the_capture() -> None:
    """Also just behind what was looked at together."""
    many = [(0, number) for number in range(1, 1025)]
    ordered = numbers(in_time_order(frames(*many, (1, 1000), (0, 1025))))
    assert ordered == [*range(1, 1001), 1025, *range(1001, 1025), 1026]


def test_a_clock_set_back_on_an_interface_parts_what_was_before_from_what_comes_after() -> None:
    assert numbers(in_time_order(frames((0, 1000), (1, 1001), (0, 500), (1, 501), (0, 399)))) == [1, 2, 3, 4, 5]
    assert numbers(in_time_order(frames((0, 1000), (1, 900), (0, 950), (1, 910)))) == [2, 4, 3, 1]


def test_a_recording_of_an_earlier_time_behind_another_one_stays_behind_it() -> None:
    assert numbers(in_time_order(frames((0, 9000), (0, 9100), (1, 1000), (1, 1100)))) == [1, 2, 3, 4]


def test_a_frame_waits_until_one_two_seconds_later_was_read_and_no_longer() -> None:
    read: list[int] = []

    def watched() -> Iterator[CaptureRecord | Unreadable]:
        for frame in frames(*((number % 2, number * 1000) for number in range(1, 5000))):
            if isinstance(frame, CaptureRecord):
                read.append(frame.frame_number)
            yield frame

    ordered = in_time_order(watched())
    # 1024 frames are looked at together to see whether there are several interfaces.
    for frame in ordered:
        if isinstance(frame, CaptureRecord) and frame.frame_number == 3000:
            break
    assert len(read) == 3003


@pytest.mark.parametrize("bound", ["frames", "bytes"])
def test_what_is_held_is_bounded_whatever_the_times_are(bound: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if bound == "bytes":
        monkeypatch.setattr(order, "MAX_HELD_BYTES", 100 * MAX_HELD_FRAMES // 2)
    most = MAX_HELD_FRAMES if bound == "frames" else MAX_HELD_FRAMES // 2
    read = 0

    def at_once() -> Iterator[CaptureRecord | Unreadable]:
        nonlocal read
        for number in range(1, 4 * MAX_HELD_FRAMES):
            read = number
            yield CaptureRecord(number, START_NS, 1, bytes(100), 100, None, number % 2)

    given = 0
    furthest = 0
    for _ in in_time_order(at_once()):
        furthest = max(furthest, read - given)
        given += 1
    assert given == 4 * MAX_HELD_FRAMES - 1
    assert furthest == most + 1


def test_buffers_written_one_after_the_other_come_as_a_sort_has_them() -> None:
    made = [(number % 3, number * 10) for number in range(6000)]
    in_file = sorted(made, key=lambda seen: (seen[1] // 250, seen[0]))
    assert in_file != made
    ordered = in_time_order(frames(*in_file))
    given = [in_file[number - 1] for number in numbers(ordered)]
    assert given == made


def test_a_pcapng_of_two_interfaces_is_merged_also_where_it_is_cut() -> None:
    two = section() + interface() + interface()
    blocks = [enhanced(ethernet(b""), START_NS // 1000 + at, where) for where, at in ((1, 2), (0, 1), (1, 4), (0, 3))]
    whole = two + b"".join(blocks)
    assert [frame.frame_number for frame in frames_of(whole)] == [2, 1, 4, 3]
    cut = read_all(whole[:-1])
    assert is_cut(cut)
    assert numbers(iter(cut)) == [2, 1, 3, 4]
    assert isinstance(cut[-1], Cut)


def test_cooked_v2_is_merged_by_the_kernels_interface_index_and_v1_which_has_none_is_not() -> None:
    at = [(START_NS + SECOND_NS, 1), (START_NS, 2)]
    v2 = pcap([(ns, linux_sll2(b"", interface=where, outgoing=False)) for ns, where in at], link_type=276)
    v1 = pcap([(ns, linux_sll(b"", outgoing=False)) for ns, _ in at], link_type=113)
    assert [frame.frame_number for frame in frames_of(v2)] == [2, 1]
    assert [frame.frame_number for frame in frames_of(v1)] == [1, 2]
