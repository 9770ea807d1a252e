"""Policy routing, in a namespace of its own."""

import subprocess
from collections.abc import Iterator

import pytest

from firewall.errors import MachineError
from firewall.live.routing import is_delivered_here, remove_routes, set_up_routes
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, kernel_state

pytestmark = pytest.mark.netns


@pytest.fixture
def fw(testbed: Namespaces) -> Iterator[str]:
    yield testbed.fw
    in_namespace(testbed.fw, remove_routes)


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
