import pytest

from firewall.lint.hygiene.families import rule_gaps, zone_gaps
from firewall.lint.hygiene.reach import Reach
from tests.lint.policies import IPV4_ZONES, ZONES, policy, rule

REGISTER = 'sip.Method == "REGISTER" and not emergency'


def guilty(rules: str, zones: str = ZONES) -> list[str | None]:
    tested = policy(rules, zones=zones)
    reach = Reach(tested)
    list(reach.findings())
    return [each.rule for each in rule_gaps(tested, reach)]


def test_a_rule_about_one_family_of_a_zone_is_found() -> None:
    assert guilty(rule(f"ip.src == 192.0.2.0/24 and {REGISTER}")) == ["guilty"]
    assert guilty(rule(f"net.src in {{2001:db8:1::/64}} and {REGISTER}")) == ["guilty"]


def test_a_rule_with_a_twin_or_about_single_hosts_or_both_families_is_not() -> None:
    twin = rule(f"ipv6.src == 2001:db8:1::/64 and {REGISTER}", name="twin")
    assert guilty(rule(f"ip.src == 192.0.2.0/24 and {REGISTER}") + twin) == []
    twin = rule(f"ipv6 and {REGISTER}", name="twin")
    assert guilty(rule(f"ip and {REGISTER}") + twin) == []
    assert guilty(rule(f"net.src == 192.0.2.7 and {REGISTER}")) == []
    assert guilty(rule(f"net.src in {{192.0.2.0/24, 2001:db8:1::/64}} and {REGISTER}")) == []
    assert guilty(rule(f"ip.src == 192.0.2.0/24 and {REGISTER}"), IPV4_ZONES) == []


def test_a_rule_about_destinations_is_about_a_zone_or_about_those_hosts() -> None:
    assert guilty(rule(f"ip.dst == 198.51.100.0/24 and {REGISTER}")) == ["guilty"]
    assert guilty(rule(f'net.dst == 203.0.113.7 and not zone.src == "carrier" and {REGISTER}')) == []
    assert guilty(rule(f"net.dst in {{203.0.113.0/24, 198.51.100.7}} and {REGISTER}")) == []


def test_a_zone_of_one_family_among_zones_of_two_is_found() -> None:
    one = ZONES.replace(', "2001:db8:2::/64"', "")
    (found,) = zone_gaps(policy(zones=one))
    assert found.message.startswith('zone "psap" has IPv4 networks only')


@pytest.mark.parametrize(
    ("zones", "words"),
    [
        (IPV4_ZONES, "the zones have IPv4 networks only: IPv6 calls come from no zone"),
        (
            IPV4_ZONES.replace("192.0.2.0/24", '"2001:db8:1::/64"').replace("198.51.100.0/24", '"2001:db8:2::/64"'),
            "IPv4 media",
        ),
        (IPV4_ZONES.replace(", networks: [198.51.100.0/24]", ""), 'zone "carrier" has IPv4 networks only'),
    ],
)
def test_zones_that_all_have_one_family_are_told_once(zones: str, words: str) -> None:
    (found,) = zone_gaps(policy(zones=zones))
    assert (found.code, found.kind.severity, found.place.line) == ("SOS230", "info", 3)
    assert words in found.message


def test_where_media_is_not_filtered_only_calls_are_told_of() -> None:
    (found,) = zone_gaps(policy(zones=IPV4_ZONES, extra="media: {mode: shadow}\n"))
    assert found.message == "the zones have IPv4 networks only: IPv6 calls come from no zone"


def test_zones_that_name_no_networks_have_every_family() -> None:
    interfaces = "zones:\n  carrier: {interfaces: [f0]}\n  psap: {interfaces: [f1]}\n"
    assert list(zone_gaps(policy(zones=interfaces))) == []
    assert list(zone_gaps(policy(zones=ZONES))) == []
