"""The response to a rejected request: RFC 3261 §8.2.6, §18.2.2, RFC 3581."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import SipSyntaxError
from firewall.sip.message import Request, Response, parse_message
from firewall.sip.response import build_response, response_target
from tests.messages import request


def parsed(raw: bytes) -> Request:
    message = parse_message(raw)
    assert isinstance(message, Request)
    return message


def test_a_response_names_its_transaction_and_gets_a_tag() -> None:
    invite = parsed(request(headers=("Via: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK-2",)))
    answer = parse_message(build_response(invite, 503, "tag-1", "192.0.2.10", 5060))
    assert isinstance(answer, Response)
    assert (answer.status_code, answer.reason_phrase) == (503, "Service Unavailable")
    assert (answer.call_id, answer.header("cseq"), answer.from_tag) == (invite.call_id, "1 INVITE", "caller")
    assert answer.to_tag == "tag-1"
    assert len(answer.header_values("via")) == 2
    assert answer.via_branch == invite.via_branch
    assert answer.anomalies == ()


def test_a_tag_that_is_there_stays() -> None:
    answer = parse_message(build_response(parsed(request("BYE", to_tag="psap")), 481, "other", "192.0.2.10", 5060))
    assert answer.to_tag == "psap"


def test_rport_asks_for_the_source_port_and_gets_received_too() -> None:
    invite = parsed(request(via_host="10.1.1.1:5099", via_params=";rport"))
    via = parse_message(build_response(invite, 403, "t", "192.0.2.10", 6000)).via
    assert via is not None
    assert (via.params["rport"], via.params["received"]) == ("6000", "192.0.2.10")
    assert response_target(invite, "192.0.2.10", 6000) == ("192.0.2.10", 6000)


def test_without_rport_the_response_goes_to_the_port_of_sent_by() -> None:
    invite = parsed(request(via_host="192.0.2.10:5099", via_params=""))
    assert response_target(invite, "192.0.2.10", 6000) == ("192.0.2.10", 5099)
    invite = parsed(request(via_host="192.0.2.10", via_params=""))
    assert response_target(invite, "192.0.2.10", 6000) == ("192.0.2.10", 5060)


@given(st.data())
def test_any_request_that_can_be_read_gets_a_response_that_can_be_read(data: st.DataObject) -> None:
    raw = bytearray(request(headers=("Via: SIP/2.0/TCP h;branch=x",)))
    for _ in range(data.draw(st.integers(0, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        asked = parse_message(bytes(raw))
    except SipSyntaxError:
        return
    if isinstance(asked, Request):
        answer = parse_message(build_response(asked, 403, "t", "192.0.2.10", 5060))
        assert isinstance(answer, Response)
        assert (answer.call_id or None, answer.status_code) == (asked.call_id or None, 403)


@pytest.mark.parametrize("rport", [";RPORT", "; rport", ";rport ;x=1", ";rport="])
def test_rport_is_filled_in_however_it_is_written(rport: str) -> None:
    invite = parsed(request(via_params=rport))
    via = parse_message(build_response(invite, 403, "t", "192.0.2.10", 6000)).via
    assert via is not None
    assert via.params["rport"] == "6000"


def test_a_comma_in_quotes_does_not_end_the_hop_that_is_marked() -> None:
    """RFC 3261 §25.1: the value of a parameter may be a quoted string."""
    invite = parsed(request(via_params=';x="a, b";rport, SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK-2'))
    answer = build_response(invite, 403, "t", "192.0.2.10", 6000)
    assert b';x="a, b";rport=6000;received=192.0.2.10, SIP/2.0/TCP 192.0.2.9;branch=z9hG4bK-2\r\n' in answer


@pytest.mark.parametrize("comment", [" (Acme)", " (Acme, 2.1)", " (Acme, 2.1), SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-2"])
def test_what_is_added_to_a_hop_stands_before_the_comment_that_ends_it(comment: str) -> None:
    """RFC 2543 §6.40: behind the comment, or in it, nobody would look for a parameter."""
    invite = parsed(request(via_params=f";rport{comment}"))
    answer = build_response(invite, 403, "t", "192.0.2.10", 6000)
    assert f";rport=6000;received=192.0.2.10{comment}\r\n".encode() in answer
