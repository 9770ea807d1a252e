"""Streams put in order again, whatever the capture did to the segments; and bounded, whatever they are."""

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from firewall.net import tcp
from firewall.net.datagram import Packet, TcpHeader
from firewall.net.tcp import GAP_WAIT_NS, MAX_HELD_SEGMENTS, Chunk, End, StreamTable
from firewall.net.vantage import Vantage
from tests.net.packets import CALLER, PSAP, START_NS

HERE: Vantage = (0, None)
STREAM = bytes(range(256)) * 8
ISN = 2**32 - 700  # the numbers pass through nought in the middle


class Network:
    """Hands segments to a table and keeps what it tells."""

    def __init__(self, *, wanted: bool = True) -> None:
        self.table = StreamTable(lambda packet: wanted or packet.payload.startswith(b"SIP"))
        self.number = 0
        self.now_ns = START_NS

    def sends(
        self,
        at: int,
        data: bytes = b"",
        *,
        flags: str = "",
        acknowledges: int | None = None,
        back: bool = False,
        port: int = 1024,
        seen_on: Vantage = HERE,
    ) -> list[Chunk | End]:
        self.number += 1
        self.now_ns += 1_000_000
        header = TcpHeader(
            (ISN + at) % 2**32,
            None if acknowledges is None else (ISN + acknowledges) % 2**32,
            "S" in flags,
            "F" in flags,
            "R" in flags,
        )
        ends = (PSAP, 5060, CALLER, port) if back else (CALLER, port, PSAP, 5060)
        packet = Packet(*ends, data, "TCP", frame_number=self.number, tcp=header)
        return self.table.add(packet, seen_on, self.now_ns)


def delivered(told: list[Chunk | End]) -> bytes:
    return b"".join(each.data for each in told if isinstance(each, Chunk) and each.order != "late")


def orders(told: list[Chunk | End]) -> list[str]:
    return [each.order if isinstance(each, Chunk) else "end" for each in told]


def frames(told: list[Chunk | End]) -> list[int | None]:
    return [each.segment.packet.frame_number for each in told if isinstance(each, Chunk)]


def test_a_whole_connection_is_one_stream_from_syn_to_fin() -> None:
    net = Network()
    assert net.sends(-1, flags="S") == []
    told = net.sends(0, b"one") + net.sends(3, b"two") + net.sends(6, b"end", flags="F")
    assert (delivered(told), orders(told)) == (b"onetwoend", ["begin", "next", "next", "end"])


def test_segments_out_of_order_are_delivered_in_order_each_with_its_frame() -> None:
    net = Network()
    net.sends(-1, flags="S")
    assert net.sends(6, b"end") == []
    assert net.sends(3, b"two") == []
    told = net.sends(0, b"one")
    assert (delivered(told), frames(told), net.table.held_bytes) == (b"onetwoend", [4, 3, 2], 0)


def test_what_comes_again_is_not_delivered_again() -> None:
    net = Network()
    net.sends(-1, flags="S")
    told = net.sends(0, b"onetwo") + net.sends(-1, flags="S") + net.sends(0, b"one") + net.sends(3, b"twoend")
    assert delivered(told) == b"onetwoend"
    assert orders(told) == ["begin", "next"]


def test_of_bytes_that_overlap_the_first_count() -> None:
    net = Network()
    net.sends(-1, flags="S")
    net.sends(3, b"TWO")
    told = net.sends(0, b"onexx") + net.sends(6, b"end")
    assert delivered(told) == b"onexxOend"


def test_a_gap_that_the_other_side_has_acknowledged_is_the_captures_and_is_passed_at_once() -> None:
    net = Network()
    net.sends(-1, flags="S")
    told = net.sends(0, b"one") + net.sends(6, b"end")
    assert orders(told) == ["begin"]
    told = net.sends(0, acknowledges=3, back=True)
    assert told == []
    told = net.sends(0, acknowledges=9, back=True)
    assert [(each.order, each.missing_bytes, each.data) for each in told if isinstance(each, Chunk)] == [
        ("gap", 3, b"end")
    ]


def test_a_gap_is_waited_for_no_longer_than_a_second() -> None:
    net = Network()
    net.sends(-1, flags="S")
    assert net.sends(6, b"end") == []
    net.now_ns += GAP_WAIT_NS
    assert orders(net.sends(0, b"x", port=9)) == ["gap", "middle"]


def test_a_gap_is_waited_for_behind_no_more_than_so_many_segments() -> None:
    net = Network()
    net.sends(-1, flags="S")
    told = [each for number in range(MAX_HELD_SEGMENTS + 1) for each in net.sends(10 + number, b"x")]
    assert (orders(told)[0], len(told)) == ("gap", MAX_HELD_SEGMENTS + 1)


def test_a_part_of_a_gap_that_comes_after_all_is_told_as_late() -> None:
    net = Network()
    net.sends(-1, flags="S")
    net.sends(6, b"end")
    net.sends(0, acknowledges=9, back=True)
    told = net.sends(0, b"one") + net.sends(3, b"two") + net.sends(3, b"two")
    assert orders(told) == ["late", "late"]


def test_the_captures_end_gives_what_still_waits() -> None:
    net = Network()
    net.sends(-1, flags="S")
    net.sends(6, b"end")
    assert orders(net.table.finish()) == ["gap"]
    assert net.table.finish() == []


def test_a_reset_ends_both_directions_with_what_waits_in_them() -> None:
    net = Network()
    net.sends(-1, flags="S")
    net.sends(-1, flags="S", back=True)
    net.sends(6, b"end")
    assert orders(net.sends(0, flags="R", back=True)) == ["end", "gap", "end"]
    assert net.sends(0, flags="R") == []


