"""What is counted of a flow, over the elements that it had one after the other and beside each other."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.flow_messages import Found
from firewall.live.held_flow import Held

KEY = PinholeKey("UDP", None, "192.0.2.1", None, "192.0.2.2", 1)


def held() -> Held:
    return Held(Pinhole(KEY, "rtp", "c", 1), [KEY], 0)


def found(packets: int) -> Found:
    return Found(b"", packets, 100 * packets)


def test_both_elements_and_those_before_them_count() -> None:
    flow = held()
    flow.count(found(7), is_fast=False)
    flow.count(found(20), is_fast=True)
    assert flow.counts() == [FlowCount(KEY, 27, 2700)]
    assert flow.end(is_fast=True) == (20, 2000)
    flow.add_ended(2, 200)  # two more by the time it was removed
    flow.count(found(1), is_fast=True)
    assert flow.counts() == [FlowCount(KEY, 30, 3000)]
    assert (flow.told_packets, flow.packets, flow.fast_packets) == (30, 7, 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans()), max_size=20))
def test_no_packet_is_lost_or_counted_twice(steps: list[tuple[bool, int, bool]]) -> None:
    flow, present, passed = held(), {True: 0, False: 0}, 0
    for is_fast, packets, ends in steps:
        present[is_fast] += packets
        passed += packets
        if ends:
            known, _ = flow.end(is_fast=is_fast)
            flow.add_ended(present[is_fast] - known, 0)
            present[is_fast] = 0
        else:
            flow.count(found(present[is_fast]), is_fast=is_fast)
        assert flow.all_packets() == passed


def test_what_was_read_earlier_takes_nothing_away() -> None:
    flow = held()
    flow.count(found(5), is_fast=False)
    flow.count(found(3), is_fast=False)
    assert flow.all_packets() == 5
