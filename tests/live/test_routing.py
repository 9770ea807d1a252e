"""Policy routing, in a namespace of its own."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyroute2 import netns

from firewall.errors import MachineError
from firewall.live.links import bridges, name_of_alternative
from firewall.live.routing import is_delivered_here, is_switched_off, remove_routes, set_up_routes
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, kernel_state
from tests.live.kernel_sets import ip

pytestmark = pytest.mark.netns


@pytest.fixture
def fw(testbed: Namespaces) -> Iterator[str]:
    yield testbed.fw
    in_namespace(testbed.fw, remove_routes)


@pytest.fixture
def lone() -> Iterator[str]:
    """A namespace without a testbed, whose settings a test may spoil."""
    name = f"t{os.getpid()}-lone"
    netns.create(name)
    yield name
    netns.remove(name)


def test_rules_and_routes_come_and_go_for_both_families(fw: str) -> None:
    before = kernel_state(fw)
    assert len(in_namespace(fw, lambda: set_up_routes((4, 6)))) == 4
    for family in ("-4", "-6"):
        rules = _ip(fw, family, "rule")
        assert rules.count("fwmark 0x505 lookup 505") == 1
        assert "local default dev lo" in _ip(fw, family, "route", "show", "table", "505")
    in_namespace(fw, remove_routes)
    assert kernel_state(fw) == before
    in_namespace(fw, remove_routes)
    assert kernel_state(fw) == before


def test_what_an_earlier_run_left_is_taken_over_and_not_doubled(fw: str) -> None:
    in_namespace(fw, lambda: set_up_routes((4, 6)))
    state = kernel_state(fw)
    assert in_namespace(fw, lambda: set_up_routes((4, 6))) == []
    assert kernel_state(fw) == state


@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_says_whether_marked_packets_are_delivered_here(fw: str, version: int) -> None:
    def is_delivered() -> bool:
        return in_namespace(fw, lambda: is_delivered_here(version))

    assert not is_delivered()
    in_namespace(fw, lambda: set_up_routes((4, 6)))
    assert is_delivered()
    _ip(fw, f"-{version}", "route", "flush", "table", "505")
    assert not is_delivered()
    in_namespace(fw, lambda: set_up_routes((4, 6)))
    _ip(fw, f"-{version}", "rule", "del", "priority", "505")
    assert not is_delivered()


def test_what_cannot_be_completed_is_undone(fw: str) -> None:
    before = kernel_state(fw)
    _ip(fw, "link", "set", "lo", "down")
    try:
        with pytest.raises(MachineError, match="Network is down"):
            in_namespace(fw, lambda: set_up_routes((4, 6)))
    finally:
        _ip(fw, "link", "set", "lo", "up")
    assert kernel_state(fw) == before


def test_ipv6_that_is_switched_off_needs_no_route(lone: str) -> None:
    _ip(lone, "link", "set", "lo", "up")
    assert not in_namespace(lone, lambda: is_switched_off(6) or is_switched_off(4))
    _disable_ipv6(lone, "all")
    assert in_namespace(lone, lambda: is_switched_off(6) and not is_switched_off(4))
    assert in_namespace(lone, lambda: set_up_routes((4, 6))) == [("rule", 4), ("route", 4)]


def test_ipv6_that_is_switched_off_at_the_loopback_interface_alone_is_one_sentence(lone: str) -> None:
    _ip(lone, "link", "set", "lo", "up")
    _ip(lone, "link", "add", "f0", "type", "veth", "peer", "name", "f1")
    _disable_ipv6(lone, "lo")
    before = kernel_state(lone)
    with pytest.raises(MachineError, match=r"Permission denied; .*sysctl net.ipv6.conf.lo.disable_ipv6=0"):
        in_namespace(lone, lambda: set_up_routes((4, 6)))
    assert kernel_state(lone) == before


def test_a_loopback_interface_of_another_name_is_known(lone: str) -> None:
    _ip(lone, "link", "set", "lo", "name", "loop0")
    _ip(lone, "link", "set", "loop0", "up")
    before = kernel_state(lone)
    assert len(in_namespace(lone, lambda: set_up_routes((4, 6)))) == 4
    assert in_namespace(lone, lambda: is_delivered_here(4) and is_delivered_here(6))
    in_namespace(lone, remove_routes)
    assert kernel_state(lone) == before


def test_only_what_was_added_is_removed(fw: str) -> None:
    in_namespace(fw, lambda: set_up_routes((4,)))
    state = kernel_state(fw)
    added = in_namespace(fw, lambda: set_up_routes((4, 6)))
    assert added == [("rule", 6), ("route", 6)]
    in_namespace(fw, lambda: remove_routes(added))
    assert kernel_state(fw) == state


def _ip(namespace: str, *arguments: str) -> str:
    command = ["ip", "netns", "exec", namespace, "ip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def _disable_ipv6(namespace: str, interface: str) -> None:
    setting = Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6")
    in_namespace(namespace, lambda: setting.write_text("1"))


def test_an_interface_is_known_by_its_alternative_name(fw: str) -> None:
    def named() -> list[str | None]:
        return [name_of_alternative(name) for name in ("enp9s0", "f0", "nothing")]

    ip(fw, "link", "property", "add", "dev", "f0", "altname", "enp9s0")
    try:
        assert in_namespace(fw, named) == ["f0", None, None]
    finally:
        ip(fw, "link", "property", "del", "dev", "f0", "altname", "enp9s0")


def test_bridges_are_known_by_their_kind(lone: str) -> None:
    assert in_namespace(lone, bridges) == set()
    _ip(lone, "link", "add", "b9", "type", "bridge")
    _ip(lone, "link", "add", "f0", "type", "veth", "peer", "name", "f1")
    assert in_namespace(lone, bridges) == {"b9"}
