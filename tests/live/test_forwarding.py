"""Between which interfaces media may be handed on: each reason against it made in the kernel, seen, and undone."""

import os
import resource
import socket
import subprocess
from collections.abc import Iterator

import pytest

from firewall.live import forwarding
from firewall.live.bpf import Code, attach, load, program_id
from firewall.live.forwarding import Forwarding, ForwardingLink, survey
from firewall.live.links import interface_names, setting
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, machine_root

pytestmark = pytest.mark.netns

SYSCTL_4, SYSCTL_6 = "/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"


def run(namespace: str, command: str) -> None:
    subprocess.run(["ip", "netns", "exec", namespace, "sh", "-ec", command], check=True)


def usable(namespace: str) -> dict[str, tuple[int, ...]]:
    found = in_namespace(namespace, survey)
    assert found.obstacle == ""
    assert [link.index for link in found.links] == sorted(link.index for link in found.links)
    return {link.name: link.versions for link in found.links}


@pytest.fixture
def fw(testbed: Namespaces) -> Iterator[str]:
    """The testbed's firewall with one more cable, both ends of it here; a name may have a dot."""
    run(testbed.fw, "ip link add x.0 type veth peer name x.1; ip link set x.0 up; ip link set x.1 up")
    yield testbed.fw
    run(testbed.fw, "ip link del x.0")


def test_links_that_only_forward_are_named_with_their_size(testbed: Namespaces) -> None:
    indices = {name: index for index, name in in_namespace(testbed.fw, interface_names).items()}
    found = in_namespace(testbed.fw, survey)
    assert found == Forwarding(
        (
            ForwardingLink(indices["f0"], "f0", 1500, 1500, (4, 6)),
            ForwardingLink(indices["f1"], "f1", 1500, 1500, (4, 6)),
        )
    )


def test_a_smaller_mtu_of_ipv6_is_known(testbed: Namespaces) -> None:
    run(testbed.fw, f"echo 1300 > {SYSCTL_6}/f1/mtu")
    try:
        found = in_namespace(testbed.fw, survey).links
    finally:
        run(testbed.fw, f"echo 1500 > {SYSCTL_6}/f1/mtu")
    assert [(link.mtu, link.mtu_6) for link in found] == [(1500, 1500), (1500, 1300)]


@machine_root
def test_a_link_behind_which_there_is_a_program_of_others_is_left_out(testbed: Namespaces) -> None:
    code = Code()
    code.do(0, "=", -1)
    code.exit()
    program = load(code.assembled())
    attached = in_namespace(testbed.fw, lambda: attach(program, socket.if_nametoindex("f1")))
    try:
        assert usable(testbed.fw) == {"f0": (4, 6)}
        ours = frozenset({program_id(program)})
        assert [link.name for link in in_namespace(testbed.fw, lambda: survey(our_programs=ours)).links] == ["f0", "f1"]
    finally:
        os.close(attached)
        os.close(program)


def test_an_end_system_forwards_over_no_link(testbed: Namespaces) -> None:
    assert usable(testbed.psap) == {}


def test_an_obstacle_is_told_with_the_links(testbed: Namespaces) -> None:
    run(testbed.fw, "nft 'table inet sosgate { chain c { type filter hook forward priority 7; }; }'")
    try:
        assert in_namespace(testbed.fw, survey).obstacle == ""
        found = in_namespace(testbed.fw, lambda: survey(frozenset()))
    finally:
        run(testbed.fw, "nft delete table inet sosgate")
    assert found.obstacle == 'the nftables table "inet sosgate" looks at forwarded packets, too'
    assert [link.name for link in found.links] == ["f0", "f1"]


