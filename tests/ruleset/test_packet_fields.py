"""Fields of the packet, where no capture of SIP shows them."""

import pytest

from firewall.net.address import address_number
from firewall.net.datagram import Datagram, Packet
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS

V4 = Datagram("192.0.2.1", 5060, "198.51.100.1", 5061, b"x", frame_bytes=60)
V6 = Datagram("2001:db8::1", 5060, "2001:db8::2", 5061, b"x", transport="TCP")
OTHER = Datagram("192.0.2.1", 0, "198.51.100.1", 0, b"x", transport="other")


def read(name: str, datagram: Datagram) -> tuple[object, ...]:
    return FIELDS[name].read(Facts(datagram))


@pytest.mark.parametrize(
    ("name", "datagram", "values"),
    [
        ("frame.len", V4, (60,)),
        ("frame.len", V6, (14 + 40 + 8 + 1,)),
        ("ip.src", V4, (address_number("192.0.2.1"),)),
        ("ip.src", V6, ()),
        ("ipv6.addr", V6, (address_number("2001:db8::1"), address_number("2001:db8::2"))),
        ("ipv6", V4, ()),
        ("net.dst", V4, (address_number("198.51.100.1"),)),
        ("net.dst", V6, (address_number("2001:db8::2"),)),
        ("udp.port", V4, (5060, 5061)),
        ("udp.port", V6, ()),
        ("tcp.dstport", V6, (5061,)),
        ("udp.srcport", OTHER, ()),
        ("tcp", OTHER, ()),
    ],
)
def test_a_field_is_there_for_its_family_and_transport(name: str, datagram: Datagram, values: tuple[int, ...]) -> None:
    assert read(name, datagram) == values


def test_a_packet_in_a_tunnel_has_the_tunnels_addresses_and_ports_too_but_a_rule_of_ours_sees_the_innermost() -> None:
    around = Datagram("203.0.113.1", 50000, "203.0.113.2", 4789, b"")
    inner = Packet(*("2001:db8::1", 5060, "2001:db8::2", 5061, b"x"), outer=(around,))
    assert read("ip.src", inner) == (address_number("203.0.113.1"),)
    assert read("ipv6.src", inner) == (address_number("2001:db8::1"),)
    assert read("udp.port", inner) == (50000, 4789, 5060, 5061)
    assert read("net.src", inner) == (address_number("2001:db8::1"),)
