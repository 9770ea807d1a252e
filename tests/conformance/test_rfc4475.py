"""RFC 4475, all 49 messages: the valid ones are read, the invalid ones carry the fitting anomaly or error."""

import pytest

from firewall.errors import SipSyntaxError
from firewall.sip.body import body_parts
from firewall.sip.framing import Framer
from firewall.sip.message import Message, Request, Response, parse_message
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.sdp import parse_sdp
from firewall.sip.uri import parse_uri, unescape
from firewall.sip.via import parse_via
from tests.conformance.rfc4475_invalid_lines import INVALID_LINES
from tests.conformance.rfc4475_invalid_numbers import INVALID_NUMBERS
from tests.conformance.rfc4475_semantics import SEMANTICS
from tests.conformance.rfc4475_valid import OCTETS, VALID
from tests.conformance.vectors import Vector

VECTORS = (*VALID, *INVALID_NUMBERS, *INVALID_LINES, *SEMANTICS)
BY_NAME = {vector.name: vector for vector in VECTORS}


def read(name: str) -> Message:
    return parse_message(BY_NAME[name].raw)


def test_all_49_messages_are_here() -> None:
    assert len(BY_NAME) == len(VECTORS) == 49


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_a_message_is_read_as_the_rfc_says(vector: Vector) -> None:
    if isinstance(vector.start, str):
        with pytest.raises(SipSyntaxError) as error:
            parse_message(vector.raw)
        assert error.value.reason == vector.start
        return
    message = parse_message(vector.raw)
    if isinstance(message, Request):
        assert (message.method, message.request_uri) == vector.start
    else:
        assert (str(message.status_code), message.reason_phrase) == vector.start
    assert message.call_id == vector.call_id
    assert (message.cseq_number, message.cseq_method) == vector.cseq
    assert (message.from_tag, message.to_tag) == vector.tags
    if vector.name != "longreq":
        assert message.via_branch == vector.branch
    for name, values in vector.headers.items():
        assert message.header_values(name) == values
    assert message.anomalies == vector.anomalies


@pytest.mark.parametrize("vector", VALID, ids=lambda vector: vector.id)
def test_a_valid_message_is_cut_whole_out_of_a_stream(vector: Vector) -> None:
    """But §3.1.1.8: in a stream it is two messages, the second of which counts its body two bytes short."""
    kinds = [piece.kind for piece in Framer().feed(vector.raw)]
    assert kinds == (["message", "keep_alive"] * 2 if vector.name == "dblreq" else ["message"])


def test_vias_are_split_whatever_blanks_stand_in_them() -> None:
    """§3.1.1.1"""
    hops = [parse_via(part) for line in read("wsinv").header_values("via") for part in line.split(",")]
    assert [(hop.transport, hop.host, hop.params.get("branch")) for hop in hops if hop] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]


def test_quoted_pairs_in_a_display_name_are_resolved() -> None:
    """§3.1.1.1, §3.1.1.2"""
    assert read("wsinv").from_.display_name == 'J Rosenberg \\"'
    assert read("intmeth").to.display_name == "BEL:\x07 NUL:\0 DEL:\x7f"


def test_unusual_but_legal_characters_of_a_uri_are_told_apart() -> None:
    """§3.1.1.2"""
    message = read("intmeth")
    assert isinstance(message, Request)
    uri = message.uri
    assert (uri.user, uri.password, uri.host) == (
        "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
        "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)",
        "example.com",
    )
    assert message.from_.uri == "sip:mundane@example.com"
    assert message.from_.params["fromparam''~+*_!.-%"] == "работающий"


def test_escapes_are_part_of_the_user_and_never_split_it() -> None:
    """§3.1.1.3, §3.1.1.4, §3.1.1.9"""
    escaped, nul, semicolon = read("esc01"), read("escnull"), read("semiuri")
    assert isinstance(escaped, Request)
    assert isinstance(semicolon, Request)
    assert (unescape(escaped.uri.user or ""), escaped.uri.host) == ("sips:user@example.com", "example.net")
    assert unescape(parse_uri(nul.to.uri).user or "") == "null-\0-null"
    assert (semicolon.uri.user, semicolon.uri.host, semicolon.uri.params) == (
        "user;par=u%40example.net",
        "example.com",
        {},
    )


def test_a_display_name_may_touch_the_bracket() -> None:
    """§3.1.1.6"""
    from_ = read("lwsdisp").from_
    assert (from_.display_name, from_.uri) == ("caller", "sip:caller@example.com")


def test_a_binary_multipart_body_is_split_byte_for_byte() -> None:
    """§3.1.1.11"""
    text, octets = body_parts(read("mpart01"))
    assert (text.content_type, text.content) == ("text/plain", b"Hello")
    assert octets.content_type == "application/octet-stream"
    assert octets.content == OCTETS


def test_what_lies_behind_the_content_length_of_a_datagram_is_no_body() -> None:
    """§3.1.1.8"""
    assert read("dblreq").body == b""


@pytest.mark.parametrize("name", ["wsinv", "esc01", "longreq", "unreason", "clerr", "ncl", "lwsstart", "sdp01"])
def test_the_session_description_is_found_and_read(name: str) -> None:
    (part,) = body_parts(read(name))
    assert part.content_type == "application/sdp"
    assert [(medium.media, medium.port) for medium in parse_sdp(part.content).media] == [
        ("audio", 49217),
        ("video", 3227),
    ]


def test_a_quote_without_an_end_does_not_hide_the_uri() -> None:
    """§3.1.2.6"""
    assert read("quotbal").to.uri == "sip:j.user@example.com"


def test_a_parameter_of_the_header_is_none_of_the_uri() -> None:
    """§3.3.12, §3.3.13"""
    header, uri = (parse_name_addr(read(name).header("contact") or "") for name in ("cparam01", "cparam02"))
    assert (header.params, parse_uri(header.uri).params) == ({"unknownparam": None}, {})
    assert (uri.params, parse_uri(uri.uri).params) == ({}, {"unknownparam": None})


def test_headers_in_a_contact_uri_belong_to_the_uri() -> None:
    """§3.3.14"""
    assert parse_uri(parse_name_addr(read("regescrt").header("contact") or "").uri).headers == (
        "Route=%3Csip:sip.example.com%3E"
    )


def test_a_message_of_rfc_2543_needs_no_branch_tag_or_length() -> None:
    """§3.4.1"""
    message = read("inv2543")
    assert not isinstance(message, Response)
    assert (message.via_branch, message.from_tag, len(message.body) > 0) == (None, None, True)