@pytest.mark.parametrize(
    ("make", "undo", "versions"),
    [
        ("ip link set x.0 down", "ip link set x.0 up", None),
        ("ip link add link x.0 name m0 type macvlan", "ip link del m0", None),
        ("ip link add b0 type bridge; ip link set x.0 master b0", "ip link del b0", None),
        ("tc qdisc add dev x.0 clsact", "tc qdisc del dev x.0 clsact", None),
        ("tc qdisc add dev x.0 ingress", "tc qdisc del dev x.0 ingress", None),
        (f"echo 0 > {SYSCTL_4}/x.0/forwarding", f"echo 1 > {SYSCTL_4}/x.0/forwarding", (6,)),
        (f"echo 0 > {SYSCTL_6}/x.0/forwarding", f"echo 1 > {SYSCTL_6}/x.0/forwarding", (4,)),
        (
            f"echo 0 > {SYSCTL_6}/all/forwarding; echo 1 > {SYSCTL_6}/x.0/forwarding",
            f"echo 1 > {SYSCTL_6}/all/forwarding",
            (4,),
        ),
        (f"echo 1 > {SYSCTL_6}/x.0/disable_ipv6", f"echo 0 > {SYSCTL_6}/x.0/disable_ipv6", (4,)),
        (f"echo 1 > {SYSCTL_4}/x.0/rp_filter", f"echo 0 > {SYSCTL_4}/x.0/rp_filter", (6,)),
        (f"echo 1 > {SYSCTL_4}/all/rp_filter", f"echo 0 > {SYSCTL_4}/all/rp_filter", (6,)),
        (
            f"echo 1 > {SYSCTL_4}/x.0/rp_filter; echo 0 > {SYSCTL_6}/x.0/forwarding",
            f"echo 0 > {SYSCTL_4}/x.0/rp_filter; echo 1 > {SYSCTL_6}/x.0/forwarding",
            None,
        ),
    ],
)
def test_a_link_on_which_more_is_done_is_left_out(
    fw: str, make: str, undo: str, versions: tuple[int, ...] | None
) -> None:
    before = usable(fw)
    assert before["x.0"] == before["x.1"] == (4, 6)
    run(fw, make)
    try:
        found = usable(fw)
    finally:
        run(fw, undo)
    assert found.get("x.0") == versions
    assert usable(fw) == before


def test_any_number_but_0_switches_forwarding_on(fw: str) -> None:
    run(fw, f"echo 2 > {SYSCTL_4}/x.0/forwarding")
    try:
        assert usable(fw)["x.0"] == (4, 6)
    finally:
        run(fw, f"echo 1 > {SYSCTL_4}/x.0/forwarding")


@pytest.mark.parametrize(("of_all", "of_one"), [(2, 0), (1, 2), (2, 1)])
def test_a_loose_reverse_path_filter_does_not_count(fw: str, of_all: int, of_one: int) -> None:
    run(fw, f"echo {of_all} > {SYSCTL_4}/all/rp_filter; echo {of_one} > {SYSCTL_4}/x.0/rp_filter")
    try:
        assert usable(fw)["x.0"] == (4, 6)
    finally:
        run(fw, f"echo 0 > {SYSCTL_4}/all/rp_filter; echo 0 > {SYSCTL_4}/x.0/rp_filter")


def test_a_link_that_is_no_ethernet_is_left_out(testbed: Namespaces) -> None:
    for mode, is_usable in (("tun", False), ("tap", True)):
        run(testbed.fw, f"ip tuntap add t0 mode {mode}; ip link set t0 up")
        try:
            assert ("t0" in usable(testbed.fw)) == is_usable
        finally:
            run(testbed.fw, f"ip tuntap del t0 mode {mode}")
    assert sorted(usable(testbed.fw)) == ["f0", "f1"]


def test_where_the_kernel_does_not_tell_its_interfaces_there_are_none(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("firewall.live.links._GET_LINK", 250)
    found = in_namespace(testbed.fw, survey)
    assert found == Forwarding((), "the kernel does not tell its interfaces (Operation not supported)")


@pytest.mark.parametrize(
    ("unknown", "versions"), [("ipv6/conf/all/forwarding", (4,)), ("ipv4/conf/all/rp_filter", (6,))]
)
def test_a_setting_of_all_links_that_cannot_be_read_is_against_it(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch, unknown: str, versions: tuple[int, ...]
) -> None:
    monkeypatch.setattr(forwarding, "setting", lambda name: None if name == unknown else setting(name))
    assert usable(testbed.fw) == {"f0": versions, "f1": versions}


def test_where_no_descriptor_is_left_to_ask_by_there_are_none_for_the_moment(testbed: Namespaces) -> None:
    def starved() -> Forwarding:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
        try:
            return survey()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    found = in_namespace(testbed.fw, starved)
    assert found == Forwarding((), "the kernel does not tell its interfaces (Too many open files)")
