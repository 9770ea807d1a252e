"""The engine's time: it never goes back, whatever the clock of who tells it does."""

import pytest

from firewall.engine.clock import Clock

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("told_s", "now_s"),
    [
        ([10, 11], [10, 11]),
        ([10, 9.5, 10.2], [10, 10, 10.2]),  # packets in another order
        ([10, 3, 4], [10, 10, 11]),  # a clock that was set back
    ],
)
def test_what_grows_old_does_so_although_a_clock_is_set_back(told_s: list[float], now_s: list[float]) -> None:
    clock, found = Clock(), []
    for each in told_s:
        clock.tell(round(each * SECOND))
        found.append(clock.now_ns / SECOND)
    assert (found, clock.wall_ns) == (now_s, told_s[-1] * SECOND)


def test_what_would_be_now_is_no_earlier_than_what_is() -> None:
    clock = Clock()
    clock.tell(10 * SECOND)
    assert [clock.at(each * SECOND) // SECOND for each in (8, 12)] == [10, 12]
    clock.offset_ns = 5 * SECOND
    assert clock.at(8 * SECOND) == 13 * SECOND
