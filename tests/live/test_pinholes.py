"""Pinholes in the kernel's sets; nft is the witness of what is there."""

import asyncio
import errno
import socket
import time
from typing import Any

import pytest
from msgspec.structs import replace

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.nftables import render_ruleset
from firewall.live.sampling import REST_S, SAMPLE_EVERY_S, SETTLED_PACKETS
from tests.live.kernel_sets import HOUR_NS, Clock, Kernel, pinhole, send
from tests.live.sipp import CARRIER, PSAP
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import PSAP as PSAP_ZONE
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns


def test_an_open_pinhole_is_an_element_that_says_whose_it_is(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole(), pinhole(40_002, verdict="drop"), pinhole(40_004, inspect="first")], [])
    found = {each["key"][2]: each for each in kernel.elements()}
    assert found[40_000]["key"] == [CARRIER, PSAP, 40_000]
    assert found[40_000]["comment"] == "rtp carrier a%20b%22c@192.0.2.10"
    assert found[40_000]["timeout"] == 3600
    assert [found[port]["goto"] for port in (40_000, 40_002, 40_004)] == [
        "media_sample",
        "media_dropped",
        "media_first",
    ]
    kernel.pinholes.change([], [pinhole(), pinhole(40_002)])
    assert [each["key"][2] for each in kernel.elements()] == [40_004]
    assert kernel.pinholes.status().open == 1


def test_one_pinhole_with_another_verdict_takes_the_place_of_the_first(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole()], [])
    kernel.pinholes.change([pinhole(verdict="drop")], [])
    assert [each["goto"] for each in kernel.elements()] == ["media_dropped"]


def test_two_pinholes_that_are_one_to_the_kernel_close_with_the_last(kernel: Kernel) -> None:
    other = Pinhole(replace(pinhole().key, src_zone="psap"), "rtp", "2", HOUR_NS)
    kernel.pinholes.change([pinhole(), other], [])
    kernel.pinholes.change([], [pinhole()])
    assert len(kernel.elements()) == 1
    kernel.pinholes.change([], [other])
    assert kernel.elements() == []


def test_what_has_gone_by_itself_spoils_nothing(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole(), pinhole(40_002)], [])
    kernel.nft("flush", "set", "inet", "sosgate", "sample_media4")
    kernel.pinholes.change([pinhole(40_004)], [pinhole(), pinhole(40_002)])
    assert [each["key"][2] for each in kernel.elements()] == [40_004]
    assert kernel.said == []
    assert kernel.pinholes.status().failed == 0


def test_a_refusal_is_told_counted_and_ends_the_signs_of_life_until_it_works_again(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole()], [])
    kernel.nft("flush", "ruleset")
    kernel.pinholes.change([pinhole(40_002)], [])
    kernel.pinholes.change([pinhole(40_004), pinhole(40_008)], [])
    assert kernel.said == ["No such file or directory"] * 2
    assert kernel.pinholes.status().failed == 3
    kernel.nft("-f", "-", script=render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE)))
    kernel.pinholes.show_life()
    assert "ipv4" not in kernel.nft("list", "set", "inet", "sosgate", "daemon_alive")
    kernel.pinholes.change([pinhole(40_006)], [])
    kernel.pinholes.show_life()
    assert "ipv4" in kernel.nft("list", "set", "inet", "sosgate", "daemon_alive")


