"""Media at rest handed on at once: whose packets, whose not, and that nothing is lost, counted twice or sent astray."""

import asyncio
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.live import testbed as live_testbed
from firewall.live.fast_path import FAST_MS, FastPath, render_fast_table
from firewall.live.flow_sets import element_of
from firewall.live.forwarding import ForwardingLink, survey
from firewall.live.sampling import REST_S, SETTLED_PACKETS
from tests.live.conftest import Namespaces
from tests.live.kernel_sets import HOUR_NS, Clock, Kernel, pinhole, send
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6

pytestmark = pytest.mark.netns

IP_RECVERR, IP_RECVTTL = 11, 12  # <linux/in.h>
BEGINNING = SETTLED_PACKETS + 1
PORT = 40_000


def rest(kernel: Kernel, flow: tuple[socket.socket, socket.socket], **changes: Any) -> None:
    """Have the flow's beginning seen, so that it rests."""
    kernel.open_fast_path()
    kernel.pinholes.change([pinhole(**changes)], [])
    send(flow, BEGINNING)
    asyncio.run(kernel.pinholes.count())


def counted(kernel: Kernel) -> int:
    return kernel.pinholes.read([pinhole().key])[0].packets


def ip(namespace: str, *arguments: str) -> str:
    command = ["ip", "netns", "exec", namespace, "ip", *arguments]
    return subprocess.run(command, text=True, capture_output=True, check=True).stdout


def test_a_flow_at_rest_is_handed_on_and_each_packet_counted_once(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(kernel, monkeypatch)
    rest(kernel, flow)
    assert (kernel.ways(), kernel.fast()) == (["accept"], {PORT: (PSAP, 0)})
    send(flow, 30)
    assert kernel.fast() == {PORT: (PSAP, 30)}
    assert counted(kernel) == BEGINNING + 30
    send(flow, 10)
    assert clock.sample(REST_S) == ["media_sample"]
    assert kernel.fast() == {}
    send(flow, 3)
    assert clock.sample() == ["accept"]
    assert kernel.fast() == {PORT: (PSAP, 0)}
    send(flow, 4)
    assert counted(kernel) == BEGINNING + 47
    assert kernel.pinholes.status().fast == 1
    assert kernel.pinholes.read([pinhole().key])[0].octets == (BEGINNING + 47) * 128
    kernel.pinholes.change([], [pinhole()])
    assert kernel.fast() == {}
    assert kernel.said == []


@pytest.mark.parametrize("changes", [{"verdict": "drop"}, {"inspect": "all"}])
def test_what_a_rule_decides_anew_is_handed_on_no_more(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], changes: dict[str, Any]
) -> None:
    rest(kernel, flow)
    kernel.pinholes.change([pinhole(**changes)], [])
    assert kernel.fast() == {}
    flow[0].sendto(bytes(100), (PSAP, PORT))
    assert counted(kernel) == BEGINNING + 1


def test_ipv6_is_handed_on_too(kernel: Kernel, testbed: Namespaces) -> None:
    kernel.open_fast_path()
    hole = Pinhole(PinholeKey("UDP", "carrier", CARRIER_V6, None, PSAP_V6, PORT), "rtp", "6", HOUR_NS)
    kernel.pinholes.change([hole], [])
    with udp_socket(testbed.carrier, CARRIER_V6, 49_170) as near, udp_socket(testbed.psap, PSAP_V6, PORT) as far:
        for number in range(BEGINNING + 5):
            near.sendto(bytes(100), (PSAP_V6, PORT))
            assert far.recv(200) == bytes(100)
            if number == BEGINNING - 1:
                asyncio.run(kernel.pinholes.count())
        assert kernel.fast(family=6) == {PORT: (PSAP_V6, 5)}
        near.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
        near.sendto(bytes(100), (PSAP_V6, PORT))
        near.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 64)
        near.sendto(bytes(3000), (PSAP_V6, PORT))
        assert far.recv(4000) == bytes(3000)
    assert kernel.fast(family=6) == {PORT: (PSAP_V6, 5)}


