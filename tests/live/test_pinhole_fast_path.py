"""Media at rest handed on at once: whose packets, whose not, and that nothing is lost, counted twice or sent astray."""

import asyncio
import socket
import struct
from typing import Any

import pytest

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.live import testbed as live_testbed
from firewall.live.forwarding import Forwarding, survey
from firewall.live.sampling import REST_S, SETTLED_PACKETS
from tests.live.conftest import Namespaces, machine_root
from tests.live.kernel_sets import HOUR_NS, Clock, Kernel, ip, pinhole, send
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6

pytestmark = [pytest.mark.netns, machine_root]

IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL = 10, 11, 12  # <linux/in.h>
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


def test_a_flow_at_rest_is_handed_on_and_each_packet_counted_once(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(kernel, monkeypatch)
    rest(kernel, flow)
    assert (kernel.ways(), kernel.fast()) == (["accept"], {PORT: (PSAP, 0)})
    send(flow, 30)
    assert kernel.fast() == {PORT: (PSAP, 30)}
    assert [each.packets for each in asyncio.run(kernel.pinholes.count())] == [BEGINNING + 30]
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
        assert kernel.fast() == {PORT: (PSAP_V6, 5)}
        near.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 1)
        near.sendto(bytes(100), (PSAP_V6, PORT))
        near.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, 64)
        near.sendto(bytes(3000), (PSAP_V6, PORT))
        assert far.recv(4000) == bytes(3000)
    assert kernel.fast() == {PORT: (PSAP_V6, 5)}


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
    kernel.pinholes.follow_routes()
    assert kernel.fast() == {PORT: (PSAP, 5)}  # nothing has changed
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


def test_so_many_flows_at_once_begin_to_rest_and_so_many_take_the_fast_path_again(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.pinholes._RENEWED_AT_ONCE", 2)
    monkeypatch.setattr("firewall.live.pinholes._FOLLOWED_AT_ONCE", 0)
    kernel.open_fast_path()
    ports = (PORT, PORT + 2, PORT + 4)
    kernel.pinholes.change([pinhole(port) for port in ports], [])
    for port in ports * BEGINNING:
        flow[0].sendto(bytes(100), (PSAP, port))

    def fast_after_count() -> int:
        asyncio.run(kernel.pinholes.count())
        return len(kernel.fast())

    assert [fast_after_count(), fast_after_count()] == [2, 3]
    kernel.pinholes.follow_routes()
    assert [len(kernel.fast()), fast_after_count(), fast_after_count()] == [0, 2, 3]


def test_where_it_may_be_no_more_everything_goes_the_usual_way_and_is_counted(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    send(flow, 5)
    kernel.pinholes.use_fast_path(Forwarding((), "somebody else looks at them"), None)
    assert kernel.fast() == {}
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 10
    status = kernel.pinholes.status()
    assert (status.fast, status.no_fast_path) == (0, "somebody else looks at them")


def test_a_flow_of_which_nothing_more_is_copied_is_handed_on_again_once_it_may(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow, inspect="first")
    kernel.pinholes.use_fast_path(Forwarding((), "somebody else looks at them"), None)
    asyncio.run(kernel.pinholes.count())
    assert kernel.fast() == {}
    kernel.open_fast_path()
    asyncio.run(kernel.pinholes.count())
    assert kernel.fast() == {PORT: (PSAP, 0)}


def test_what_the_kernel_has_no_room_for_goes_the_usual_way_and_no_alarm_is_raised(
    kernel: Kernel, flow: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.fast_path._FLOWS", 1)
    kernel.open_fast_path()
    kernel.pinholes.change([pinhole(), pinhole(40_002)], [])
    send(flow, BEGINNING)
    for _ in range(BEGINNING):
        flow[0].sendto(bytes(100), (PSAP, 40_002))
    asyncio.run(kernel.pinholes.count())
    assert (kernel.ways(), len(kernel.fast())) == (["accept", "accept"], 1)
    send(flow, 5)
    assert counted(kernel) == BEGINNING + 5
    assert (kernel.pinholes.status().failed, kernel.said) == (0, [])


def test_what_the_next_link_does_not_take_whole_goes_the_usual_way(
    kernel: Kernel, testbed: Namespaces, flow: tuple[socket.socket, socket.socket]
) -> None:
    ip(testbed.fw, "link", "set", "f1", "mtu", "1400")
    try:
        rest(kernel, flow)
        flow[0].setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, 0)  # it may be fragmented on the way
        for size in (1372, 1373):
            flow[0].sendto(bytes(size), (PSAP, PORT))
            assert flow[1].recv(2000) == bytes(size)
        assert kernel.fast() == {PORT: (PSAP, 1)}
    finally:
        ip(testbed.fw, "link", "set", "f1", "mtu", "1500")


def test_packets_that_come_in_by_an_interface_of_no_zone_are_routed(
    kernel: Kernel, testbed: Namespaces, flow: tuple[socket.socket, socket.socket]
) -> None:
    rest(kernel, flow)
    live_testbed.in_namespace(
        testbed.fw, lambda: kernel.pinholes.use_fast_path(survey(our_programs=kernel.pinholes.fast_programs()), ("f1",))
    )
    kernel.pinholes.change([], [pinhole()])
    kernel.pinholes.change([pinhole()], [])
    send(flow, BEGINNING)
    asyncio.run(kernel.pinholes.count())
    send(flow, 5)
    assert kernel.fast() == {PORT: (PSAP, 0)}
