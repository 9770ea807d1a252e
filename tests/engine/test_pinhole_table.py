"""The table of pinholes tells the kernel every change once, in an order that the kernel can follow."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.decide import Decision
from firewall.engine.negotiation import Party
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.pinhole_table import SHUT_NS, Hole, PinholeTable, Shut
from firewall.engine.way import Way
from firewall.sip.media_endpoint import Formats

SECOND = 1_000_000_000
PARTY = Party(None, "192.0.2.1")
FORMATS = Formats(frozenset(), (), ())


def hole(port: int, now_ns: int = 0, timeout_ns: int = 20 * SECOND) -> Hole:
    key = PinholeKey("UDP", None, "192.0.2.1", None, "198.51.100.1", port)
    way = Way(key, "audio", "rtp", 0, FORMATS, "sendrecv", PARTY, PARTY)
    pinhole = Pinhole(key, "rtp", "c", timeout_ns)
    return Hole(pinhole, way, Decision("allow", "media_negotiated"), now_ns, now_ns + timeout_ns)


@given(st.lists(st.tuples(st.sampled_from(["open", "close", "tell"]), st.integers(0, 3)), max_size=40))
def test_who_follows_the_changes_has_open_what_the_table_has(steps: list[tuple[str, int]]) -> None:
    table, kernel = PinholeTable(), dict[PinholeKey, Pinhole]()
    for step, port in [*steps, ("tell", 0)]:
        key = hole(port).pinhole.key
        known = table.holes.get(key)
        if step == "open" and known is None:
            table.open(hole(port))
        elif step == "close" and known is not None:
            table.close(known, 0, "bye")
        elif step == "tell":
            if (changed := table.changes()) is not None:
                for pinhole in changed.closed:
                    del kernel[pinhole.key]
                kernel.update({pinhole.key: pinhole for pinhole in changed.opened})
            assert set(kernel) == {each.pinhole.key for each in table.holes.values()}
            assert table.changes() is None


def test_a_pinhole_is_due_after_its_time_out_counted_from_its_last_packet() -> None:
    table, open_hole = PinholeTable(), hole(1)
    table.open(open_hole)
    open_hole.last_ns = 5 * SECOND
    assert table.deadlines.due_ns == 20 * SECOND
    assert table.due(20 * SECOND) == []
    assert table.deadlines.due_ns == 25 * SECOND
    assert table.due(25 * SECOND) == [open_hole]


def test_the_end_of_its_grace_comes_before_its_time_out_unless_it_is_kept() -> None:
    table, open_hole = PinholeTable(), hole(1)
    table.open(open_hole)
    table.close_at(open_hole, SECOND, "bye")
    open_hole.closes_at_ns = None
    assert table.due(SECOND) == []
    table.close_at(open_hole, 2 * SECOND, "bye")
    assert table.due(2 * SECOND) == [open_hole]


def test_a_pinhole_that_waits_twice_for_one_instant_is_due_once() -> None:
    table, one, other = PinholeTable(), hole(1), hole(2)
    table.open(one)
    table.open(other)
    for each in (one, other, one):
        table.close_at(each, SECOND, "bye")
        each.closes_at_ns = None
        table.close_at(each, SECOND, "bye")
    assert table.due(SECOND) == [one, other]
    assert table.due(SECOND) == []


def test_pinholes_of_one_instant_may_be_opened_after_some_of_them_were_due() -> None:
    table = PinholeTable()
    for port in (1, 2, 3):
        table.open(hole(port))
        assert [each.pinhole.key.dst_port for each in table.due(20 * SECOND)] == [port]


def test_why_an_endpoint_is_shut_is_remembered_for_an_hour() -> None:
    table, open_hole = PinholeTable(), hole(1)
    table.open(open_hole)
    table.close(open_hole, SECOND, "bye")
    endpoint = ("198.51.100.1", 1)
    assert table.shut(endpoint, SECOND + SHUT_NS) == Shut("c", open_hole.way, SECOND, "bye")
    assert table.shut(endpoint, SECOND + SHUT_NS + 1) is None


def test_what_was_closed_early_is_not_due() -> None:
    table = PinholeTable()
    short_lived, other = hole(1), hole(2)
    table.open(short_lived)
    table.open(other)
    table.close(short_lived, 0, "bye")
    assert table.due_keys(20 * SECOND) == [other.pinhole.key]
    assert table.due(20 * SECOND) == [other]


def test_the_garbage_collector_is_not_kept_busy_by_pinholes() -> None:
    """A collection may begin in the middle of a message, which 400 000 pinholes would stop for long."""
    table = PinholeTable()
    gc.collect()
    before = len(gc.get_objects())
    for port in range(1, 1001):
        table.open(hole(port, now_ns=port))
    table.changes()
    gc.collect()
    known = {id(each) for each in gc.get_objects()}
    table.open(hole(2000))
    assert len(known) - before < 100
    new = [each for each in gc.get_objects() if id(each) not in known]
    assert not [each for each in new if isinstance(each, dict) and len(each) > 100], "it looks at all of them again"
