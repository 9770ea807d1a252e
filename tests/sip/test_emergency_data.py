"""Emergency data in bodies: RFC 6442, RFC 7852, RFC 8876."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.emergency_data import EmergencyData, emergency_data
from firewall.sip.message import parse_message
from tests.messages import SDP, request


def part(content_type: str, content_id: str, content: str = "<x/>") -> str:
    return f"--b\r\nContent-Type: {content_type}\r\nContent-ID: <{content_id}>\r\n\r\n{content}\r\n"


CALL = request(
    uri="urn:service:sos",
    headers=(
        "Content-Type: multipart/mixed; boundary=b",
        "Geolocation: <sip:elsewhere@example>, <cid:location%40caller.example>",
        "Geolocation-Routing: yes",
        "Call-Info: <cid:provider@caller.example>;purpose=EmergencyCallData.ProviderInfo",
    ),
    body=part("application/sdp", "sdp@x", SDP)
    + part("application/pidf+xml", "location@caller.example")
    + part("application/EmergencyCallData.ProviderInfo+xml", "provider@caller.example")
    + part("application/EmergencyCallData.cap+xml", "alert@x")
    + "--b--\r\n",
)


def test_location_alert_and_additional_data_are_found_with_the_header_that_refers_to_them() -> None:
    assert emergency_data(parse_message(CALL)) == (
        EmergencyData("location", "application/pidf+xml", "geolocation"),
        EmergencyData("additional_data", "application/emergencycalldata.providerinfo+xml", "call-info"),
        EmergencyData("alert", "application/emergencycalldata.cap+xml", None),
        EmergencyData("location", None, "geolocation"),
    )


def test_what_is_elsewhere_is_known_by_its_header() -> None:
    """RFC 6442 §4.1 location by reference; RFC 7852 §4.1: Call-Info has other purposes, too."""
    call = request(
        headers=(
            "Geolocation: <https://lis.example/loc/7>;inserted-by=lis.example",
            "Call-Info: <https://adr.example/1>;purpose=EmergencyCallData.SubscriberInfo, <http://w.example/i>;purpose=icon",
            "Call-Info: <cid:nothing@there>;purpose=EmergencyCallData.Comment",
        )
    )
    assert emergency_data(parse_message(call)) == (
        EmergencyData("location", None, "geolocation"),
        EmergencyData("additional_data", None, "call-info"),
    )


def test_a_cap_alert_may_be_the_whole_body() -> None:
    """RFC 8876 §3.1: a MESSAGE without a call."""
    alert = request(
        "MESSAGE", "urn:service:sos", headers=("Content-Type: application/EmergencyCallData.cap+xml",), body="<alert/>"
    )
    assert emergency_data(parse_message(alert)) == (
        EmergencyData("alert", "application/emergencycalldata.cap+xml", None),
    )


def test_an_ordinary_call_has_none() -> None:
    assert emergency_data(parse_message(request(body=SDP, headers=("Content-Type: application/sdp",)))) == ()


@given(st.binary(max_size=200))
def test_any_body_is_searched(body: bytes) -> None:
    head = b"MESSAGE sip:a@b SIP/2.0\r\nc: multipart/mixed;boundary=b\r\nGeolocation: <cid:x>\r\n\r\n"
    emergency_data(parse_message(head + b"--b\r\nc: application/pidf+xml\r\n" + body))
