"""What is the second sight of a forwarded message, and what is a message of its own."""

import time

import pytest

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.frame import FrameDecoder
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2, vantage
from firewall.replay.copies import COPY_WINDOW_NS, Sightings
from tests.net.packets import START_NS, linux_sll, linux_sll2
from tests.replay.calls import forth, invite

PACKET = forth(invite())
MS = 1_000_000


def cooked2(at_ns: int, interface: int, *, outgoing: bool, packet: bytes = PACKET) -> CaptureRecord:
    frame = linux_sll2(packet, interface=interface, outgoing=outgoing)
    return CaptureRecord(1, START_NS + at_ns, LINUX_SLL2, frame, len(frame))


def cooked1(at_ns: int, *, outgoing: bool) -> CaptureRecord:
    frame = linux_sll(PACKET, outgoing=outgoing)
    return CaptureRecord(1, START_NS + at_ns, LINUX_SLL, frame, len(frame))


def plain(at_ns: int, interface_id: int, outgoing: bool | None = None) -> CaptureRecord:
    return CaptureRecord(1, START_NS + at_ns, 101, PACKET, len(PACKET), None, interface_id, outgoing)


def repeats(*records: CaptureRecord) -> list[bool]:
    sightings, decoder = Sightings(), FrameDecoder()
    told = []
    for record in records:
        datagram = decoder.decode(record)
        assert isinstance(datagram, Datagram)
        told.append(sightings.sight(datagram, vantage(record), record.timestamp_ns)[1])
    return told


def test_where_all_is_of_one_place_nothing_is_kept() -> None:
    sightings, datagram = Sightings(of_one_place=True), FrameDecoder().decode(plain(0, 0))
    assert isinstance(datagram, Datagram)
    assert [sightings.sight(datagram, (0, None), START_NS)[1] for _ in range(3)] == [False] * 3
    assert len(sightings) == 0


def test_a_forwarded_message_on_any_interface_is_seen_twice_and_is_one() -> None:
    assert repeats(cooked2(0, 2, outgoing=False), cooked2(MS, 3, outgoing=True)) == [False, True]
    assert repeats(cooked1(0, outgoing=False), cooked1(MS, outgoing=True)) == [False, True]


def test_a_one_armed_firewall_sends_out_where_it_came_in() -> None:
    assert repeats(cooked2(0, 2, outgoing=False), cooked2(MS, 2, outgoing=True)) == [False, True]


def test_a_forwarded_retransmission_is_decided_again_and_its_copy_is_not() -> None:
    told = repeats(
        cooked2(0, 2, outgoing=False),
        cooked2(MS, 3, outgoing=True),
        cooked2(500 * MS, 2, outgoing=False),
        cooked2(501 * MS, 3, outgoing=True),
    )
    assert told == [False, True, False, True]


def test_a_dropped_message_that_is_retransmitted_is_decided_each_time() -> None:
    assert repeats(*(cooked2(at * 100 * MS, 2, outgoing=False) for at in range(4))) == [False] * 4


def test_an_end_hosts_own_messages_go_out_only_and_are_decided() -> None:
    assert repeats(*(cooked2(at * 500 * MS, 2, outgoing=True) for at in range(3))) == [False] * 3
    assert repeats(*(cooked1(at * 500 * MS, outgoing=True) for at in range(3))) == [False] * 3


def test_bridges_and_their_ports_show_a_forwarded_message_four_times_and_each_retransmission_as_often() -> None:
    """As ``tcpdump -i any`` does on a firewall between two bridges, bonds or VLANs."""
    places = ((2, False), (5, False), (4, True), (3, True))
    sights = [
        cooked2(at * 500 * MS + number * MS, interface, outgoing=outgoing)
        for at in range(3)
        for number, (interface, outgoing) in enumerate(places)
    ]
    assert repeats(*sights) == [False, True, True, True] * 3


def test_an_end_host_on_a_bridge_shows_its_own_messages_twice() -> None:
    assert repeats(cooked2(0, 4, outgoing=True), cooked2(MS, 3, outgoing=True)) == [False, True]


@pytest.mark.parametrize("outgoing", [False, True])
def test_a_retransmission_that_takes_another_way_is_decided(outgoing: bool) -> None:
    told = repeats(cooked2(0, 2, outgoing=outgoing), cooked2(500 * MS, 3, outgoing=outgoing))
    assert told == [False, False]


