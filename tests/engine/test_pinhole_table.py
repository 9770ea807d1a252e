"""The table of pinholes tells the kernel every change once, in an order that the kernel can follow."""

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


def hole(port: int, now_ns: int = 0, timeout_ns: int = 20 * SECOND) -> Hole:
    key = PinholeKey("UDP", None, "192.0.2.1", None, "198.51.100.1", port)
    way = Way(key, "audio", "rtp", 0, Formats(frozenset(), (), ()), "sendrecv", PARTY, PARTY)
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
    assert table.due_ns == 20 * SECOND
    assert table.due(20 * SECOND) == []
    assert table.due_ns == 25 * SECOND
    assert table.due(25 * SECOND) == [open_hole]


def test_the_end_of_its_grace_comes_before_its_time_out_unless_it_is_kept() -> None:
    table, open_hole = PinholeTable(), hole(1)
    table.open(open_hole)
    table.close_at(open_hole, SECOND, "bye")
    table.keep(open_hole)
    assert table.due(SECOND) == []
    table.close_at(open_hole, 2 * SECOND, "bye")
    assert table.due(2 * SECOND) == [open_hole]


def test_a_pinhole_that_waits_twice_for_one_instant_is_due_once() -> None:
    table, one, other = PinholeTable(), hole(1), hole(2)
    table.open(one)
    table.open(other)
    for each in (one, other, one):
        table.close_at(each, SECOND, "bye")
        table.keep(each)
        table.close_at(each, SECOND, "bye")
    assert table.due_keys(SECOND).count(one.pinhole.key) > 1
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


def test_deadlines_of_what_was_closed_early_do_not_pile_up() -> None:
    table = PinholeTable()
    for port in range(1, 5000):
        short_lived = hole(port)
        table.open(short_lived)
        table.close(short_lived, 0, "bye")
    assert len(table._deadlines) < 1_100


def test_a_pinhole_of_an_instant_costs_the_same_however_many_there_are() -> None:
    """As in a capture whose frames all have one time."""
    table = PinholeTable()
    table.open(hole(1))
    deadline = table._last
    keys = deadline.keys
    for port in range(2, 100):
        table.open(hole(port))
    assert table._last is deadline
    assert deadline.keys is keys, "one list grows; it is not copied for each"
    assert len(keys) == 99
