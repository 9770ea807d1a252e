"""Fragments become the datagram they were cut from, in any order; what the kernel discards is discarded."""

import random
import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from firewall.net.fragment import FragmentKey, FragmentTable

KEY: FragmentKey = (b"\xc0\0\2\7", b"\xc6\x33\x64\2", 1, 17, (0, None))
SECOND_NS = 1_000_000_000
Piece = tuple[int, bool, bytes]
A16, B16, B8 = b"A" * 16, b"B" * 16, b"B" * 8


def cut(data: bytes, size: int) -> list[Piece]:
    starts = range(0, len(data), size)
    return [(start, start + size < len(data), data[start : start + size]) for start in starts]


@given(st.binary(min_size=9, max_size=3000), st.sampled_from([8, 64, 1480]), st.randoms(use_true_random=False))
def test_fragments_in_any_order_and_doubled_make_the_datagram_once(
    data: bytes, size: int, chance: random.Random
) -> None:
    pieces = cut(data, size)
    assume(len(pieces) > 1)
    shuffled = chance.sample(pieces, len(pieces))
    table = FragmentTable()
    results = [
        table.add(KEY, *piece, number, number)
        for number, piece in enumerate(doubled for piece in shuffled for doubled in (piece, piece))
    ]
    complete = [result for result in results if isinstance(result, bytes)]
    assert complete == [data]
    assert results[-2] == data


@given(st.binary(min_size=9, max_size=3000), st.sampled_from([8, 64, 1480]), st.randoms(use_true_random=False))
def test_what_repeats_a_whole_datagram_is_not_missing(data: bytes, size: int, chance: random.Random) -> None:
    pieces = cut(data, size)
    assume(1 < len(pieces) <= 64)
    shuffled = [doubled for piece in chance.sample(pieces, len(pieces)) for doubled in (piece, piece)]
    table = FragmentTable()
    for number, piece in enumerate(shuffled, 1):
        table.add(KEY, *piece, number, number)
    assert (table.waiting, list(table.incomplete())) == (1, [])
    table.add((*KEY[:2], 7, *KEY[3:]), 0, True, b"A" * 8, 98, 31 * SECOND_NS)
    assert list(table.incomplete()) == [(98, 8)]


def test_another_datagram_of_the_same_identification_is_missing() -> None:
    table = FragmentTable()
    for number, piece in enumerate([*cut(b"A" * 16, 8), (0, True, b"B" * 8)], 1):
        table.add(KEY, *piece, number, number)
    assert list(table.incomplete()) == [(3, 8)]


def test_many_whole_datagrams_do_not_fill_the_memory() -> None:
    table = FragmentTable()
    for number in range(3000):
        for piece in cut(b"A" * 16, 8):
            table.add((*KEY[:2], number, *KEY[3:]), *piece, number, number)
    assert table.remembered <= 1024


def test_datagrams_of_different_identification_are_kept_apart() -> None:
    table = FragmentTable()
    other = (*KEY[:2], 2, *KEY[3:])
    assert table.add(KEY, 0, True, b"A" * 8, 1, 1) == "waiting"
    assert table.add(other, 0, True, b"B" * 8, 2, 2) == "waiting"
    assert table.add(KEY, 8, False, b"a", 3, 3) == b"AAAAAAAAa"
    assert table.add(other, 8, False, b"b", 4, 4) == b"BBBBBBBBb"


def test_overlapping_fragments_discard_the_datagram() -> None:
    table = FragmentTable()
    assert table.add(KEY, 0, True, b"A" * 16, 1, 1) == "waiting"
    assert table.add(KEY, 8, True, b"B" * 16, 2, 2) == "overlap"
    assert list(table.incomplete()) == []


@pytest.mark.parametrize(
    "parts",
    [
        [(0, True, A16), (0, True, B16), (16, False, A16)],
        [(0, True, A16), (8, True, B8), (16, False, A16)],
        [(16, False, A16), (16, False, B16), (0, True, A16)],
        [(16, False, A16), (24, False, B8), (0, True, A16)],
        [(0, True, A16[:8]), (8, True, A16[:8]), (0, True, B16), (16, False, A16)],
    ],
)
def test_what_a_fragment_brought_is_ignored_when_it_comes_again_whatever_it_says_now(
    parts: list[tuple[int, bool, bytes]],
) -> None:
    """So Linux 6.18 does: it looks at the places of fragments, not at what they say."""
    table = FragmentTable()
    assert [table.add(KEY, *part, number, number) for number, part in enumerate(parts)][-1] == A16 * 2


