"""What is in the way of handing packets on, each made in the kernel, seen, taken away again, and seen to be gone."""

import ctypes
import errno
import os
import socket
import subprocess
from pathlib import Path

import pytest
from pyroute2 import netns

from firewall.live import obstacles
from firewall.live.forwarding import OUR_TABLES
from firewall.live.netlink import answered
from firewall.live.routing import remove_routes, set_up_routes
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.netns


def in_the_way(namespace: str) -> str:
    return in_namespace(namespace, lambda: obstacles.obstacle(OUR_TABLES))


def run(namespace: str, command: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, "sh", "-ec", command], check=True)


def made_and_undone(namespace: str, make: str, undo: str) -> str:
    """Return what is in the way while something is there; nothing is before and after."""
    assert in_the_way(namespace) == ""
    run(namespace, make)
    try:
        return in_the_way(namespace)
    finally:
        run(namespace, undo)
        assert in_the_way(namespace) == ""


def chain(table: str, kind: str) -> str:
    return f"nft 'table {table} {{ chain c {{ type {kind}; }}; }}'"


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        *[
            (f"{family} other", f"{hook} priority 7")
            for family in ("ip", "ip6", "inet")
            for hook in ("filter hook prerouting", "filter hook forward", "filter hook postrouting")
        ],
        ("ip other", "nat hook prerouting priority dstnat"),
        ("ip6 other", "nat hook postrouting priority srcnat"),
        ("inet other", 'filter hook ingress device "f0" priority 7'),
        ("netdev other", 'filter hook ingress device "f1" priority 7'),
        ("netdev other", 'filter hook egress device "f1" priority 7'),
        ("ip sosgate", "filter hook forward priority 7"),
    ],
)
def test_a_chain_of_others_that_forwarded_packets_pass_is_in_the_way(
    testbed: Namespaces, table: str, kind: str
) -> None:
    found = made_and_undone(testbed.fw, chain(table, kind), f"nft delete table {table}")
    assert found == f'the nftables table "{table}" looks at forwarded packets, too'


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("ip other", "filter hook input priority 7"),
        ("inet other", "filter hook output priority 7"),
        ("ip6 other", "route hook output priority 7"),
        ("arp other", "filter hook input priority 7"),
        ("bridge other", "filter hook forward priority 7"),
        ("inet sosgate", "filter hook prerouting priority 7"),
    ],
)
def test_a_chain_that_no_forwarded_packet_passes_or_that_is_ours_is_not(
    testbed: Namespaces, table: str, kind: str
) -> None:
    assert made_and_undone(testbed.fw, chain(table, kind), f"nft delete table {table}") == ""


def test_a_chain_that_nothing_leads_to_is_not(testbed: Namespaces) -> None:
    assert made_and_undone(testbed.fw, "nft 'table ip other { chain c { }; }'", "nft delete table ip other") == ""


def test_the_chain_behind_a_thousand_others_is_seen(testbed: Namespaces) -> None:
    many = " ".join(f"chain a_rather_long_name_of_a_chain_{number} {{ }};" for number in range(1000))
    make = f"nft 'table ip other {{ {many} chain z {{ type filter hook forward priority 7; }}; }}'"
    assert '"ip other"' in made_and_undone(testbed.fw, make, "nft delete table ip other")


@pytest.mark.parametrize(
    ("family", "rule"),
    [
        ("-4", "priority 100 from 192.0.2.0/24 lookup 7"),
        ("-6", "priority 101 to 2001:db8::/32 lookup 7"),
        ("-4", "priority 102 lookup main"),
        ("-4", "priority 103 blackhole"),
        ("-6", "priority 104 fwmark 0x505 lookup 7"),
        ("-4", "priority 505 fwmark 0x505/0xff lookup 505"),
        ("-4", "priority 505 not fwmark 0x505 lookup 505"),
        ("-4", "priority 32766 iif f0 lookup main"),
        ("-6", "priority 32766 tos 0x10 lookup main"),
        ("-4", "priority 32766 ipproto udp lookup main"),
        ("-4", "priority 32767 sport 5060 lookup default"),
        ("-4", "priority 32766 uidrange 0-0 lookup main"),
        ("-4", "priority 32766 lookup main suppress_prefixlength 0"),
    ],
)
def test_a_policy_rule_of_others_is_in_the_way(testbed: Namespaces, family: str, rule: str) -> None:
    found = made_and_undone(testbed.fw, f"ip {family} rule add {rule}", f"ip {family} rule del {rule}")
    assert found == f"the policy rule {rule.split()[1]}"


