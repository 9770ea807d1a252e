"""What is counted of a flow, over the elements that it had one after the other and beside each other."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.held_flow import Held

KEY = PinholeKey("UDP", None, "192.0.2.1", None, "192.0.2.2", 1)


def held() -> Held:
    return Held(Pinhole(KEY, "rtp", "c", 1), [KEY], 0)


def test_what_the_element_the_fast_path_and_those_before_counted_is_one_sum() -> None:
    flow = held()
    flow.count(7, 700)
    flow.count_fast(20, 2000)
    assert flow.counts() == [FlowCount(KEY, 27, 2700)]
    flow.end_fast(22, 2200)  # two more by the time it was left
    assert flow.counts() == [FlowCount(KEY, 29, 2900)]
    flow.count_fast(1, 100)
    assert flow.counts() == [FlowCount(KEY, 30, 3000)]
    assert (flow.told_packets, flow.packets, flow.fast_packets) == (30, 7, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), max_size=20))
def test_no_packet_is_lost_or_counted_twice(steps: list[tuple[bool, int, bool]]) -> None:
    flow, present, passed = held(), {True: 0, False: 0}, 0
    for is_fast, packets, ends in steps:
        present[is_fast] += packets
        passed += packets
        if not ends:
            (flow.count_fast if is_fast else flow.count)(present[is_fast], 0)
        elif is_fast:
            flow.end_fast(present[is_fast], 0)
        else:
            known, _ = flow.end()
            flow.add_ended(present[is_fast] - known, 0)
        if ends:
            present[is_fast] = 0
        assert flow.all_packets() == passed


def test_what_was_read_earlier_takes_nothing_away() -> None:
    flow = held()
    flow.count(5, 500)
    flow.count(3, 300)
    flow.count_fast(4, 400)
    flow.count_fast(2, 200)
    assert flow.counts() == [FlowCount(KEY, 9, 900)]


def test_only_what_is_copied_and_passes_may_rest() -> None:
    flow = held()
    assert flow.may_rest(0)
    flow.turn_to(1, is_resting=True)
    assert not flow.may_rest(1)
    dropped = Held(Pinhole(KEY, "rtp", "c", 1, verdict="drop"), [KEY], 0)
    assert not dropped.may_rest(0)
