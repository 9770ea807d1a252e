"""Changes of the way that packets take: each kind wakes who listens."""

import os
import select
import socket
import subprocess
from pathlib import Path

import pytest

from firewall.live.route_changes import RouteChanges
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.netns

WITHIN_S = 10.0


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