def test_a_retransmission_after_the_end_begins_nothing() -> None:
    net = Network()
    told = net.sends(-1, flags="S") + net.sends(0, b"one", flags="F") + net.sends(0, b"one", flags="F")
    assert orders(told) == ["begin", "end"]


def test_the_same_syn_after_the_end_is_of_a_new_connection() -> None:
    """Simple senders begin each connection with the same number."""
    net = Network()
    told = net.sends(-1, flags="S") + net.sends(0, b"one", flags="F") + net.sends(-1, flags="S") + net.sends(0, b"two")
    assert (delivered(told), orders(told)) == (b"onetwo", ["begin", "end", "begin"])


def test_a_gap_that_is_sent_again_in_larger_segments_is_filled() -> None:
    net = Network()
    net.sends(-1, flags="S")
    told = net.sends(0, b"one") + net.sends(6, b"end") + net.sends(0, acknowledges=9, back=True)
    told = net.sends(0, b"onetwoend")
    assert [(each.order, each.data) for each in told if isinstance(each, Chunk)] == [("late", b"two")]


def test_what_came_before_the_first_segment_of_a_stream_without_its_syn_is_late() -> None:
    net = Network()
    told = net.sends(6, b"end") + net.sends(3, b"two") + net.sends(3, b"two") + net.sends(0, b"onetwo")
    assert orders(told) == ["middle", "late", "late"]
    assert [each.data for each in told if isinstance(each, Chunk)] == [b"end", b"two", b"one"]


def test_a_new_connection_of_the_same_ports_is_a_new_stream() -> None:
    net = Network()
    told = net.sends(-1, flags="S") + net.sends(0, b"one") + net.sends(10**9 - 1, flags="S") + net.sends(10**9, b"two")
    assert orders(told) == ["begin", "end", "begin"]
    assert orders(net.sends(5 * 10**8, b"three")) == ["end", "middle"]  # its SYN is not in the capture


def test_without_a_syn_a_stream_begins_at_the_first_segment_that_is_wanted() -> None:
    net = Network(wanted=False)
    told = net.sends(-1, flags="S") + net.sends(0, b"xyz") + net.sends(3, b"SIP/2.0") + net.sends(10, b" 200")
    assert (orders(told), delivered(told)) == (["middle", "next"], b"SIP/2.0 200")


def test_the_same_stream_seen_in_two_places_is_two_streams() -> None:
    net = Network()
    told = net.sends(0, b"one", seen_on=(1, False)) + net.sends(0, b"one", seen_on=(2, True))
    assert orders(told) == ["middle", "middle"]
    net.sends(6, b"end", seen_on=(1, False))
    assert orders(net.sends(0, acknowledges=9, back=True, seen_on=(1, True))) == ["gap"]


def test_the_table_forgets_the_stream_that_was_idle_longest() -> None:
    net = Network()
    tcp_streams = tcp.MAX_STREAMS
    tcp.MAX_STREAMS = 2
    try:
        told = [each for port in (1, 2, 1, 3) for each in net.sends(0, b"x", port=port)]
    finally:
        tcp.MAX_STREAMS = tcp_streams
    assert [each.stream[1] for each in told if isinstance(each, End)] == [2]
    assert len(net.table) == 2


def test_bytes_that_wait_behind_a_reset_go_with_the_stream() -> None:
    for forget in (True, False):
        net = Network()
        net.sends(0, b"x")
        assert orders(net.sends(1, flags="R")) == ["end"]
        assert net.sends(2, b"behind") == []
        told = net.table.forget((CALLER, 1024, PSAP, 5060, HERE)) if forget else net.sends(5_000, flags="S")
        assert (delivered(told), orders(told)) == (b"behind", ["gap", "end"])
        assert (net.table.held_bytes, net.table.finish()) == (0, [])


def test_all_streams_together_hold_no_more_than_so_much() -> None:
    net = Network()
    for port in range(1, 2000):
        net.sends(-1, flags="S", port=port)
        net.sends(100, bytes(60_000), port=port)
    assert net.table.held_bytes <= tcp.MAX_HELD_BYTES_IN_ALL


segments = st.lists(st.tuples(st.integers(0, len(STREAM)), st.integers(1, 300)), max_size=60)


@given(segments, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_cut_order_and_repetition_gives_the_stream(extra: list[tuple[int, int]], chance: random.Random) -> None:
    cuts = sorted({0, len(STREAM), *(at for at, _ in extra)})
    pieces = [(start, STREAM[start:end]) for start, end in pairwise(cuts)]
    pieces += [(at, STREAM[at : at + size]) for at, size in extra if STREAM[at : at + size]]
    chance.shuffle(pieces)
    net = Network()
    told = net.sends(-1, flags="S")
    for at, data in pieces:
        told += net.sends(at, data)
    assert delivered(told + net.table.finish()) == STREAM
    assert "gap" not in orders(told)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**32 - 1),
            st.binary(max_size=20),
            st.sampled_from(["", "S", "F", "R"]),
            st.booleans(),
            st.integers(0, 2**32 - 1),
            st.integers(1, 2),
        )
    )
)
@settings(max_examples=150)
def test_any_segments_at_all_are_taken(stream: list[tuple[int, bytes, str, bool, int, int]]) -> None:
    net = Network()
    for at, data, flags, back, acknowledges, port in stream:
        net.sends(at, data, flags=flags, back=back, acknowledges=acknowledges, port=port)
    net.table.finish()
    assert net.table.held_bytes == 0
