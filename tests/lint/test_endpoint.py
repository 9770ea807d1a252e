from firewall.lint.endpoint import MAX_CROSSED_PAIRS, Pair, pairs, plain_pairs
from firewall.net.address import Network
from tests.lint.policies import policy


def ends(found: tuple[Pair, ...]) -> set[tuple[str, str]]:
    return {(pair.caller.ip, pair.psap.ip) for pair in found}


def test_first_middle_and_last_host_of_every_network_call_each_other_within_a_family() -> None:
    found = ends(pairs(policy()))
    hosts = ("192.0.2.1", "192.0.2.127", "192.0.2.254")
    assert {caller for caller, _ in found if ":" not in caller} == set(hosts)
    assert ("192.0.2.1", "198.51.100.254") in found
    assert ("2001:db8:1::1", "2001:db8:2:0:ffff:ffff:ffff:ffff") in found
    assert not [pair for pair in found if (":" in pair[0]) != (":" in pair[1])]


def test_an_address_that_a_rule_names_inside_a_zone_gets_a_pair_of_its_own() -> None:
    found = pairs(policy(), [Network.parse("192.0.2.77"), Network.parse("203.0.113.0/24")])
    named = {pair.caller.ip for pair in found if pair.caller.is_named}
    assert named == {"192.0.2.77"}


def test_each_end_knows_the_interface_its_packets_come_in_by() -> None:
    assert {(pair.caller.interface, pair.psap.interface) for pair in pairs(policy())} == {("f0", "f1")}


def test_a_zone_without_networks_gets_documentation_addresses() -> None:
    zones = "zones:\n  carrier: {interfaces: [f0]}\n  psap: {interfaces: [f1]}\n"
    assert ("192.0.2.10", "198.51.100.10") in ends(pairs(policy(zones=zones)))


def test_zones_do_not_call_themselves_unless_there_is_no_other() -> None:
    both = policy(emergency="emergency: {from: [carrier, psap], to: [carrier, psap]}\n")
    assert {(pair.caller.zone, pair.psap.zone) for pair in pairs(both)} == {("carrier", "psap"), ("psap", "carrier")}
    alone = policy(emergency="emergency: {from: [carrier], to: [carrier]}\n")
    assert {(pair.caller.zone, pair.psap.zone) for pair in pairs(alone)} == {("carrier", "carrier")}


def test_many_networks_are_not_all_crossed_but_each_is_used() -> None:
    networks = ", ".join(f"10.{n}.0.0/16" for n in range(40))
    zones = f"zones:\n  carrier: {{networks: [{networks}]}}\n  psap: {{networks: [198.51.100.0/24]}}\n"
    found = ends(pairs(policy(zones=zones)))
    assert len({caller for caller, _ in found}) == 120
    assert MAX_CROSSED_PAIRS < len(found) < 130


def test_plain_pairs_are_one_for_each_family_of_each_two_zones() -> None:
    assert ends(plain_pairs(pairs(policy()))) == {("192.0.2.1", "198.51.100.1"), ("2001:db8:1::1", "2001:db8:2::1")}


def test_the_ports_are_those_the_policy_signals_on_and_one_other_for_the_caller() -> None:
    found = pairs(policy(extra="signalling: {ports: [5080, 5070]}\n"))
    assert {pair.psap.port for pair in found} == {5070, 5080}
    assert {pair.caller.port for pair in found} == {5070, 5080, 49_180}


def test_networks_without_a_common_family_have_no_pairs() -> None:
    zones = 'zones:\n  carrier: {networks: [192.0.2.0/24]}\n  psap: {networks: ["2001:db8:2::/64"]}\n'
    assert pairs(policy(zones=zones)) == ()
