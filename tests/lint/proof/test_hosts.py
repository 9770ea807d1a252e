from firewall.errors import Place
from firewall.lint.proof.hosts import hosts
from firewall.net.address import Network, address_number
from firewall.ruleset.policy import Zone


def network(first: str, last: str) -> Network:
    return Network(address_number(first), address_number(last))


def zone(*networks: Network) -> Zone:
    return Zone("any", (), networks, "bypass", Place(""))


def test_a_network_and_its_broadcast_address_are_no_hosts() -> None:
    assert hosts(zone(network("192.0.2.0", "192.0.2.255")), None) == [network("192.0.2.1", "192.0.2.254")]
    assert hosts(zone(network("192.0.2.4", "192.0.2.5")), None) == [network("192.0.2.4", "192.0.2.5")]


def test_hosts_of_a_zone_without_networks_are_any_but_those_of_the_other() -> None:
    taken = network("198.51.100.0", "198.51.100.255")
    free = hosts(None, zone(taken))
    assert not any(each.first <= taken.last and taken.first <= each.last for each in free)
    assert any(address_number("198.51.101.0") == each.first for each in free)
