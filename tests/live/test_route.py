"""The route lookup, against the kernel's own words."""

import os
import resource
import select
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firewall.errors import MachineError
from firewall.live.links import interface_names
from firewall.live.route import RouteChanges, RouteLookup
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.netns

WITHIN_S = 10.0


def ask(namespace: str, *addresses: str) -> list[str | None]:
    def lookup() -> list[str | None]:
        routes, names = RouteLookup(), interface_names()
        found = [names.get(routes.interface_toward(address)) for address in addresses]
        routes.forget()
        assert found == [names.get(routes.interface_toward(address)) for address in addresses]
        routes.close()
        return found

    question: Callable[[], list[str | None]] = lookup
    return in_namespace(namespace, question)


def test_each_peer_is_behind_the_interface_that_leads_to_it(testbed: Namespaces) -> None:
    addresses = ("192.0.2.10", "198.51.100.10", "2001:db8:1::10", "2001:db8:2::99", "203.0.113.66", "127.0.0.1")
    assert ask(testbed.fw, *addresses) == ["f0", "f1", "f0", "f1", "f0", "lo"]


def test_where_no_route_leads_no_interface_is_named(testbed: Namespaces) -> None:
    assert ask(testbed.fw, "233.252.0.99", "2001:db8:ffff::1", "192.0.2.10") == [None, None, "f0"]


def test_where_no_descriptor_is_left_the_machine_is_to_blame() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(MachineError, match="Too many open files"):
            RouteLookup()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def next_hops(namespace: str, *addresses: str) -> list[tuple[str, str] | None]:
    def lookup() -> list[tuple[str, str] | None]:
        routes, names = RouteLookup(), interface_names()
        found = [routes.next_hop(address) for address in addresses]
        assert found == [routes.next_hop(address) for address in addresses]
        assert all(
            hop is None or routes.interface_toward(address) == hop.interface
            for hop, address in zip(found, addresses, strict=True)
        )
        routes.close()
        return [hop and (names[hop.interface], hop.address) for hop in found]

    return in_namespace(namespace, lookup)


@pytest.fixture
def route(testbed: Namespaces) -> Iterator[Callable[[str], None]]:
    """Adds a route in the testbed's firewall, and takes it away again."""
    added: list[str] = []

    def add(words: str) -> None:
        _ip(testbed.fw, "route add " + words)
        added.append(words.removeprefix("blackhole ").removeprefix("unreachable ").split()[0])

    yield add
    for destination in added:
        _ip(testbed.fw, "route del " + destination)


def _ip(namespace: str, words: str) -> None:
    subprocess.run(["ip", "-n", namespace, *words.split()], check=True)


def test_what_was_answered_is_known_until_it_is_forgotten(testbed: Namespaces, route: Callable[[str], None]) -> None:
    address = "203.0.113.77"
    routes = in_namespace(testbed.fw, RouteLookup)
    before = routes.interface_toward(address), routes.next_hop(address)
    assert all(before)
    route(f"blackhole {address}/32")
    assert (routes.interface_toward(address), routes.next_hop(address)) == before
    routes.forget()
    assert (routes.interface_toward(address), routes.next_hop(address)) == (0, None)
    routes.close()


def test_who_is_on_the_link_is_the_next_hop(testbed: Namespaces) -> None:
    on_link = {"192.0.2.10": "f0", "198.51.100.10": "f1", "203.0.113.66": "f0", "2001:db8:2::10": "f1"}
    assert next_hops(testbed.fw, *on_link) == [(name, address) for address, name in on_link.items()]


def test_a_gateway_is_the_next_hop(testbed: Namespaces, route: Callable[[str], None]) -> None:
    route("203.0.113.128/25 via 198.51.100.10")
    route("2001:db8:7::/64 via 2001:db8:2::10")
    route("2001:db8:8::/64 via fe80::7 dev f0")
    assert next_hops(testbed.fw, "203.0.113.200", "203.0.113.2", "2001:db8:7::9", "2001:db8:8::9") == [
        ("f1", "198.51.100.10"),
        ("f0", "203.0.113.2"),
        ("f1", "2001:db8:2::10"),
        ("f0", "fe80::7"),
    ]


