"""What counts as an emergency call (DESIGN section 6), and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.ruleset.emergency import recognise, recognise_bytes
from firewall.ruleset.facts import EmergencyMark
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import parse_message
from tests.messages import request, response

HERE = EmergencyPolicy(numbers=("911", "112"), test_numbers=("933",), dial_prefixes=("9", "1", "+1"))
ORDINARY = "sip:6175550199@psap.example"


def mark(raw: bytes) -> EmergencyMark | None:
    return recognise(parse_message(raw), HERE)


def class_of(raw: bytes) -> str | None:
    found = mark(raw)
    return found.emergency_class if found else None


@pytest.mark.parametrize(
    "uri",
    [
        "urn:service:sos",
        "URN:SERVICE:SOS",
        "urn:service:sos.fire",
        "urn:service:sos.ecall.automatic",
        "<urn:service:sos>",
        "urn:service:911",
        "urn:services:sos",
        "urn:nena:service:sos.psap",
        "urn:nena:service:responder.police",
        "911",
        "sip:911@psap.example",
        "SIP:911@psap.example:5060;user=phone",
        "sips:112@psap.example",
        "sip:911;phone-context=+1@psap.example;user=phone",
        "tel:911",
        "tel:911;phone-context=+1",
        "tel:9-1-1",
        "tel:(911)",
        "sip:%39%31%31@psap.example",
        "sip:9911@psap.example",
        "sip:1911@psap.example",
        "sip:+1911@psap.example",
        "sip:+911@psap.example",
        "sip:911:secret@psap.example",
        "sip:911",
        "sip:911;user=phone",
        "sip:9-1-1",
        "urn:service:112",
        "urn:service:sos:fire",
        "urn:service:sos.",
        "urn:service:sos@psap.example",
        "urn:emergency:service:sos.psap",
        "urn:emergency:service:responder.police",
        "urn:emergency:service:testing.psap",
        "urn:emergency:service:test-psap",
        "urn:emergency:service:sos.test",
        "sip:urn:service:sos@psap.example",
        "sip:urn%3Aservice%3Asos.fire@psap.example;user=phone",
        "sip:urn:service:sos",
        "sips:urn:emergency:service:sos.psap;transport=tcp",
        "sip:911@psap.example?Subject=a@b",
        "sip:911@10.0.0.1@psap.example",
        "sip://911@psap.example",
        "urn:service:sos\0",
        "urn:service:sos>",
    ],
)
def test_a_call_to_an_emergency_service_is_recognised(uri: str) -> None:
    assert class_of(request(uri=uri, to="<sip:someone@else.example>")) == "call"


@pytest.mark.parametrize("prefix", ["+4930", "4930", "+1617"])
@pytest.mark.parametrize("plus", ["+", ""])
def test_a_prefix_longer_than_a_country_code_counts_with_its_plus_too(prefix: str, plus: str) -> None:
    here = EmergencyPolicy(numbers=("112",), dial_prefixes=(prefix,))
    dialled = plus + prefix.removeprefix("+")
    for user in (f"{dialled}112", f"{dialled}-1.1.2"):
        assert recognise(parse_message(request(uri=f"sip:{user}@h")), here) is not None
    assert recognise(parse_message(request(uri=f"sip:{dialled}5112@h")), here) is None


@pytest.mark.parametrize(
    "uri",
    [
        "urn:service:test.sos",
        "urn:service:test.sos.fire",
        "urn:service:test:sos",
        "sip:933@h",
        "urn:emergency:service:test.psap",
        "URN:EMERGENCY:SERVICE:TEST.LEVEL_2_ESRP",
        "urn:nena:service:test.call_taker",
        "sip:urn:nena:service:test.psap@h",
    ],
)
def test_a_test_call_is_recognised_as_one(uri: str) -> None:
    assert class_of(request(uri=uri)) == "test"


@pytest.mark.parametrize(
    "uri",
    [
        "sip:9115551212@h",
        "sip:19115551212@h",
        "sip:+19115551212@h",
        "sip:6179110000@h",
        "sip:91@h",
        "sip:11@h",
        "sip:sos@h",
        "sip:h",
        "sip:911.example",
        "tel:+442079460911",
        "urn:service:counseling",
        "urn:service:sosx",
        "urn:service:soser.fire",
        "urn:isbn:911",
        "mailto:911@h",
        "sip:alice@911.example;user=911",
        "sip:1.1.1.2",
        "sip:9.9.1.1:5060;transport=tcp",
        "sip:bob@1.1.1.2",
        "sip:urn@h",
        "sip:urn:service:counseling@h",
        "sip:urn:service:counseling",
        "sip:911%40x@h",
        "sip:bob@h;x=911@y",
        "urn:service:113",
        "urn:service:sos112",
        "urn:service:sos-x",
        "urn:service:sos_x",
        "urn:emergency:uid:callid:1:h",
    ],
)
def test_an_ordinary_call_is_not(uri: str) -> None:
    assert mark(request(uri=uri, to="<sip:someone@else.example>")) is None


def test_the_marks_of_a_border_function_do_not_make_a_test_call_an_emergency() -> None:
    marks = ("Resource-Priority: esnet.1", "Call-Info: <urn:emergency:uid:callid:a:b>;purpose=emergency-CallId")
    assert class_of(request(uri="urn:service:test.sos", headers=marks)) == "test"
    assert class_of(request(uri="urn:service:test.sos", to="<urn:service:sos>", headers=marks)) == "call"


def test_a_display_name_is_no_evidence() -> None:
    assert mark(request(uri=ORDINARY, to='"911 urn:service:sos" <sip:6175550199@h>')) is None


@pytest.mark.parametrize(
    "header",
    [
        "Route: <sip:proxy.example;lr>, <urn:service:sos>",
        "Resource-Priority: wps.3, esnet.1",
        "resource-priority: ESNET.0",
        "Priority: emergency",
        "Priority: Emergency ; reason=x",
        "Call-Info: <urn:emergency:uid:callid:a:b.example>;purpose=emergency-CallId",
        "Call-Info: <http://x.example>;purpose=icon, <urn:emergency:uid:incidentid:a:b>;purpose=emergency-IncidentId",
        "Call-Info: urn:emergency:uid:callid:a1b2c3:b.example",
        "Call-Info: <urn:nena:uid:incidentid:a1b2c3:b.example>",
        "Priority: normal\r\nPriority: emergency",
    ],
)
def test_a_header_can_say_it(header: str) -> None:
    assert class_of(request(uri=ORDINARY, headers=(header,))) == "call"


@pytest.mark.parametrize(
    "header",
    [
        "Resource-Priority: wps.0",
        "Resource-Priority: esnet",
        "Priority: urgent",
        "Priority: emergency-drill",
        "Call-Info: <http://x>;purpose=icon",
        "Call-Info: <http://urn:emergency:uid:callid:a>;purpose=info",
        "Subject: esnet.1",
    ],
)
def test_other_headers_do_not(header: str) -> None:
    assert mark(request(uri=ORDINARY, headers=(header,))) is None


@pytest.mark.parametrize("to", ["<urn:service:sos>", "urn:service:sos", "<sip:911@h>;user=phone", '"x" <tel:911>'])
def test_the_to_header_says_it_in_requests_and_responses(to: str) -> None:
    bye = request("BYE", "sip:192.0.2.10", to=to, to_tag="psap")
    assert class_of(bye) == "call"
    assert class_of(response(bye)) == "call"


def test_a_callback_says_so() -> None:
    found = mark(request(uri=ORDINARY, headers=("Priority: psap-callback",)))
    assert found is not None
    assert (found.emergency_class, found.evidence) == ("callback", ("priority psap-callback (RFC 7090)",))


def test_a_text_message_to_the_service_is_text() -> None:
    assert class_of(request("MESSAGE", "urn:service:sos")) == "text"
    assert class_of(response(request("MESSAGE", "urn:service:sos"))) == "text"


def test_an_alert_in_a_body_is_recognised() -> None:
    for cap in ("application/EmergencyCallData.cap+xml", "application / EmergencyCallData.cap+xml;charset=utf-8"):
        headers = (f"Content-Type: {cap}",)
        assert class_of(request("MESSAGE", ORDINARY, headers=headers, body="<alert/>")) == "text"
    part = "--b\r\nContent-Type: application/emergencycalldata.CAP+xml\r\n\r\n<alert/>\r\n--b--\r\n"
    assert class_of(request("MESSAGE", ORDINARY, headers=("c: multipart / mixed;boundary=b",), body=part)) == "text"


@pytest.mark.parametrize("contact", ["<sip:ua1@192.0.2.10;sos>", "<sip:ua1@192.0.2.10>;sos", "sip:ua1@192.0.2.10;SOS"])
def test_an_emergency_registration_is_recognised(contact: str) -> None:
    assert class_of(request("REGISTER", "sip:ims.example", headers=(f"Contact: {contact}",))) == "registration"


@pytest.mark.parametrize("contact", ["<sip:sos@192.0.2.10>", '"sos" <sip:ua1@192.0.2.10>'])
def test_an_ordinary_registration_is_not(contact: str) -> None:
    raw = request("REGISTER", "sip:ims.example", to="<sip:911@ims.example>", headers=(f"Contact: {contact}",))
    assert mark(raw) is None


def test_the_evidence_names_the_place_and_the_source() -> None:
    found = mark(request(uri="urn:service:sos.police"))
    assert found is not None
    assert found.service == "urn:service:sos.police"
    assert found.evidence[0] == "request_uri urn:service:sos.police (RFC 5031 §4.2)"


def test_bytes_that_are_no_utf8_do_not_reach_the_record() -> None:
    found = mark(b"INVITE urn:service:sos;\xff SIP/2.0\r\n\r\n")
    assert found is not None
    found.evidence[0].encode()


def test_unreadable_bytes_that_name_the_service_are_recognised() -> None:
    assert recognise_bytes(b"INVITE URN:service:SOS", HERE) is not None
    assert recognise_bytes(b"\x80\x00 nothing", HERE) is None


@pytest.mark.parametrize(
    ("raw", "emergency_class"),
    [
        (b"INVITE urn:service:test.sos", "test"),
        (b"INVITE urn:service:test:sos\r\nTo: <urn:emergency:service:test.psap>", "test"),
        (b"INVITE urn:service:test.sos\r\nTo: <urn:service:sos>", "call"),
        (b"INVITE sip:911@h\r\nTo: <urn:service:test.sos>", "call"),
        (b"INVITE urn:nena:service:test-psap", "call"),
        (b"INVITE urn:nena:service:", "call"),
    ],
)
def test_unreadable_bytes_that_name_tests_alone_are_a_test(raw: bytes, emergency_class: str) -> None:
    found = recognise_bytes(raw, HERE)
    assert found is not None
    assert found.emergency_class == emergency_class


@pytest.mark.parametrize(
    "raw",
    [
        b"INVITE sip:911@psap.example\r\nVia: x\r\n\r\n",
        b"INVITE sip:911@psap.example;x=" + b"y" * 9000 + b" SIP/2.0\r\n\r\n",
        b"INVITE sip:911@psap.example SIP/2.0\r\n" + b"X: y\r\n" * 600 + b"\r\n",
        b"INVITE  <tel:9-1-1>\r\n",
        b"\0INVITE sip:911@h SIP/2.0\r\n\r\n",
        b"\xef\xbb\xbfINVITE sip:911@h SIP/2.0\r\n\r\n",
        b"INVITE\r\n sip:911@h SIP/2.0\r\n\r\n",
        b"INVITE sip:x@h\r\nTo: <sip:911@h>\r\n",
        b"INVITE sip:x@h\r\nt :\r\n <sip:911@h>\r\n",
        b"INVITE sip:x@h\r\nTo: <sip:y@h>\r\nTo: <sip:911@h>\r\n",
        b"INVITE sip:x@h\r\nRoute: <sip:p.example;lr>, <sip:911@h;lr>\r\n",
        b"INVITE sip:x@h\r\nResource-Priority: esnet.1\r\n",
        b"INVITE sip:x@h\r\nCall-Info: <urn:emergency:uid:callid:a:b>;purpose=emergency-CallId\r\n",
        b"INVITE sip:x@h\r\n" + b"X: y\r\n" * 400 + b"Priority: emergency\r\n" + b"X: y\r\n" * 400,
    ],
)
def test_an_unreadable_request_to_an_emergency_number_is_recognised(raw: bytes) -> None:
    found = recognise_bytes(raw, HERE)
    assert found is not None
    assert found.evidence[0].startswith("unreadable message: ")
    assert len(found.evidence[0]) < 300


def test_an_unreadable_callback_is_one() -> None:
    found = recognise_bytes(b"INVITE sip:x@h\r\nPriority: psap-callback\r\n", HERE)
    assert found is not None
    assert found.emergency_class == "callback"
    assert found.evidence == ("unreadable message: priority psap-callback (RFC 7090)",)


@pytest.mark.parametrize(
    "raw",
    [b"INVITE sip:9115551212@h\r\n", b"REGISTER sip:911@h\r\n", b"GET 911", b"hello 9112 world", b"", b"911 911 911"],
)
def test_other_unreadable_bytes_are_not(raw: bytes) -> None:
    assert recognise_bytes(raw.replace(b"GET 911", b"GET /911"), HERE) is None


def test_a_second_to_counts_too() -> None:
    raw = request("INVITE", ORDINARY, headers=("t: <sip:911@h>",))
    assert class_of(raw) == "call"
    assert class_of(request("INVITE", ORDINARY, to='"a, b" <sip:x@h>, <sip:911@h>')) == "call"
    assert mark(request("INVITE", ORDINARY, to='"a, <sip:911@h>" <sip:x@h>')) is None


def test_an_invite_whose_cseq_claims_another_method_is_still_a_call() -> None:
    assert class_of(request("INVITE", "sip:911@h").replace(b"1 INVITE", b"1 REGISTER")) == "call"


def test_a_text_that_only_mentions_an_alert_format_is_none() -> None:
    part = "--b\r\nContent-Type: text/plain\r\n\r\ncommon-alerting-protocol+xml\r\n--b--\r\n"
    raw = request("MESSAGE", ORDINARY, headers=("c: multipart/mixed;boundary=b",), body=part)
    assert mark(raw) is None


def test_of_hundreds_of_marks_the_first_are_the_evidence() -> None:
    """A call keeps its evidence, and each record of the call has it."""
    marks = tuple(f"Resource-Priority: esnet.{number}" for number in range(400))
    found = mark(request("INVITE", "urn:service:sos", headers=marks))
    assert found is not None
    assert found.evidence[0].startswith("request_uri urn:service:sos")
    assert len(found.evidence) < 50


@given(
    st.sampled_from(["911", "9911", "+1911", "+11911", "112", "933", "1933", "6175550199", "+", "9", "1911+"]),
    st.text("0129+@:;?%/.x <>", max_size=12),
)
def test_a_number_at_a_host_is_read_at_once_as_it_is_read_step_by_step(number: str, behind: str) -> None:
    """``SIP:`` goes the long way."""
    short, long = (request("INVITE", ORDINARY, to=f"<{scheme}:{number}@{behind}>") for scheme in ("sip", "SIP"))
    assert class_of(short) == class_of(long)
