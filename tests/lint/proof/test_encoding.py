"""Encode against evaluate: the formula says of a packet what the packet path says."""

from random import Random

import pytest

from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.line import LineName
from firewall.net.address import address_number
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.facts import Facts
from firewall.ruleset.zones import zone_finder
from tests.lint.policies import ZONES, policy, rule

IPV4 = ("192.0.2.1", "192.0.2.77", "198.51.100.9", "203.0.113.255", "10.0.0.1")
IPV6 = ("2001:db8:1::1", "2001:db8:2::77", "2001:db9::1")
PORTS = (1, 5060, 5061, 40_000, 65_535)
CONDITIONS = (
    "net.src == 192.0.2.0/24",
    "net.src != 192.0.2.77",
    "ip.src in {192.0.2.64/26, 10.0.0.0/8}",
    "net.src in {192.0.2.77, $mixed}",
    "ip.addr in $mixed",
    "ipv6.dst in $mixed",
    "ipv6.dst == 2001:db8:2::/64",
    "ip.addr == 203.0.113.255",
    "ip",
    "ipv6",
    "net.src > 192.0.2.70",
    'zone.src == "carrier"',
    'zone.dst != "psap"',
    "zone.src",
    "udp.srcport == 5060",
    "udp.srcport != 5060",
    "tcp.dstport in {5060..5061}",
    "udp.port > 40000",
    "tcp",
    "frame.len > 1500",
    "frame.len in {42..600}",
)


def random_condition(random: Random) -> str:
    parts = [f"{random.choice(('', 'not '))}({random.choice(CONDITIONS)})" for _ in range(random.randint(1, 4))]
    text = parts[0]
    for part in parts[1:]:
        text = f"({text}) {random.choice(('and', 'or'))} {part}"
    return text


@pytest.mark.parametrize("seed", range(40))
def test_the_formula_decides_every_packet_as_first_match_does(seed: int) -> None:
    random = Random(seed)
    rules = "".join(
        rule(random_condition(random), random.choice(("drop", "allow")), name=f"r{number}") for number in range(5)
    )
    mixed = 'sets: {mixed: {networks: [192.0.2.0/26, 203.0.113.255, "2001:db8:2::/64"]}}\n'
    tested = policy(rules, zones=ZONES, after="", extra=mixed)
    encoding = Encoding([tested])
    encoded = encoding.policies[0]
    find = zone_finder(tested.zones)
    for _ in range(40):
        family = random.choice((IPV4, IPV6))
        transport: Transport = random.choice(("UDP", "TCP"))
        datagram = Datagram(
            random.choice(family),
            random.choice(PORTS),
            random.choice(family),
            random.choice(PORTS),
            b"",
            transport,
            random.choice((None, "f0", "f1")),
            frame_bytes=random.choice((42, 600, 601, 1500, 1501, 60_000)),
        )
        zone_src, zone_dst = find((datagram.src_ip, datagram.in_iface)), find((datagram.dst_ip, None))
        facts = Facts(datagram, zone_src=zone_src, zone_dst=zone_dst)
        decides = next((number for number, each in enumerate(tested.rules) if each.matches(facts)), None)
        here = literals(encoding, datagram)
        is_possible = encoding.formula.is_possible
        possible = [number for number, each in enumerate(encoded.rules) if is_possible([*here, each.decides])]
        assert possible == ([] if decides is None else [decides]), (seed, rules, datagram)
        assert is_possible([*here, encoded.unmatched]) is (decides is None)


def literals(encoding: Encoding, datagram: Datagram) -> list[int]:
    """What the formula calls this packet."""
    numbers: dict[LineName, int] = {
        "src": address_number(datagram.src_ip),
        "dst": address_number(datagram.dst_ip),
        "sport": datagram.src_port,
        "dport": datagram.dst_port,
        "frame_len": datagram.frame_len,
    }
    here = [encoding.lines[name].at(number) for name, number in numbers.items()]
    here.append(encoding.is_tcp if datagram.transport == "TCP" else -encoding.is_tcp)
    return [*here, encoding.interfaces[datagram.in_iface]]


def test_both_addresses_of_a_packet_are_of_one_family() -> None:
    encoding = Encoding([policy(zones=ZONES)])
    source, destination = encoding.literal(None), encoding.formula.true
    assert source == destination
    lines = encoding.lines
    four, six = address_number("192.0.2.1"), address_number("2001:db8:2::1")
    assert not encoding.formula.is_possible([lines["src"].at(four), lines["dst"].at(six)])
    assert encoding.formula.is_possible([lines["src"].at(four), lines["dst"].at(four)])


def test_a_schedule_is_active_or_not_at_an_instant_that_shows_it() -> None:
    tested = policy(rule("ip", more='schedule: {days: [wed], hours: "03:17-03:18", timezone: UTC}'))
    encoding = Encoding([tested])
    schedule = tested.rules[0].schedule
    assert schedule is not None
    for literal, is_active in ((encoding.policies[0].rules[0].matches, True),):
        model = encoding.formula.solve([literal])
        assert model is not None
        assert schedule.active(encoding.instant_ns(model)) is is_active


def test_a_rule_above_its_limit_is_a_choice_and_a_shadow_rule_takes_nothing() -> None:
    limited = rule("ip", name="limited", more="limit: {rate: 1/1s, per: net.src, burst: 1}")
    encoding = Encoding([policy(limited + rule("ip", name="shadow", more="mode: shadow") + rule("ip", name="last"))])
    first, shadow, last, *_ = encoding.policies[0].rules
    possible = encoding.formula.is_possible
    assert possible([first.above, first.decides])
    assert not possible([first.above, first.matches, last.decides])
    assert possible([-first.above, shadow.decides, last.decides])


def test_policies_with_other_zones_read_a_zone_in_their_own_way() -> None:
    moved = policy(rule('zone.src == "carrier"'), zones=ZONES.replace("192.0.2.0/24", "203.0.113.0/24"))
    encoding = Encoding([policy(rule('zone.src == "carrier"'), zones=ZONES), moved])
    one, other = (each.rules[0].matches for each in encoding.policies)
    here = [encoding.lines["src"].at(address_number("192.0.2.7")), encoding.interfaces["f0"]]
    assert encoding.formula.is_possible([*here, one, -other])
    assert not encoding.formula.is_possible([*here, other])
