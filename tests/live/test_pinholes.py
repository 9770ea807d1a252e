"""Pinholes in the kernel's sets; nft is the witness of what is there."""

import asyncio
import errno
import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live import testbed as live_testbed
from firewall.live.flow_sets import ACCEPT, COPYING, kernel_set
from firewall.live.nftables import render_ruleset
from firewall.live.pinholes import Pinholes
from firewall.live.sampling import REST_S, SAMPLE_EVERY_S, SETTLED_PACKETS
from tests.live.conftest import Namespaces
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, PSAP
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import PSAP as PSAP_ZONE
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns

HOUR_NS = 3_600 * 10**9


def pinhole(port: int = 40_000, **changes: Any) -> Pinhole:
    key = PinholeKey("UDP", "carrier", CARRIER, None, PSAP, port)
    return Pinhole(key, "rtp", changes.pop("call_id", 'a b"c@192.0.2.10'), HOUR_NS, **changes)


@dataclass
class Kernel:
    """A namespace with the table in it, and the pinholes there."""

    namespace: str
    said: list[str]
    pinholes: Pinholes

    def nft(self, *arguments: str, script: str = "") -> str:
        command = ["ip", "netns", "exec", self.namespace, "nft", *arguments]
        return subprocess.run(command, input=script, text=True, capture_output=True, check=True).stdout

    def elements(self, name: str = "media4") -> list[dict[str, Any]]:
        """Every element of a set, wherever its packets go."""
        found = []
        for chain in (ACCEPT, *COPYING):
            kind = "map" if chain == ACCEPT else "set"
            listed = json.loads(self.nft("-j", "list", kind, "inet", "sosgate", kernel_set(name, chain)))["nftables"]
            for each in next(part[kind] for part in listed if kind in part).get("elem", []):
                element = (each[0] if kind == "map" else each)["elem"]
                found.append({"key": element["val"]["concat"], "goto": chain, **element})
        return found

    def ways(self) -> list[str]:
        """Where packets of each element go, by port."""
        return [each["goto"] for each in sorted(self.elements(), key=lambda each: each["key"][2])]

    def again(self) -> Pinholes:
        """What a daemon that starts anew has."""
        return live_testbed.in_namespace(self.namespace, lambda: Pinholes(self.said.append))


@pytest.fixture
def kernel(testbed: Namespaces) -> Iterator[Kernel]:
    said: list[str] = []
    pinholes = live_testbed.in_namespace(testbed.fw, lambda: Pinholes(said.append))
    kernel = Kernel(testbed.fw, said, pinholes)
    kernel.nft("-f", "-", script=render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE)))
    try:
        yield kernel
    finally:
        kernel.nft("-f", "-", script="table inet sosgate\ndelete table inet sosgate\n")
        pinholes.close()


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


def test_a_refusal_is_said_once_counted_and_ends_the_signs_of_life_until_it_works_again(kernel: Kernel) -> None:
    kernel.pinholes.change([pinhole()], [])
    kernel.nft("flush", "ruleset")
    kernel.pinholes.change([pinhole(40_002)], [])
    kernel.pinholes.change([pinhole(40_004)], [])
    assert kernel.said == [
        "ALARM pinholes: the kernel refuses a change of the sets of media: No such file or directory"
    ]
    assert kernel.pinholes.status().failed == 2
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
    assert kernel.said == [
        "ALARM pinholes: the kernel refuses a change of the sets of media: Too many open files in system"
    ]
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


@pytest.fixture
def flow(testbed: Namespaces) -> Iterator[tuple[socket.socket, socket.socket]]:
    with udp_socket(testbed.carrier, CARRIER, 49_170) as sender, udp_socket(testbed.psap, PSAP, 40_000) as receiver:
        yield sender, receiver


def send(flow: tuple[socket.socket, socket.socket], count: int) -> None:
    for _ in range(count):
        flow[0].sendto(bytes(100), (PSAP, 40_000))
        flow[1].recv(200)


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


class Clock:
    """The daemon's clock, and what it does by it."""

    def __init__(self, kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
        self._kernel = kernel
        self._now_s = time.monotonic()
        monkeypatch.setattr("firewall.live.pinholes.time.monotonic", lambda: self._now_s)

    def count(self) -> str:
        """Let a second pass; return where packets of the first pinhole go then."""
        self._now_s += 1
        asyncio.run(self._kernel.pinholes.count())
        return self._kernel.ways()[0]

    def sample(self, after_s: float = SAMPLE_EVERY_S) -> list[str]:
        """Let a time pass; return where packets go then, by port."""
        self._now_s += after_s
        self._kernel.pinholes.sample()
        return self._kernel.ways()


def test_packets_of_a_long_flow_are_copied_again_for_a_moment_every_few_seconds(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
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
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
    assert [clock.sample(REST_S) for _ in range(3)] == [["media_sample"]] * 3
    send(flow, SETTLED_PACKETS)
    assert clock.count() == "media_sample"
    send(flow, 1)
    assert clock.count() == "accept"


@pytest.mark.parametrize("changes", [{"inspect": "all"}, {"verdict": "drop"}, {"inspect": "first"}])
def test_what_is_decided_anew_while_packets_are_copied_is_looked_at_anew(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
    assert clock.sample(REST_S) == ["media_sample"]
    send(flow, 1)
    clock.sample(0.01)
    kernel.pinholes.change([pinhole(**changes)], [])
    (way,) = kernel.ways()
    assert [clock.sample(REST_S) for _ in range(2)] == [[way]] * 2


def test_a_flow_that_is_watched_does_not_rest_until_its_time_is_over(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole()], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
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
    clock = Clock(kernel, monkeypatch)
    kernel.pinholes.change([pinhole(inspect="first")], [])
    send(flow, SETTLED_PACKETS + 1)
    assert clock.count() == "accept"
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
    asyncio.run(kernel.pinholes.count())
    for _ in range(1000):
        flow[0].sendto(bytes(100), (PSAP, 40_000))
    asyncio.run(kernel.pinholes.count())
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