def test_a_packet_leaves_as_it_would_have_been_routed(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    near, far = flow
    far.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    far.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)

    def arrived() -> tuple[bytes, list[tuple[int, int, bytes]], Any]:
        near.sendto(b"voice", (PSAP, PORT))
        payload, told, _, source = far.recvmsg(200, 200)
        return payload, told, source

    kernel.open_fast_path()
    kernel.pinholes.change([pinhole()], [])
    routed = arrived()
    send(flow, BEGINNING)
    asyncio.run(kernel.pinholes.count())
    assert arrived() == routed
    assert kernel.fast() == {PORT: (PSAP, 1)}


def test_what_is_no_plain_whole_packet_goes_the_usual_way(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    near, far = flow
    near.sendto(bytes(3000), (PSAP, PORT))  # fragments
    assert far.recv(4000) == bytes(3000)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x07\x07\x04\0\0\0\0\0")  # record route
    send(flow, 1)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
    assert kernel.fast() == {PORT: (PSAP, 0)}
    assert counted(kernel) == BEGINNING + 2


def test_a_packet_whose_hops_end_here_is_answered_and_not_sent_on(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    near, far = flow
    near.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
    near.sendto(b"too far", (PSAP, PORT))
    near.settimeout(5)
    with pytest.raises(OSError, match="No route to host"):  # ICMP time exceeded
        near.recv(100)
    near.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 64)
    send(flow, 1)  # the next that arrives
    far.setblocking(False)
    with pytest.raises(BlockingIOError):
        far.recv(100)


def test_a_frame_for_somebody_else_or_another_vlan_is_not_forwarded(
    kernel: Kernel, testbed: Namespaces, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    ours = bytes.fromhex(ip(testbed.fw, "-br", "link", "show", "f0").split()[2].replace(":", ""))
    ipv4 = b"\x08\0"
    other = ours[:5] + bytes([ours[5] ^ 1])
    header = struct.pack("!BBHHHBBH", 0x45, 0, 32, 0, 0, 64, 17, 0) + socket.inet_aton(CARRIER) + socket.inet_aton(PSAP)
    total = sum(struct.unpack("!10H", header))
    header = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF) + header[12:]
    packet = header + struct.pack("!HHHH", 49_170, PORT, 8 + 4, 0)

    def frames() -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
        opened.bind(("c0", 0))
        return opened

    with live_testbed.in_namespace(testbed.carrier, frames) as raw:
        raw.send(other + ours + ipv4 + packet + b"lost")
        raw.send(ours + ours + b"\x81\0\0\x05" + ipv4 + packet + b"lost")
        raw.send(ours + ours + ipv4 + packet + b"mine")
    assert flow[1].recv(100) == b"mine"
    assert kernel.fast() == {PORT: (PSAP, 1)}


def test_flows_follow_the_routes(
    kernel: Kernel, testbed: Namespaces, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    send(flow, 5)
    ip(testbed.fw, "route", "add", f"{PSAP}/32", "via", "198.51.100.99", "dev", "f1")
    try:
        kernel.pinholes.follow_routes()
        assert kernel.fast() == {PORT: ("198.51.100.99", 0)}
        ip(testbed.fw, "route", "replace", "blackhole", f"{PSAP}/32")
        kernel.pinholes.follow_routes()
        assert kernel.fast() == {}
    finally:
        ip(testbed.fw, "route", "flush", "exact", f"{PSAP}/32")
    assert counted(kernel) == BEGINNING + 5
    asyncio.run(kernel.pinholes.count())


def test_where_many_peers_routes_would_be_asked_for_flows_wait_for_their_next_rest(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.pinholes._FOLLOWED_AT_ONCE", 0)
    rest(kernel, flow)
    send(flow, 5)
    kernel.pinholes.follow_routes()
    assert (kernel.fast(), kernel.ways()) == ({}, ["accept"])
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 10


def test_where_it_may_be_no_more_everything_goes_the_usual_way_and_is_counted(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    send(flow, 5)
    kernel.pinholes.use_fast_path((), "the nftables table is not alone")
    assert kernel.fast() == {}
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 10
    status = kernel.pinholes.status()
    assert (status.fast, status.no_fast_path) == (0, "the nftables table is not alone")


def test_without_its_table_a_flow_goes_the_usual_way_and_no_alarm_is_raised(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    kernel.pinholes.use_fast_path(live_testbed.in_namespace(kernel.namespace, survey).links, "")
    kernel.pinholes.change([pinhole()], [])
    send(flow, BEGINNING)
    asyncio.run(kernel.pinholes.count())
    assert kernel.ways() == ["accept"]
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 5
    status = kernel.pinholes.status()
    assert (status.fast, status.failed, kernel.said) == (0, 0, [])


def test_the_next_run_takes_over_what_was_counted(kernel: Kernel, flow: tuple[socket.socket, socket.socket]) -> None:
    rest(kernel, flow)
    send(flow, 7)
    second = kernel.again()
    try:
        second.recover(("carrier", "psap"))
        send(flow, 2)
        second.use_fast_path((), "")
        assert kernel.fast() == {}
        # What the killed run counted before the flow's element was last replaced is lost with it.
        assert second.read([pinhole().key])[0].packets == 9
    finally:
        second.close()


def test_without_a_daemon_a_flow_is_back_on_the_usual_way_within_seconds(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.pinholes.FAST_MS", 100)
    rest(kernel, flow)
    until_s = time.monotonic() + 10
    while kernel.fast() and time.monotonic() < until_s:
        pass
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 5
    assert kernel.ways() == ["accept"]
    assert FAST_MS <= 15_000


@pytest.fixture
def ways(testbed: Namespaces) -> Iterator[FastPath]:
    fast_path = live_testbed.in_namespace(testbed.fw, FastPath)
    fast_path.use(live_testbed.in_namespace(testbed.fw, survey).links)
    yield fast_path
    fast_path.close()


def test_only_what_is_routed_from_a_neighbour_to_a_neighbour_has_a_way(ways: FastPath, testbed: Namespaces) -> None:
    def way(src: str | None, dst: str, src_port: int | None = None) -> tuple[str, str] | None:
        found = ways.way(element_of(PinholeKey("UDP", None, src, src_port, dst, PORT)), src or "", dst)
        if found is None:
            return None
        family = socket.AF_INET6 if ":" in dst else socket.AF_INET
        return found.place.set_name[:5], socket.inet_ntop(family, found.next_hop)

    ip(testbed.fw, "route", "add", "203.0.113.128/25", "via", "198.51.100.10")
    try:
        assert way(CARRIER, PSAP) == ("fast4", PSAP)
        assert way(CARRIER_V6, PSAP_V6) == ("fast6", PSAP_V6)
        assert way(CARRIER, "203.0.113.200") == ("fast4", "198.51.100.10")
        assert way(CARRIER, PSAP, 49_170) is None
        assert way(None, PSAP) is None
        assert way(CARRIER, "198.51.100.1") is None  # this machine
        assert way("198.51.100.1", PSAP) is None
        assert way("233.252.0.1", PSAP) is None  # from nowhere
    finally:
        ip(testbed.fw, "route", "del", "203.0.113.128/25")
    ways.use(())
    assert way(CARRIER, PSAP) is None


def test_rules_lead_from_each_link_to_those_that_take_packets_as_long() -> None:
    near = ForwardingLink(2, "f0", 9000, (4, 6))
    far = ForwardingLink(3, "f1", 1500, (4,))
    script = render_fast_table((near, far), ("f0", "f1"))
    chains = script.split("chain ")[1:]
    assert [chain.count("fwd ip") for chain in chains] == [0, 1]
    assert 'map @fast4_2 device "f0"' in chains[1]
    assert "fast6_3" not in script
    assert [line.split("{")[0] for line in render_fast_table((near, far), ("f1",)).split("chain ")[1:]] == ["from_3 "]
