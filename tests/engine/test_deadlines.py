"""Deadlines tell what is due as a plain list of all keys with their instants would."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.deadlines import Deadlines
from firewall.engine.timestamp import NEVER_NS
from firewall.net.capture_record import MAX_TIMESTAMP_NS

_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "remove", "pop"]), st.integers(0, 5), st.integers(0, 8)), max_size=60
)


@given(_STEPS)
def test_what_is_due_is_what_a_list_of_all_would_tell(steps: list[tuple[str, int, int]]) -> None:
    deadlines, known = Deadlines[int](), set[tuple[int, int]]()
    for step, key, at_ns in steps:
        match step:
            case "put":
                deadlines.put(key, at_ns)
                known.add((at_ns, key))
            case "remove":
                deadlines.remove(key, at_ns)
                known.discard((at_ns, key))
            case _:
                first = min((at for at, _ in known), default=NEVER_NS)
                due = deadlines.pop(at_ns)
                if first > at_ns:
                    assert due is None
                else:
                    assert due is not None
                    assert (due[0], set(due[1])) == (first, {key for at, key in known if at == first})
                    known = {each for each in known if each[0] != first}
        assert deadlines.due_ns == min((at for at, _ in known), default=NEVER_NS)
        assert set(deadlines.until(at_ns)) == {key for at, key in known if at <= at_ns}


def test_what_ended_early_leaves_nothing_behind() -> None:
    deadlines = Deadlines[int]()
    deadlines.put(0, 50_000)
    for key in range(1, 50_000):
        deadlines.put(key, 50_000 - key if key % 2 else 50_000 + key)
        deadlines.remove(key, 50_000 - key if key % 2 else 50_000 + key)
    assert len(deadlines._instants) < 1_100
    assert deadlines.due_ns == 50_000


def test_many_that_end_at_once_are_not_sorted_one_by_one() -> None:
    deadlines = Deadlines[int]()
    for key in range(4_000):
        deadlines.put(key, key)
    for key in range(1, 3_000):
        deadlines.remove(key, key)
    deadlines.remove(0, 0)
    assert (deadlines.due_ns, len(deadlines._instants)) == (3_000, 1_000)


def test_the_garbage_collector_is_not_kept_busy_by_deadlines() -> None:
    deadlines = Deadlines[int]()
    gc.collect()
    before = len(gc.get_objects())
    for key in range(1_000):
        deadlines.put(key, key)
    gc.collect()
    assert len(gc.get_objects()) - before < 20


def test_nothing_is_due_at_the_last_instant_that_a_capture_may_name() -> None:
    deadlines = Deadlines[int]()
    assert (deadlines.pop(MAX_TIMESTAMP_NS), list(deadlines.until(MAX_TIMESTAMP_NS))) == (None, [])
    deadlines.put(1, MAX_TIMESTAMP_NS)
    assert deadlines.pop(MAX_TIMESTAMP_NS) == (MAX_TIMESTAMP_NS, {1: None})
    assert deadlines.pop(MAX_TIMESTAMP_NS) is None
