"""Addresses on one number line, networks as intervals of it; the ipaddress module beside."""

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from firewall.net.address import Network, address_number, address_text, family

ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(ADDRESSES)
def test_an_address_and_its_number_are_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    number = address_number(str(address))
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped
    assert address_number(address_text(number)) == number
    assert family(number) == (4 if mapped else address.version)


@given(ADDRESSES, st.integers(0, 128))
@example(ipaddress.ip_address("::ffff:0:0"), 0)
@example(ipaddress.ip_address("::ffff:192.0.2.1"), 95)
@example(ipaddress.ip_address("::ffff:192.0.2.1"), 96)
@example(ipaddress.ip_address("::ffff:192.0.2.1"), 128)
def test_a_network_holds_exactly_what_it_covers(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, prefix: int
) -> None:
    length = min(prefix, address.max_prefixlen)
    theirs = ipaddress.ip_network(f"{address}/{length}", strict=False)
    ours = Network.parse(str(theirs))
    is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    # A mapped address is an IPv4 address, which no network of IPv6 holds but one that is all mapped.
    assert (address_number(str(address)) in ours) == (not is_mapped or length >= 96)
    assert ours.last - ours.first + 1 == theirs.num_addresses
    if ours.first:
        assert ours.first - 1 not in ours
    assert ours.last + 1 not in ours


@pytest.mark.parametrize("text", ["192.0.2.0/24", "192.0.2.7", "2001:db8::/32", "2001:db8::1", "0.0.0.0/0", "::/0"])
def test_a_network_prints_as_it_is_written(text: str) -> None:
    assert str(Network.parse(text)) == text


def test_an_interval_that_is_no_single_network_prints_its_ends() -> None:
    ours = Network(address_number("192.0.2.1"), address_number("192.0.2.6"))
    assert str(ours) == "192.0.2.1..192.0.2.6"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("192.0.2.1/24", '"192.0.2.1/24" has host bits set; the network is "192.0.2.0/24"'),
        ("2001:db8::1/32", '"2001:db8::1/32" has host bits set; the network is "2001:db8::/32"'),
        ("192.0.2.0/33", '"192.0.2.0/33" is not an IPv4 or IPv6 network'),
        ("psap.example", '"psap.example" is not an IPv4 or IPv6 network'),
        ("", '"" is not an IPv4 or IPv6 network'),
    ],
)
def test_what_is_no_network_is_said_in_words(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match="network") as raised:
        Network.parse(text)
    assert str(raised.value) == sentence


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    try:
        number = address_number(text)
    except ValueError:
        return
    assert 0 <= number < 2**128


def test_no_network_of_one_family_holds_an_address_of_the_other() -> None:
    assert address_number("192.0.2.7") not in Network.parse("::/0")
    assert address_number("2001:db8::7") not in Network.parse("0.0.0.0/0")


def test_a_mapped_address_is_the_ipv4_address_it_maps() -> None:
    assert address_number("::ffff:192.0.2.7") == address_number("192.0.2.7")
    assert Network.parse("::ffff:192.0.2.0/120") == Network.parse("192.0.2.0/24")
    assert Network.parse("::ffff:0:0/96") == Network.parse("0.0.0.0/0")


@pytest.mark.parametrize("text", ["fe80::1%eth0", "fe80::%f0/64"])
def test_a_zone_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has a zone id"):
        Network.parse(text)
