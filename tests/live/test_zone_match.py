"""A zone in nft's words; tests/live/test_nftables.py has nft read them."""

from firewall.errors import Place
from firewall.live.zone_match import may_share, quoted_names, zone_comment, zone_matches
from firewall.net.address import Network
from firewall.ruleset.policy import Zone


def zone(name: str = "z", interfaces: tuple[str, ...] = (), networks: tuple[str, ...] = ()) -> Zone:
    parsed = tuple(Network.parse(text) for text in networks)
    return Zone(name, interfaces, parsed, "bypass", Place("p.yaml", 1, 1))


def test_interface_and_address_must_both_fit_at_either_end() -> None:
    carrier = zone("carrier", ("f1", "f0", "f0"), ("192.0.2.0/24", "2001:db8:1::/64"))
    assert zone_matches(carrier, "source") == [
        'iifname { "f0", "f1" } ip saddr { 192.0.2.0-192.0.2.255 } ',
        'iifname { "f0", "f1" } ip6 saddr { 2001:db8:1::-2001:db8:1:0:ffff:ffff:ffff:ffff } ',
    ]
    assert zone_matches(carrier, "destination")[0].startswith('fib daddr oifname { "f0", "f1" } ip daddr ')


def test_what_a_zone_does_not_name_is_not_asked_for() -> None:
    assert zone_matches(zone(interfaces=("f0",)), "source") == ['iifname { "f0" } ']
    assert zone_matches(zone(networks=("192.0.2.7",)), "source") == ["ip saddr { 192.0.2.7 } "]
    assert zone_matches(zone(), "destination") == [""]


def test_networks_that_overlap_or_touch_are_one_interval() -> None:
    networks = ("192.0.2.128/25", "192.0.2.0/25", "192.0.2.200", "198.51.100.0/24")
    assert zone_matches(zone(networks=networks), "source") == [
        "ip saddr { 192.0.2.0-192.0.2.255, 198.51.100.0-198.51.100.255 } "
    ]


def test_a_packet_may_be_in_two_zones_where_both_interface_and_address_may_fit_both() -> None:
    near, far, all_of_f0 = (
        zone("near", ("f0",), ("192.0.2.0/24",)),
        zone("far", ("f1",), ("192.0.2.0/24",)),
        zone("", ("f0",)),
    )
    part = zone("part", ("f0", "f1"), ("198.51.100.1", "192.0.2.7"))
    other = zone("other", (), ("2001:db8::/32", "192.0.3.0/24"))
    pairs = (
        (near, far),
        (near, other),
        (near, part),
        (part, far),
        (near, all_of_f0),
        (all_of_f0, far),
        (other, zone()),
    )
    assert [may_share(*pair) for pair in pairs] == [False, False, True, True, True, False, True]


def test_names_are_quoted_once_each_and_comments_are_plain_and_short() -> None:
    assert quoted_names(("b", "a", "b")) == '{ "a", "b" }'
    assert zone_comment(zone('od"d ☎' * 40)).count('"') == 2
    assert len(zone_comment(zone("x" * 200))) < 100
