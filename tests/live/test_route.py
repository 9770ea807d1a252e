"""The route lookup, against the kernel's own words."""

from collections.abc import Callable

import pytest

from firewall.live.route import RouteLookup
from firewall.live.routing import interface_names
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.netns


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
