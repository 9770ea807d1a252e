"""Zones: interface and address must both fit, as far as they are known."""

import pytest

from firewall.ruleset.load import load_policy
from firewall.ruleset.zones import zone_finder
from tests.scene import NoFiles

POLICY = """
policy: zones
zones:
  carrier: {interfaces: [f0], networks: [192.0.2.0/24, "2001:db8:1::/64"]}
  psap: {interfaces: [f1], networks: [198.51.100.0/24]}
  lab: {interfaces: [f2]}
rules: [{name: all, action: allow}]
default: drop
"""


@pytest.mark.parametrize(
    ("ip", "interface", "zone"),
    [
        ("192.0.2.7", "f0", "carrier"),
        ("2001:db8:1::7", "f0", "carrier"),
        ("192.0.2.7", None, "carrier"),
        ("192.0.2.7", "f1", None),
        ("198.51.100.7", "f1", "psap"),
        ("198.51.100.7", "f0", None),
        ("203.0.113.7", "f2", "lab"),
        ("203.0.113.7", "f1", None),
        ("203.0.113.7", None, "lab"),
        ("2001:db8:9::1", "f0", None),
    ],
)
def test_a_zone_is_found(ip: str, interface: str | None, zone: str | None) -> None:
    find = zone_finder(load_policy(POLICY.encode(), file="p.yaml", sources=NoFiles()).zones)
    assert find((ip, interface)) == zone
    assert find((ip, interface)) == zone, "also the second time"


def test_without_zones_nothing_is_in_one() -> None:
    assert zone_finder(())(("192.0.2.1", None)) is None
