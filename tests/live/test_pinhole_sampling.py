"""Which way packets go in the kernel while their flow is copied, rests and is copied again; test_sampling.py has whose
turn it is."""

import asyncio
import socket
from typing import Any

import pytest

from firewall.engine.pinhole import FlowCount
from firewall.live.sampling import REST_S, SAMPLE_EVERY_S, SETTLED_PACKETS
from tests.live.kernel_sets import Clock, Kernel, pinhole, send
from tests.live.sipp import PSAP

pytestmark = pytest.mark.netns


def at_rest(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> Clock:
    """Have a flow's beginning seen, so that it rests; return the daemon's clock."""
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole(**changes)], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
    return clock


def test_a_flow_whose_first_packets_were_copied_takes_the_short_way_and_no_packet_goes_uncounted(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.change([pinhole()], [])
    ways = []
    for _ in range(3):
        send(flow, SETTLED_PACKETS)
        asyncio.run(kernel.pinholes.count())
        ways += kernel.ways()
    assert ways == ["media_sample", "accept", "accept"]
    assert kernel.pinholes.read([pinhole().key])[0].packets == 3 * SETTLED_PACKETS
    second = kernel.again()
    try:
        assert second.recover(("carrier", "psap")) == (pinhole(),)
    finally:
        second.close()


def test_packets_of_a_long_flow_are_copied_again_for_a_moment_every_few_seconds(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = at_rest(kernel, flow, monkeypatch)
    assert clock.sample(REST_S - 0.1) == ["accept"]
    send(flow, 3)
    for _ in range(2):
        assert clock.sample(REST_S) == ["media_sample"]
        send(flow, 1)
        assert clock.sample() == ["accept"]
        send(flow, 3)
    assert asyncio.run(kernel.pinholes.count()) == (FlowCount(pinhole().key, 32, 32 * 128),)
    assert asyncio.run(kernel.pinholes.count()) == ()


def test_a_flow_that_is_silent_when_its_turn_comes_waits_where_packets_are_copied(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = at_rest(kernel, flow, monkeypatch)
    assert [clock.sample(REST_S) for _ in range(3)] == [["media_sample"]] * 3
    send(flow, SETTLED_PACKETS)
    assert clock.count() == "media_sample"
    send(flow, 1)
    assert clock.count() == "accept"


@pytest.mark.parametrize("changes", [{"inspect": "all"}, {"verdict": "drop"}, {"inspect": "first"}])
def test_what_is_decided_anew_while_packets_are_copied_is_looked_at_anew(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    clock = at_rest(kernel, flow, monkeypatch)
    assert clock.sample(REST_S) == ["media_sample"]
    send(flow, 1)
    clock.sample(0.01)
    kernel.pinholes.change([pinhole(**changes)], [])
    (way,) = kernel.ways()
    assert [clock.sample(REST_S) for _ in range(2)] == [[way]] * 2


def test_a_flow_that_is_watched_does_not_rest_until_its_time_is_over(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = at_rest(kernel, flow, monkeypatch)
    for _ in range(2):
        kernel.pinholes.change([pinhole(call_id="2", watched_ns=4 * 10**9)], [])
        kernel.pinholes.change([pinhole(call_id="3")], [])
        ways = []
        for _ in range(4):
            send(flow, SETTLED_PACKETS + 1)
            ways.append(clock.count())
        assert ways == ["media_sample", "media_sample", "media_sample", "accept"]
    assert kernel.pinholes.read([pinhole().key])[0].packets == 9 * (SETTLED_PACKETS + 1)


def test_of_the_first_packets_alone_none_are_copied_again(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = at_rest(kernel, flow, monkeypatch, inspect="first")
    assert clock.sample(10 * REST_S) == ["accept"]


def test_of_many_flows_those_are_copied_again_first_that_have_rested_longest(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def sample(after_s: float) -> list[str]:
        for port in (40_000, 40_002, 40_004):
            flow[0].sendto(bytes(100), (PSAP, port))
        return clock.sample(after_s)

    monkeypatch.setattr("firewall.live.sampling.SAMPLED_AT_ONCE", 1)
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole(port) for port in (40_000, 40_002, 40_004)], [])
    for _ in range(SETTLED_PACKETS + 1):
        sample(0)
    assert clock.count() == "accept"
    kernel.pinholes.change([], [pinhole(40_004)])  # what is closed takes nobody's turn
    seen = [sample(REST_S)] + [sample(SAMPLE_EVERY_S) for _ in range(2)]
    assert sorted(seen[:2]) == [["accept", "media_sample"], ["media_sample", "accept"]]
    assert seen[2] == ["accept", "accept"]
    assert sample(REST_S) == seen[0]


def test_what_was_accepted_when_a_run_was_killed_is_looked_at_by_the_next_at_once(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    asyncio.run(kernel.pinholes.count())
    assert kernel.ways() == ["accept"]
    second = kernel.again()
    try:
        second.recover(("carrier", "psap"))
        second.sample()
        assert kernel.ways() == ["media_sample"]
    finally:
        second.close()