def test_a_route_for_some_sources_only_is_theirs(testbed: Namespaces) -> None:
    _ip(testbed.fw, "route add 2001:db8:7::/64 via 2001:db8:2::10")
    _ip(testbed.fw, "route add 2001:db8:7::9 from 2001:db8:1::/64 via 2001:db8:1::99")
    _ip(testbed.fw, "route add blackhole 2001:db8:7::9 from 2001:db8:3::/64")

    def lookup() -> list[str | None]:
        routes = RouteLookup()
        sources = ("2001:db8:1::10", "2001:db8:3::10", "2001:db8:4::10", "")
        found = [routes.next_hop("2001:db8:7::9", source) for source in sources]
        assert routes.next_hop("192.0.2.10", "198.51.100.10") == routes.next_hop("192.0.2.10")
        routes.close()
        return [hop and hop.address for hop in found]

    try:
        assert in_namespace(testbed.fw, lookup) == ["2001:db8:1::99", None, "2001:db8:2::10", "2001:db8:2::10"]
    finally:
        for added in ("::/64", "::9 from 2001:db8:1::/64", "::9 from 2001:db8:3::/64"):
            _ip(testbed.fw, "route del 2001:db8:7" + added)


def test_a_next_hop_that_routes_share_counts_as_any(testbed: Namespaces) -> None:
    _ip(testbed.fw, "nexthop add id 7 via 198.51.100.10 dev f1")
    _ip(testbed.fw, "nexthop add id 8 via 192.0.2.10 dev f0")
    _ip(testbed.fw, "nexthop add id 9 group 7/8")
    try:
        _ip(testbed.fw, "route add 203.0.113.128/26 nhid 7")
        _ip(testbed.fw, "route add 203.0.113.192/26 nhid 9")
        assert next_hops(testbed.fw, "203.0.113.130", "203.0.113.200") == [("f1", "198.51.100.10"), None]
    finally:
        for number in (9, 8, 7):
            _ip(testbed.fw, f"nexthop del id {number}")  # its routes go with it


@pytest.mark.parametrize(
    "words",
    [
        "blackhole 203.0.113.128/25",
        "unreachable 203.0.113.128/25",
        "203.0.113.128/25 nexthop via 192.0.2.10 nexthop via 198.51.100.10",
        "203.0.113.128/25 via 192.0.2.10 mtu 1400",
        "203.0.113.128/25 via 192.0.2.10 mtu lock 1400",
        "203.0.113.128/25 via inet6 2001:db8:1::10",
        "203.0.113.128/25 encap seg6 mode encap segs 2001:db8:1::10 dev f0",
        "blackhole 2001:db8:7::/64",
        "unreachable 2001:db8:7::/64",
        "2001:db8:7::/64 nexthop via 2001:db8:1::10 nexthop via 2001:db8:2::10",
        "2001:db8:7::/64 via 2001:db8:1::10 mtu 1300",
        "2001:db8:7::/64 encap seg6 mode inline segs 2001:db8:1::10 dev f0",
    ],
)
def test_where_more_is_done_than_to_hand_on_there_is_no_next_hop(
    testbed: Namespaces, route: Callable[[str], None], words: str
) -> None:
    route(words)
    assert next_hops(testbed.fw, "203.0.113.200" if "203.0.113" in words else "2001:db8:7::9") == [None]


def test_there_is_no_next_hop_to_oneself_to_many_or_to_what_is_no_address(testbed: Namespaces) -> None:
    addresses = ("192.0.2.1", "2001:db8:1::1", "127.0.0.1", "192.0.2.255", "233.252.0.9", "255.255.255.255")
    assert next_hops(testbed.fw, *addresses, "ff05::9", "example.org", "2001:db8::/32", "", "fe80::1%f0") == [None] * 11


def test_a_path_on_which_the_kernel_has_learned_an_mtu_has_no_next_hop(testbed: Namespaces) -> None:
    addresses = ("203.0.113.77", "203.0.113.78")
    in_namespace(testbed.carrier, lambda: say_too_big(addresses[0]))
    try:
        assert next_hops(testbed.fw, *addresses) == [None, ("f0", addresses[1])]
    finally:
        _ip(testbed.fw, "route flush cache")
    assert next_hops(testbed.fw, *addresses) == [("f0", address) for address in addresses]


