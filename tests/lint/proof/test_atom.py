import pytest

from firewall.lint.proof.atom import cuts, normal, subject
from firewall.net.address import IPV4_FIRST
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import atoms
from firewall.ruleset.facts import Facts
from firewall.ruleset.text import expression_text
from tests.lint.policies import condition as parse_condition

BOTH_ENDS = [
    "ip.addr == 192.0.2.1",
    "ip.addr != 192.0.2.1",
    "ipv6.addr == 2001:db8::/32",
    "ip.addr in {192.0.2.0/24, 198.51.100.7}",
    "ip.addr",
    "count(ip.addr) == 2",
    "count(ip.addr) > 2",
    "udp.port == 5060",
    "udp.port != 5060",
    "udp.port > 6000",
    "tcp.port in {5060..5062}",
    "not udp.port == 5060",
]
PACKETS = [
    Datagram(src, sport, dst, dport, b"", transport)
    for src, dst in (("192.0.2.1", "198.51.100.7"), ("203.0.113.1", "192.0.2.9"), ("2001:db8::1", "2001:db9::1"))
    for sport, dport in ((5060, 5060), (5060, 7000), (9, 5061))
    for transport in ("UDP", "TCP")
]


@pytest.mark.parametrize("text", BOTH_ENDS)
def test_looking_at_both_ends_is_the_same_as_looking_at_each(text: str) -> None:
    condition = parse_condition(text)
    before, after = compile_condition(condition), compile_condition(normal(condition))
    assert [before(Facts(packet)) for packet in PACKETS] == [after(Facts(packet)) for packet in PACKETS]
    assert not [atom for atom in atoms(normal(condition)) if "addr" in expression_text(atom) or ".port" in str(atom)]


@pytest.mark.parametrize(
    ("text", "about"),
    [
        ("net.src == 192.0.2.1", "src"),
        ("ipv6", "src"),
        ("ip.dst != 192.0.2.1", "dst"),
        ("udp.srcport < 9", "sport"),
        ("tcp.dstport", "dport"),
        ("frame.len > 9", "frame_len"),
        ("tcp", "transport"),
        ('zone.src == "a"', "zone_src"),
        ("emergency", "own"),
        ('sip.Method == "INVITE"', "own"),
        ("sip", "own"),
        ('sip contains "x"', "text"),
        ("len(sip.r-uri) > 9", "text"),
        ("sdp.media.port == 9", "text"),
        ('sip.header["X-A"]', "text"),
    ],
)
def test_each_atom_belongs_to_one_theory(text: str, about: str) -> None:
    (atom,) = atoms(parse_condition(text))
    assert subject(atom) == about


def test_a_network_cuts_at_its_first_address_and_behind_its_last() -> None:
    (atom,) = atoms(parse_condition("net.src == 192.0.2.0/24"))
    first = IPV4_FIRST + 0xC0000200
    assert {first, first + 256} <= set(cuts(atom))
