"""A glance at bytes never misses what a message says about an emergency."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.glance import glance
from firewall.errors import SipSyntaxError
from firewall.ruleset.emergency import recognise, recognise_bytes
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import parse_message
from tests.messages import SDP, request, response

ORDINARY = "sip:6175550199@psap.example"
POLICY = EmergencyPolicy(numbers=("911", "112", "*77"), test_numbers=("933",), dial_prefixes=("9", "+1"))


def is_recognised(payload: bytes) -> bool:
    try:
        return recognise(parse_message(payload), POLICY) is not None
    except SipSyntaxError:
        return recognise_bytes(payload, POLICY) is not None


@pytest.mark.parametrize(
    "uri",
    [
        "urn:service:sos",
        "URN:SERVICE:911",
        "urn:nena:service:x",
        "tel:9-1-1",
        "sip:%39%31%31@h",
        "sip:*77@h",
        "933",
        "sip:9\t11@h",
    ],
)
def test_what_is_dialled_is_seen_in_the_request_uri_and_in_to(uri: str) -> None:
    for payload in (
        request(uri=uri),
        request(uri=ORDINARY, to=f"<{uri}>"),
        response(request(uri=ORDINARY, to=f"<{uri}>")),
    ):
        assert glance(POLICY)(payload) >= is_recognised(payload)
    assert glance(POLICY)(request(uri=uri))


@pytest.mark.parametrize(
    "header",
    [
        "Route: <urn:service:sos>",
        "Route: <sip:proxy.example;lr>,\r\n <sip:9-1-1@psap.example;lr>",
        "Route: <sip:9\r\n\t11@psap.example;lr>",
        "Resource-Priority: ESNET.0",
        "Priority: emergency",
        "Priority: psap-callback",
        "Call-Info: <urn:nena:uid:incidentid:a1b2c3:b.example>",
        "Content-Type: application/common-alerting-protocol+xml",
    ],
)
def test_what_a_header_says_is_seen(header: str) -> None:
    payload = request(uri=ORDINARY, headers=(header,))
    assert is_recognised(payload)
    assert glance(POLICY)(payload)


@pytest.mark.parametrize(
    "payload", [b"\r\n\r\nINVITE 911 SIP/2.0\r\n", b"\0INVITE tel:(911) SIP/2.0", b"INVITE sip:9\xff911 x"]
)
def test_what_cannot_be_read_is_seen(payload: bytes) -> None:
    assert glance(POLICY)(payload) >= is_recognised(payload)


@given(st.text("sip:tel+9127*3@h.-()%; <>urnovceA\xe9", max_size=24), st.text("9137*1 ()<>\n\t:sip@h", max_size=16))
def test_nothing_that_is_recognised_is_missed(uri: str, to: str) -> None:
    payload = request(uri=uri, to=to)
    assert glance(POLICY)(payload) >= is_recognised(payload)


def test_an_ordinary_call_is_none() -> None:
    invite = request(uri="sip:6175550144@psap.example", to="<sip:6175550144@psap.example>", body=SDP)
    assert not glance(POLICY)(invite)