def test_what_the_kernel_has_no_room_for_elsewhere_stays_where_it_is_and_goes_on_counting(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(kernel, monkeypatch)
    kernel.nft("flush", "ruleset")
    rules = render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE))
    accepted = "map media4 { type ipv4_addr . ipv4_addr . inet_service : verdict; flags timeout; counter; "
    assert accepted in rules
    kernel.nft("-f", "-", script=rules.replace(accepted, accepted + "size 1; "))
    kernel.pinholes.change([pinhole(40_002)], [])
    for _ in range(SETTLED_PACKETS + 1):
        flow[0].sendto(bytes(100), (PSAP, 40_002))
    clock.count()
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    clock.count()
    assert kernel.ways() == ["media_sample", "accept"]
    assert kernel.said == ["Too many open files in system"]
    send(flow, 2)
    assert kernel.pinholes.read([pinhole().key])[0].packets == SETTLED_PACKETS + 3
    kernel.pinholes.change([], [pinhole(40_002)])
    send(flow, SETTLED_PACKETS + 1)
    for after_s, way in ((REST_S, "media_sample"), (SAMPLE_EVERY_S, "accept")):
        assert clock.sample(after_s) == [way]
        send(flow, 1)
    assert kernel.pinholes.read([pinhole().key])[0].packets == 2 * SETTLED_PACKETS + 6
    kernel.pinholes.change([], [pinhole()])
    assert kernel.elements() == []


def test_where_the_kernel_takes_no_change_at_all_what_it_has_is_known_all_the_same(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: bytes) -> None:
        raise OSError(errno.ENOBUFS, "")

    kernel.pinholes.change([pinhole()], [])
    send(flow, 2)
    with monkeypatch.context() as changed:
        changed.setattr(kernel.pinholes._changes, "send", refuse)
        kernel.pinholes.change([pinhole(verdict="drop")], [])
    assert kernel.pinholes.read([pinhole().key])[0].packets == 2
    kernel.pinholes.change([], [pinhole()])
    assert kernel.elements() == []


def test_a_thousand_at_once_are_opened_counted_and_taken_over(kernel: Kernel) -> None:
    many = [pinhole(port, call_id=f"{port}@192.0.2.10") for port in range(20_000, 21_000)]
    kernel.pinholes.change(many, [])
    assert len(kernel.elements()) == 1000
    second = kernel.again()
    try:
        assert set(second.recover(("carrier", "psap"))) == set(many)
        assert asyncio.run(second.count()) == ()
        second.change([], many)
        assert kernel.elements() == []
    finally:
        second.close()


def test_what_a_pinhole_costs_does_not_depend_on_how_many_are_open(kernel: Kernel) -> None:
    def cost_s() -> float:
        one = [pinhole(60_000)]
        began_s = time.process_time()
        for _ in range(50):
            kernel.pinholes.change(one, [])
            kernel.pinholes.change([], one)
        return time.process_time() - began_s

    alone_s = min(cost_s() for _ in range(3))
    kernel.pinholes.change([pinhole(port) for port in range(10_000, 20_000)], [])
    assert min(cost_s() for _ in range(3)) < 5 * alone_s  # where the kernel looks at all of them it is twenty times


def test_what_a_killed_run_left_is_known_again_in_every_set(kernel: Kernel) -> None:
    early = Pinhole(PinholeKey("UDP", "psap", None, None, CARRIER, 49_170), "rtcp", "1", HOUR_NS)
    exact = Pinhole(PinholeKey("UDP", None, "2001:db8:1::1", 4000, "2001:db8:2::1", 5000), "rtp", "2", HOUR_NS, "drop")
    kernel.pinholes.change([early, exact], [])
    second = kernel.again()
    try:
        assert set(second.recover(("carrier", "psap"))) == {early, exact}
    finally:
        second.close()


def test_what_was_refused_stays_counted_when_the_table_is_made_anew(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.show_life()
    flow[0].sendto(bytes(100), (PSAP, 40_000))
    kernel.count()
    assert kernel.pinholes.status().refused_packets == 1
    kernel.nft("flush", "ruleset")
    kernel.pinholes.change([pinhole()], [])
    kernel.pinholes.show_life()
    kernel.nft("-f", "-", script=render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE)))
    kernel.pinholes.restore()
    assert len(kernel.elements()) == 1
    kernel.pinholes.show_life()
    flow[0].sendto(bytes(100), (PSAP, 40_002))
    kernel.count()
    assert kernel.pinholes.status().refused_packets == 2