def say_too_big(destination: str) -> None:
    """Tell the firewall that its answer to a ping was too big (RFC 1191 §4), as a router on the path would."""
    addresses = socket.inet_aton("192.0.2.1") + socket.inet_aton(destination)
    sent = struct.pack(">BBHHHBBH", 0x45, 0, 1500, 7, 0x4000, 64, socket.IPPROTO_ICMP, 0) + addresses + bytes(8)
    body = struct.pack(">HH", 0, 1000) + sent
    head = struct.pack(">BBH", 3, 4, 0)
    total = sum(struct.unpack(f">{len(head + body) // 2}H", head + body))
    total = (total & 0xFFFF) + (total >> 16)
    checksum = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
        raw.sendto(struct.pack(">BBH", 3, 4, checksum) + body, ("192.0.2.1", 0))


def run(command: str) -> None:
    """Run it in the namespace of the calling thread."""
    subprocess.run(["sh", "-ec", command], check=True)


def woken(changes: RouteChanges) -> bool:
    readable, _, _ = select.select([changes], [], [], WITHIN_S)
    return bool(readable) and changes.drain()


@pytest.mark.parametrize(
    ("make", "undo"),
    [
        ("ip link set f0 mtu 1400", "ip link set f0 mtu 1500"),
        ("ip link add x0 type veth peer name x1", "ip link del x0"),
        ("ip addr add 203.0.113.1/32 dev lo", "ip addr del 203.0.113.1/32 dev lo"),
        ("ip addr add 2001:db8:7::1/128 dev lo", "ip addr del 2001:db8:7::1/128 dev lo"),
        ("ip route add 203.0.113.128/25 via 192.0.2.10", "ip route del 203.0.113.128/25"),
        ("ip route add 2001:db8:7::/64 via 2001:db8:1::10", "ip route del 2001:db8:7::/64"),
        ("ip rule add priority 100 lookup 7", "ip rule del priority 100"),
        ("ip -6 rule add priority 100 lookup 7", "ip -6 rule del priority 100"),
        ("ip nexthop add id 7 via 192.0.2.10 dev f0", "ip nexthop del id 7"),
        *[
            (f"echo {value} > /proc/sys/net/{name}", f"echo {before} > /proc/sys/net/{name}")
            for name, value, before in (
                ("ipv4/conf/f0/forwarding", 0, 1),
                ("ipv4/conf/all/rp_filter", 1, 0),
                ("ipv6/conf/f0/forwarding", 0, 1),
            )
        ],
    ],
)
def test_each_kind_of_change_wakes(testbed: Namespaces, make: str, undo: str) -> None:
    def listen() -> None:
        changes = RouteChanges()
        try:
            assert not changes.drain()
            run(make)
            try:
                assert woken(changes)
            finally:
                run(undo)
            assert woken(changes)
        finally:
            changes.close()

    in_namespace(testbed.fw, listen)


def test_changes_of_which_the_kernel_had_to_drop_some_are_a_change(testbed: Namespaces) -> None:
    def listen() -> None:
        changes = RouteChanges()
        with socket.socket(fileno=os.dup(changes.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        try:
            for _ in range(8):
                run("ip rule add priority 100 lookup 7; ip rule del priority 100")
            assert dropped(changes) > 0
            assert woken(changes)
            assert not changes.drain()
            run("ip rule add priority 100 lookup 7; ip rule del priority 100")
            assert woken(changes)
        finally:
            changes.close()

    in_namespace(testbed.fw, listen)


def dropped(changes: RouteChanges) -> int:
    """Return how many messages the kernel dropped, as /proc/net/netlink says."""
    inode = str(os.fstat(changes.fileno()).st_ino)
    lines = [line.split() for line in Path("/proc/thread-self/net/netlink").read_text().splitlines()]
    (drops,) = (int(line[-2]) for line in lines if line[-1] == inode)
    return drops