def test_what_two_fragments_brought_that_did_not_come_in_order_must_not_come_again_in_one() -> None:
    table = FragmentTable()
    assert [table.add(KEY, *part, 1, 1) for part in ((8, True, B8), (0, True, B8), (0, True, A16))][-1] == "overlap"


def test_a_second_last_fragment_discards_the_datagram() -> None:
    table = FragmentTable()
    assert table.add(KEY, 16, False, b"A" * 8, 1, 1) == "waiting"
    assert table.add(KEY, 32, False, b"A" * 8, 2, 2) == "overlap"


def test_a_last_fragment_before_what_already_came_discards_the_datagram() -> None:
    table = FragmentTable()
    assert table.add(KEY, 32, True, b"A" * 8, 1, 1) == "waiting"
    assert table.add(KEY, 16, False, b"A" * 8, 2, 2) == "overlap"


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 3), st.booleans()), max_size=12))
def test_a_datagram_is_discarded_at_the_first_fragment_that_overlaps_another(
    asked: list[tuple[int, int, bool]],
) -> None:
    table, runs, total = FragmentTable(), list[tuple[int, int]](), 99
    for start, size, more in asked:
        end, reach = start + size, max((ends for _, ends in runs), default=0)
        is_again = any(begins <= start and end <= ends for begins, ends in runs)
        overlaps = any(start < ends and begins < end for begins, ends in runs)
        is_end_wrong = not more and (total not in (99, end) or reach > end)
        told = table.add(KEY, start * 8, more, b"A" * 8 * size, 1, 1)
        assert (told == "overlap") == (end > total or is_end_wrong or (overlaps and not is_again))
        if isinstance(told, bytes) or told == "overlap":
            return
        total = total if more else end
        if not is_again:
            goes_on = [run for run in runs if run[1] == reach == start]
            runs = [run for run in runs if run not in goes_on]
            runs.append((goes_on[0][0] if goes_on else start, end))


def test_an_empty_fragment_discards_the_datagram_and_takes_no_bytes_away() -> None:
    table = FragmentTable()
    assert table.add(KEY, 8, True, b"A" * 8, 1, 1) == "waiting"
    assert table.add(KEY, 8, True, b"", 2, 2) == "overlap"
    assert table.waiting == 0


def test_datagrams_of_the_smallest_fragments_cost_no_more_than_linear_time() -> None:
    """Quadratic work would take some ten seconds."""
    begun_s = time.process_time()
    pieces = cut(b"A" * 65_528, 8)
    for _ in range(2):
        table = FragmentTable()
        told = [table.add(KEY, *piece, 1, 1) for piece in random.Random(1).sample(pieces, len(pieces))]
        assert told[-1] == b"A" * 65_528
    assert time.process_time() - begun_s < 2


def test_more_than_a_datagram_can_hold_is_discarded() -> None:
    table = FragmentTable()
    assert table.add(KEY, 65_528, False, b"A" * 8, 1, 1) == "too long"


def test_what_waits_too_long_is_given_up_and_told() -> None:
    table = FragmentTable()
    assert table.add(KEY, 0, True, b"A" * 8, 1, 0) == "waiting"
    late = (*KEY[:2], 9, *KEY[3:])
    assert table.add(late, 0, True, b"B" * 8, 2, 31 * SECOND_NS) == "waiting"
    assert table.add(KEY, 8, False, b"a", 3, 31 * SECOND_NS) == "waiting"
    assert (1, 8) in list(table.incomplete())


def test_a_flood_of_first_fragments_does_not_fill_the_memory() -> None:
    table = FragmentTable()
    for number in range(20_000):
        table.add((*KEY[:2], number, *KEY[3:]), 0, True, bytes(1480), number, number)
    assert table.held_bytes <= 17 * 1024 * 1024
    assert table.waiting <= 4096