def test_packets_are_counted_through_every_change_of_their_element(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    one, count = pinhole(), kernel.pinholes.count
    kernel.pinholes.change([one], [])
    send(flow, 7)
    assert asyncio.run(count()) == (FlowCount(one.key, 7, 7 * 128),)
    assert asyncio.run(count()) == ()
    kernel.pinholes.change([pinhole(inspect="first")], [])
    send(flow, 3)
    assert kernel.pinholes.read([one.key]) == (FlowCount(one.key, 10, 10 * 128),)
    assert asyncio.run(count()) == ()
    send(flow, 1)
    assert asyncio.run(count()) == (FlowCount(one.key, 11, 11 * 128),)


@pytest.mark.parametrize("changes", [{"inspect": "first"}, {"verdict": "drop"}])
def test_what_came_since_the_last_count_is_counted_when_an_element_is_replaced(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], changes: dict[str, Any]
) -> None:
    others = [pinhole(port) for port in (40_002, 40_004)]
    kernel.pinholes.change([pinhole(), *others], [])
    send(flow, 7)
    kernel.pinholes.change([replace(each, **changes) for each in (*others, pinhole())], [])
    counts = kernel.pinholes.read([pinhole().key, others[0].key])
    assert [(each.packets, each.octets) for each in counts] == [(7, 7 * 128), (0, 0)]


def test_what_a_count_found_that_was_broken_off_is_told_by_the_next(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.change([pinhole(40_000 + number) for number in range(700)], [])

    async def break_off(parts: int) -> tuple[FlowCount, ...]:
        counting = asyncio.create_task(kernel.pinholes.count())
        for _ in range(parts):
            await asyncio.sleep(0)
        counting.cancel()
        await asyncio.gather(counting, return_exceptions=True)
        return await kernel.pinholes.count()

    for parts in range(1, 6):  # in which of them the flow is, the kernel's hash decides
        send(flow, 7)
        assert asyncio.run(break_off(parts)) == (FlowCount(pinhole().key, 7 * parts, 7 * 128 * parts),)


def test_flows_that_change_while_they_are_counted_are_counted_once(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    ports = range(40_000, 40_700)
    keys = [pinhole(port).key for port in ports]
    kernel.pinholes.change([pinhole(port) for port in ports], [])

    async def change_after(parts: int) -> None:
        counting = asyncio.create_task(kernel.pinholes.count())
        for _ in range(parts):
            await asyncio.sleep(0)
        kernel.pinholes.change([pinhole(port, inspect=("first", "sample")[parts % 2]) for port in ports], [])
        await counting

    for parts in range(1, 6):
        for port in ports:
            flow[0].sendto(bytes(100), (PSAP, port))
        asyncio.run(change_after(parts))
        assert {each.packets for each in kernel.pinholes.read(keys)} == {parts}


def test_the_count_goes_on_after_a_restart(kernel: Kernel, flow: tuple[socket.socket, socket.socket]) -> None:
    kernel.pinholes.change([pinhole()], [])
    send(flow, 4)
    second = kernel.again()
    try:
        second.recover(("carrier", "psap"))
        send(flow, 2)
        assert asyncio.run(second.count()) == (FlowCount(pinhole().key, 6, 6 * 128),)
    finally:
        second.close()


def test_refused_packets_are_counted_from_the_start_on(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.show_life()
    kernel.count()
    for _ in range(1000):
        flow[0].sendto(bytes(100), (PSAP, 40_000))
    kernel.count()
    assert kernel.pinholes.refused_packets == 1000


def test_elements_are_refreshed_long_before_the_kernel_would_remove_them(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel.pinholes.change([pinhole()], [])
    later_s = time.monotonic() + 1801
    monkeypatch.setattr("firewall.live.pinholes.time.monotonic", lambda: later_s)
    kernel.nft("flush", "map", "inet", "sosgate", "media4")
    asyncio.run(kernel.pinholes.count())
    assert len(kernel.elements()) == 1
