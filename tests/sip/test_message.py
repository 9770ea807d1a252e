"""Reading SIP messages: RFC 3261 §7 and §25.1, and what the field sends instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import SipSyntaxError
from firewall.sip.limits import MAX_MESSAGE_BYTES
from firewall.sip.message import Request, Response, TransactionId, parse_message, read_ahead
from tests.messages import SDP, request, response


def as_request(raw: bytes) -> Request:
    message = parse_message(raw)
    assert isinstance(message, Request)
    return message


def test_a_request_is_read_with_its_routing_headers() -> None:
    message = as_request(request("INVITE", "sip:911@psap.example", body=SDP))
    assert (message.method, message.request_uri) == ("INVITE", "sip:911@psap.example")
    assert (message.call_id, message.from_tag, message.to_tag) == ("call-1@192.0.2.10", "caller", None)
    assert (message.cseq_number, message.cseq_method) == (1, "INVITE")
    assert message.via_branch == "z9hG4bK-call-1@192.0.2.10-INVITE-1"
    assert message.body == SDP.encode()
    assert message.anomalies == ()


def test_a_response_is_read() -> None:
    message = parse_message(response(request(), 180, phrase="Ringing"))
    assert isinstance(message, Response)
    assert (message.status_code, message.reason_phrase, message.to_tag) == (180, "Ringing", "psap")


def test_a_response_without_a_reason_phrase_is_read() -> None:
    message = parse_message(b"SIP/2.0 200\r\nCSeq: 1 BYE\r\n\r\n")
    assert isinstance(message, Response)
    assert (message.status_code, message.reason_phrase) == (200, "")


def test_compact_forms_and_any_case_name_the_same_header() -> None:
    raw = b"INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=x\r\nF: <sip:c@d>;tag=1\r\n"
    raw += b"t: <sip:a@b>\r\nI: id\r\nCseq: 7 INVITE\r\n\r\n"
    message = as_request(raw)
    assert (message.via_branch, message.from_tag, message.call_id, message.cseq_number) == ("x", "1", "id", 7)
    assert message.header("VIA") == message.header("v") == "SIP/2.0/UDP h;branch=x"
    assert message.anomalies == ()


def test_a_folded_header_is_one_value() -> None:
    message = as_request(b"INVITE sip:a@b SIP/2.0\r\nSubject: I know\r\n you are\r\n\t there\r\nCall-ID: x\r\n\r\n")
    assert message.header("subject") == "I know you are there"
    assert message.call_id == "x"


def test_every_header_line_is_kept_in_wire_order() -> None:
    message = as_request(b"INVITE sip:a@b SIP/2.0\r\nVia: one\r\nRoute: r\r\nvia: two, three\r\n\r\n")
    assert message.header_values("Via") == ("one", "two, three")
    assert [name for name, _ in message.headers] == ["Via", "Route", "via"]


def test_bare_line_feeds_end_lines_too() -> None:
    message = as_request(b"INVITE sip:a@b SIP/2.0\nCall-ID: x\nContent-Length: 2\n\nhi")
    assert (message.call_id, message.body) == ("x", b"hi")


def test_line_ends_before_the_start_line_are_ignored() -> None:
    assert as_request(b"\r\n\r\n" + request()).method == "INVITE"


def test_content_length_cuts_what_is_beyond_it_and_says_so() -> None:
    message = as_request(request().replace(b"Content-Length: 0\r\n\r\n", b"Content-Length:   2\r\n\r\nhiXX"))
    assert (message.body, message.anomalies) == (b"hi", ("content_length_short",))


@pytest.mark.parametrize(
    ("length", "anomaly"),
    [
        (b"99", "content_length_beyond_end"),
        (b"-1", "content_length_invalid"),
        (b"1_0", "content_length_invalid"),
        (b"2\r\nContent-Length: 3", "content_length_conflicting"),
        ("٣".encode(), "content_length_invalid"),
    ],
)
def test_a_wrong_content_length_is_an_anomaly_not_a_refusal(length: bytes, anomaly: str) -> None:
    message = as_request(request().replace(b"Content-Length: 0\r\n\r\n", b"Content-Length: " + length + b"\r\n\r\nhi!"))
    assert message.anomalies == (anomaly,)
    assert message.body == b"hi!"


def test_missing_headers_are_anomalies() -> None:
    assert as_request(b"INVITE sip:a@b SIP/2.0\r\n\r\n").anomalies == (
        "missing_via",
        "missing_from",
        "missing_to",
        "missing_call_id",
        "missing_cseq",
    )


def test_a_cseq_of_another_method_is_an_anomaly() -> None:
    assert "cseq_method_mismatch" in as_request(request().replace(b"1 INVITE", b"1 BYE")).anomalies


def test_what_may_hold_several_values_is_told_by_lines_and_commas() -> None:
    message = parse_message(b"BYE a SIP/2.0\r\nTo: <sip:a>\r\nt: <sip:b>\r\nRoute: <sip:a>,<sip:b>\r\nFrom: c\r\n\r\n")
    assert [message.may_be_several(name) for name in ("to", "route", "from", "via")] == [True, True, False, False]


def test_both_directions_name_one_dialog() -> None:
    there = parse_message(request("BYE", from_tag="a", to_tag="b"))
    back = parse_message(request("BYE", from_tag="b", to_tag="a"))
    assert there.dialog_id == back.dialog_id == ("a", "b")
    assert parse_message(request()).dialog_id is None


def test_a_cancel_and_an_ack_name_the_invite_they_are_about() -> None:
    invite, cancel, ack = (parse_message(request(m, branch="z9hG4bK-x")) for m in ("INVITE", "CANCEL", "ACK"))
    assert invite.transaction_id == cancel.transaction_id == ack.transaction_id == (1, "INVITE", "z9hG4bK-x")
    assert parse_message(response(request("CANCEL", branch="z9hG4bK-y"))).transaction_id == (1, "CANCEL", "z9hG4bK-y")


def test_a_message_without_cseq_names_no_transaction() -> None:
    assert parse_message(b"INVITE sip:a SIP/2.0\r\n\r\n").transaction_id is None


@pytest.mark.parametrize("uri", ["911", "urn:service:911", "urn:service:sos", "<sip:a@b>", "sip:a b@c", "tel:911"])
def test_any_request_uri_with_a_discernible_method_is_a_message(uri: str) -> None:
    assert as_request(f"INVITE {uri} SIP/2.0\r\n\r\n".encode()).request_uri == uri.strip("<>")


@pytest.mark.parametrize(
    "junk",
    [b"", b"\r\n\r\n", b"hello", b"INVITE sip:a@b", b"GET / HTTP/1.1\r\n\r\n", b"\x80\x00"],
)
def test_what_has_no_start_line_is_no_message(junk: bytes) -> None:
    with pytest.raises(SipSyntaxError) as error:
        parse_message(junk)
    assert error.value.reason == "not_sip"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"A" * 70_000, "message_too_large"),
        (b"SIP/2.0 2000 X\r\n\r\n", "status_code_invalid"),
        (b"SIP/2.0\r\n\r\n", "status_code_invalid"),
        (b"\0\1\0\4!\x12\xa4B" + bytes(12) + b"abcd", "stun"),
        (b"INVITE sip:" + b"a" * 9000 + b" SIP/2.0\r\n\r\n", "start_line_too_long"),
        (b"INVITE sip:a@b SIP/2.0\r\n" + b"A: b\r\n" * 600 + b"\r\n", "too_many_headers"),
        (b"INVITE sip:a@b SIP/2.0" + b"\rA: b" * 600 + b"\r\n\r\n", "too_many_headers"),
        (b"INVITE sip:a@b SIP/2.0\r\nRoute: " + b"a," * 1100 + b"\r\n\r\n", "too_many_values"),
    ],
)
def test_what_can_be_told_about_an_unreadable_message_is_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(SipSyntaxError) as error:
        parse_message(raw)
    assert error.value.reason == reason


def touch_everything(raw: bytes) -> None:
    try:
        message = parse_message(raw)
    except SipSyntaxError:
        return
    for part in (message.from_, message.to, message.via, message.cseq_number, message.body, message.anomalies):
        repr(part)
    if isinstance(message, Request):
        repr(message.uri)


@given(st.binary(max_size=600))
def test_any_bytes_give_a_message_or_the_one_error(raw: bytes) -> None:
    touch_everything(raw)


@given(st.data())
def test_any_cut_and_any_changed_byte_of_a_message_gives_a_message_or_the_one_error(data: st.DataObject) -> None:
    raw = bytearray(request(body=SDP, headers=('Contact: "a" <sip:b@c;lr>;q=1', "Route: <sip:x>, <sip:y>")))
    for _ in range(data.draw(st.integers(0, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    touch_everything(bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def test_bytes_that_are_no_utf8_survive_the_reading() -> None:
    message = as_request(b"INVITE sip:a\xff@b SIP/2.0\r\nSubject: \xc3\x28\r\n\r\n")
    assert message.request_uri.encode("utf-8", "surrogateescape") == b"sip:a\xff@b"


def test_a_head_whose_body_would_be_too_large_is_no_message_of_a_stream() -> None:
    """It comes alone (``framing``): passed on, it would take the messages behind it for its body."""
    head = request("OPTIONS").replace(b"Content-Length: 0", b"Content-Length: %d")
    fits = head % (MAX_MESSAGE_BYTES - len(head % 10_000))
    assert isinstance(parse_message(fits, over_stream=True), Request)
    for length in (MAX_MESSAGE_BYTES, 10**30):
        with pytest.raises(SipSyntaxError) as error:
            parse_message(head % length, over_stream=True)
        assert error.value.reason == "message_too_large"
        assert isinstance(parse_message(head % length), Request), "a datagram has its end"


def test_content_length_may_be_missing_in_a_datagram_and_not_in_a_stream() -> None:
    raw = request().replace(b"Content-Length: 0\r\n", b"")
    datagram, in_stream = parse_message(raw), parse_message(raw, over_stream=True)
    assert (datagram.anomalies, in_stream.anomalies) == ((), ("content_length_missing",))


@pytest.mark.parametrize("ends", [b"\r", b"\r\r\n"])
def test_lines_that_end_with_a_carriage_return_alone_are_read_so_that_the_method_can_be_told(ends: bytes) -> None:
    found = parse_message(
        ends.join([b"INVITE sip:a@b SIP/2.0", b"Via: SIP/2.0/UDP h", b"To: <urn:service:sos>", b"", b""])
    )
    assert isinstance(found, Request)
    assert (found.method, found.request_uri, found.to.uri) == ("INVITE", "sip:a@b", "urn:service:sos")
    assert "bare_cr" in found.anomalies


def test_what_is_injected_behind_a_carriage_return_in_the_start_line_is_a_header() -> None:
    found = parse_message(b"CANCEL sip:a@b SIP/2.0\r7Via: x\r\nTo: <sip:a@b>\r\n\r\n")
    assert found.start_line == "CANCEL sip:a@b SIP/2.0"
    assert found.headers == (("7Via", "x"), ("To", "<sip:a@b>"))
    assert "bare_cr" in found.anomalies


def test_what_was_read_ahead_is_what_is_read_when_it_is_asked_for() -> None:
    payloads = [request(), b"\x80 no message", response(request()), request("BYE", to_tag="b"), b"SIP/2.0 99 X\r\n\r\n"]
    read_ahead((payload, False) for payload in payloads)
    for payload in [*payloads, *reversed(payloads)]:
        copy = bytearray(payload)
        try:
            message = parse_message(payload)
        except SipSyntaxError as error:
            with pytest.raises(SipSyntaxError, match=error.reason):
                parse_message(bytes(copy))
        else:
            assert (message.start_line, message.headers) == _start_line_and_headers(bytes(copy))


@pytest.mark.parametrize("over_stream", [True, False])
def test_a_message_read_ahead_as_a_datagram_is_read_anew_for_a_stream_and_the_other_way(over_stream: bool) -> None:
    without_length = request().replace(b"Content-Length: 0\r\n", b"")
    read_ahead([(without_length, over_stream)])
    assert parse_message(without_length, over_stream=True).anomalies == ("content_length_missing",)
    assert parse_message(without_length).anomalies == ()


@pytest.mark.parametrize(
    ("head", "body", "is_whole"),
    [
        (b"Content-Length: 3\r\n", b"abc", True),
        (b"l: 3\r\n", b"abc", True),
        (b"Content-Length: 3\r\nl: 3\r\n", b"abc", True),
        (b"Content-Length: 3\r\n", b"abcd", False),
        (b"Content-Length: 3\r\n", b"ab", False),
        (b"", b"", False),
        (b"Content-Length: x\r\n", b"", False),
        (b"Content-Length: 0\r\nl: 3\r\n", b"abc", False),
    ],
)
def test_a_message_is_whole_where_its_content_length_says_so(head: bytes, body: bytes, is_whole: bool) -> None:
    assert parse_message(b"BYE sip:a@b SIP/2.0\r\n" + head + b"\r\n" + body, over_stream=True).is_whole is is_whole


def _start_line_and_headers(payload: bytes) -> tuple[str, tuple[tuple[str, str], ...]]:
    message = parse_message(payload)
    return message.start_line, message.headers


@pytest.mark.parametrize("via", ["", ";branch=", ";branch=1", ";branch=z9hG4bK"])
def test_without_a_branch_of_its_own_a_transaction_is_told_by_the_from_tag_too(via: str) -> None:
    """RFC 3261 §17.2.3, and 137 of 795 captured emergency requests have no branch."""

    def identifier(raw: bytes) -> TransactionId | None:
        return parse_message(raw.replace(b";branch=z9hG4bK-x", via.encode())).transaction_id

    invite, other = (request(branch="z9hG4bK-x", from_tag=tag) for tag in ("a", "b"))
    assert identifier(invite) == identifier(request("CANCEL", branch="z9hG4bK-x", from_tag="a"))
    assert identifier(invite) == identifier(response(invite)) != identifier(other)