def test_what_comes_back_on_another_interface_is_decided() -> None:
    assert repeats(cooked2(0, 2, outgoing=True), cooked2(MS, 3, outgoing=False)) == [False, False]


def test_more_than_a_second_later_it_is_another_message() -> None:
    late = COPY_WINDOW_NS + 1
    assert repeats(cooked2(0, 2, outgoing=False), cooked2(late, 3, outgoing=True)) == [False, False]
    assert repeats(plain(0, 0), plain(late, 1)) == [False, False]


def test_two_interfaces_without_direction_show_a_forwarded_message_twice() -> None:
    assert repeats(plain(0, 0), plain(MS, 1), plain(500 * MS, 0), plain(501 * MS, 1)) == [False, True, False, True]


def test_a_single_interface_never_shows_copies() -> None:
    assert repeats(*(plain(at * MS, 0) for at in range(5))) == [False] * 5


def test_the_directions_of_a_pcapng_are_obeyed() -> None:
    assert repeats(plain(0, 0, False), plain(MS, 1, True)) == [False, True]
    assert repeats(plain(0, 0, False), plain(200 * MS, 1, False)) == [False, False]
    assert repeats(plain(0, 0, True), plain(MS, 1, False)) == [False, False]


@pytest.mark.parametrize("other", [forth(invite("c2")), forth(invite(), 5062)])
def test_another_payload_or_port_is_another_message(other: bytes) -> None:
    assert repeats(cooked2(0, 2, outgoing=False), cooked2(MS, 3, outgoing=True, packet=other)) == [False, False]


def test_what_was_seen_is_forgotten_after_a_second() -> None:
    sightings, decoder = Sightings(), FrameDecoder()
    for number in range(1000):
        record = plain(number * 10 * MS, 0)
        datagram = decoder.decode(record)
        assert isinstance(datagram, Datagram)
        sightings.sight(datagram, vantage(record), record.timestamp_ns)
    assert len(sightings) <= 102


def test_a_clock_set_back_hides_no_copy_behind_what_was_seen_before() -> None:
    hour = 3_600_000 * MS
    told = repeats(plain(hour, 0), plain(0, 0), plain(MS, 1))
    assert told == [False, False, True]


def test_a_flood_of_one_datagram_on_one_of_two_interfaces_costs_no_more_than_linear_time() -> None:
    """Quadratic work would take some fifteen seconds."""
    sightings, decoder = Sightings(), FrameDecoder()
    datagram = decoder.decode(plain(0, 0))
    assert isinstance(datagram, Datagram)
    begun_s = time.process_time()
    told = [sightings.sight(datagram, (1 if at else 2, False), START_NS + at)[1] for at in range(15_000)]
    assert told.count(True) == 1  # of the first, which the other interface showed
    assert time.process_time() - begun_s < 3


@pytest.mark.parametrize(("outgoing", "later_ns"), [(True, 0), (False, 500 * MS)])
def test_one_datagram_on_thousands_of_interfaces_that_do_not_repeat_it_costs_no_more_than_linear_time(
    outgoing: bool, later_ns: int
) -> None:
    """Quadratic work would take some fifteen seconds."""
    sightings, datagram = Sightings(), FrameDecoder().decode(plain(0, 0))
    assert isinstance(datagram, Datagram)
    begun_s = time.process_time()
    told = [sightings.sight(datagram, (1, outgoing), START_NS)[1] for _ in range(8_000)]
    told += [sightings.sight(datagram, (2 + at, False), START_NS + later_ns)[1] for at in range(8_000)]
    assert told == [False] * 8_001 + [True] * 7_999
    assert time.process_time() - begun_s < 3


def test_one_datagram_on_thousands_of_interfaces_costs_no_more_than_linear_time() -> None:
    """As files put behind each other have them, one for each file. Quadratic work would take six seconds."""
    sightings, datagram = Sightings(), FrameDecoder().decode(plain(0, 0))
    assert isinstance(datagram, Datagram)
    begun_s = time.process_time()
    told = [sightings.sight(datagram, (at, None), START_NS)[1] for at in range(15_000)]
    assert told == [False] + [True] * 14_999
    assert time.process_time() - begun_s < 3


def test_what_was_seen_before_there_was_a_second_place_is_repeated_there() -> None:
    assert repeats(plain(0, 0), plain(MS, 0), plain(2 * MS, 1), plain(3 * MS, 1), plain(4 * MS, 1)) == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert repeats(plain(0, 0), plain(1001 * MS, 1)) == [False, False]