def test_our_own_policy_rules_are_not(testbed: Namespaces) -> None:
    assert len(in_namespace(testbed.fw, lambda: set_up_routes((4, 6)))) == 4
    try:
        assert in_the_way(testbed.fw) == ""
    finally:
        in_namespace(testbed.fw, remove_routes)


@pytest.mark.parametrize("direction", ["in", "fwd", "out"])
def test_an_ipsec_policy_is_in_the_way(testbed: Namespaces, direction: str) -> None:
    selector = f"src 192.0.2.0/24 dst 198.51.100.0/24 dir {direction}"
    make, undo = f"ip xfrm policy add {selector} action block", f"ip xfrm policy delete {selector}"
    assert made_and_undone(testbed.fw, make, undo) == "there are IPsec policies"


def test_ipsec_that_blocks_by_default_is_in_the_way(testbed: Namespaces) -> None:
    make, undo = "ip xfrm policy setdefault fwd block", "ip xfrm policy setdefault fwd accept"
    assert made_and_undone(testbed.fw, make, undo) == "IPsec blocks what no policy allows"


@pytest.mark.parametrize(
    ("kind", "code", "found"),
    [
        (0x25, errno.EPROTONOSUPPORT, ""),  # a kernel without IPsec
        (0x28, errno.EINVAL, ""),  # one of before Linux 5.15
        (0x25, errno.ENOBUFS, "the kernel does not tell its IPsec policies (No buffer space available)"),
        (0x28, errno.ENOBUFS, "the kernel does not tell its IPsec policies (No buffer space available)"),
    ],
)
def test_only_a_kernel_that_has_no_ipsec_need_not_tell_of_it(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch, kind: int, code: int, found: str
) -> None:
    def answered_but_one(protocol: int, asked: int, body: bytes) -> bytes:
        if asked == kind:
            raise OSError(code, os.strerror(code))
        return answered(protocol, asked, body)

    monkeypatch.setattr(obstacles, "answered", answered_but_one)
    assert in_the_way(testbed.fw) == found


def test_a_table_of_the_old_iptables_is_in_the_way_in_its_own_namespace_only(testbed: Namespaces) -> None:
    name = testbed.fw + "-iptables"
    netns.create(name)  # the kernel keeps such a table as long as the namespace
    try:
        assert in_the_way(name) == ""
        in_namespace(name, lambda: ask_for_iptables_table(socket.AF_INET6, 41))  # SOL_IPV6
        assert in_the_way(name) == 'ip6tables has the table "filter"'
        in_namespace(name, lambda: ask_for_iptables_table(socket.AF_INET, 0))  # SOL_IP
        assert in_the_way(name) == 'iptables has the table "filter"'
        assert in_the_way(testbed.fw) == ""
    finally:
        netns.remove(name)


def ask_for_iptables_table(family: int, level: int) -> None:
    """Have the kernel make the table ``filter``, as iptables does: IPT_SO_GET_INFO with its name."""
    with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as opened:
        info, size = ctypes.create_string_buffer(b"filter", 84), ctypes.c_uint(84)
        libc = ctypes.CDLL(None, use_errno=True)
        code = libc.getsockopt(opened.fileno(), level, 64, info, ctypes.byref(size))
        assert code == 0, os.strerror(ctypes.get_errno())


def test_a_virtual_service_of_ipvs_is_in_the_way(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    head = (
        "IP Virtual Server version 1.2.1 (size=4096)\n"
        "Prot LocalAddress:Port Scheduler Flags\n"
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n"
    )
    monkeypatch.setattr(obstacles, "_PROC_NET", tmp_path)
    for service in ("UDP  C0000201:13C4 rr \n", "FWM  00000007 wlc \n"):
        (tmp_path / "ip_vs").write_text(head + service)
        assert in_the_way(testbed.fw) == "IPVS has a virtual service"
    (tmp_path / "ip_vs").write_text(head)
    assert in_the_way(testbed.fw) == ""


def test_what_cannot_be_read_is_in_the_way(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(obstacles, "_PROC_NET", tmp_path)
    (tmp_path / "ip6_tables_names").mkdir()
    assert in_the_way(testbed.fw) == "the kernel does not tell its iptables tables (Is a directory)"
    monkeypatch.setattr(obstacles, "_GET_CHAIN", 10 << 8 | 250)
    assert in_the_way(testbed.fw) == "the kernel does not tell its nftables chains (Invalid argument)"
