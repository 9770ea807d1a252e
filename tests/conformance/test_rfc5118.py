"""RFC 5118, all 12 messages: IPv6 addresses in SIP and SDP."""

import pytest

from firewall.sip.body import body_parts
from firewall.sip.message import Request, parse_message
from firewall.sip.sdp import parse_sdp
from firewall.sip.via import parse_via
from tests.conformance.rfc5118 import VECTORS
from tests.conformance.vectors import Vector

BY_NAME = {vector.name: vector for vector in VECTORS}


def read(name: str) -> Request:
    message = parse_message(BY_NAME[name].raw)
    assert isinstance(message, Request)
    return message


def test_all_12_messages_are_here() -> None:
    assert len(BY_NAME) == len(VECTORS) == 12


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_a_message_is_read_as_the_rfc_says(vector: Vector) -> None:
    message = read(vector.name)
    assert (message.method, message.request_uri) == vector.start
    assert message.call_id == vector.call_id
    assert (message.cseq_number, message.cseq_method) == vector.cseq
    assert (message.from_tag, message.to_tag) == vector.tags
    assert message.via_branch == vector.branch
    assert message.anomalies == vector.anomalies


@pytest.mark.parametrize(
    ("name", "host", "port"),
    [
        ("ipv6-good", "[2001:db8::10]", None),
        ("port-ambiguous", "[2001:db8::10:5070]", None),
        ("port-unambiguous", "[2001:db8::10]", 5070),
        ("ipv6-correct-abnf-2-colons", "[2001:db8::192.0.2.1]", None),
    ],
)
def test_the_brackets_part_address_and_port(name: str, host: str, port: int | None) -> None:
    """§4.1, §4.3, §4.4, §4.10"""
    uri = read(name).uri
    assert (uri.host, uri.port) == (host, port)


@pytest.mark.parametrize(
    ("name", "received"),
    [("via-received-param-with-delim", "[2001:db8::9:255]"), ("via-received-param-no-delim", "2001:db8::9:255")],
)
def test_received_is_read_with_and_without_brackets(name: str, received: str) -> None:
    """§4.5"""
    via = read(name).via
    assert via is not None
    assert (via.host, via.params["received"]) == ("[2001:db8::9:1]", received)


def test_hops_of_both_families_are_read() -> None:
    """§4.7, §4.9"""
    hops = [parse_via(line) for line in read("mult-ip-in-header").header_values("via")]
    assert [(hop.host, hop.port) for hop in hops if hop] == [
        ("[2001:db8::9:1]", 6050),
        ("192.0.2.1", None),
        ("[2001:db8::9:255]", None),
    ]
    via = read("ipv4-mapped-ipv6").via
    assert via is not None
    assert (via.host, via.port) == ("[::ffff:192.0.2.10]", 19823)


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        ("ipv6-in-sdp", ["2001:db8::20", "2001:db8::20"]),
        ("mult-ip-in-sdp", ["192.0.2.1", "2001:db8::1"]),
        ("ipv4-mapped-ipv6", ["::ffff:192.0.2.2", "::ffff:192.0.2.2"]),
    ],
)
def test_media_addresses_of_both_families_are_read(name: str, addresses: list[str]) -> None:
    """§4.6, §4.8, §4.9"""
    (part,) = body_parts(read(name))
    assert [medium.address for medium in parse_sdp(part.content).media] == addresses
