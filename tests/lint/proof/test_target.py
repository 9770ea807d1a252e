from dataclasses import replace

import pytest

from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.settle import Literal, Settled, settle
from firewall.lint.proof.target import (
    MarkCarrier,
    TargetCarrier,
    mark_language,
    no_emergency,
    no_target,
    service_field,
    target_language,
)
from firewall.ruleset.emergency import recognise
from firewall.ruleset.expression import Field, Matches
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import parse_message

DEFINITION = EmergencyPolicy(numbers=("911", "112"), dial_prefixes=("9", "+1", "+4930"))
TARGETS = (
    "sip:911@psap.example",
    "sips:9112@psap.example;user=phone",
    "sip:+44911@psap.example",
    "SIP:%39%31%31@psap.example",
    "sip:9-1-1@psap.example",
    "sip:+49-30112@psap.example",
    "sip:911;phone-context=+1@psap.example",
    "tel:+1911",
    "tel:9911;phone-context=caller.example",
    "urn:service:sos",
    "URN:Service:SOS.Poison",
    "urn:nena:service:responder.fire",
    "urn:emergency:service:responder.fire",
    "911",
    "9911@psap.example",
    "urn:service:911",
    "urn:services:sos",
    "urn:service:sos;user=phone",
    "sip:911",
    "sips:9112;user=phone",
    "sip:urn:service:sos@psap.example",
)
ODD = ("911", "9911@", "urn:service:911", "urn:services:", "urn:service:sos;", "sip:911", "sips:9112;", "sip:urn:")
"""So begin those that no standard has: what makes a call without one an emergency is asked about with these free."""
INVITE = (
    b"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nFrom: <sip:a@caller.example>;tag=1\r\n"
    b"To: <sip:b@psap.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def holds(literal: Literal, uri: str) -> bool:
    facts = facts_of(INVITE % uri.encode())
    assert facts is not None
    return holds_of_message(literal.condition, facts) is literal.holds


@pytest.mark.parametrize("uri", TARGETS)
def test_a_target_is_one_of_those_that_are_emergencies_as_it_is(uri: str) -> None:
    language = target_language(uri, "r-uri", DEFINITION)
    assert language is not None
    assert holds(language, uri)
    assert uri.startswith(ODD) or not all(holds(each, uri) for each in no_target("r-uri", DEFINITION))


@pytest.mark.parametrize("uri", TARGETS)
@pytest.mark.parametrize("odd", ["[0-9]{3}.*%3", r"^sips:", "44", "[(]", r"\.[a-z]+\.", "context=.*z$", "1{3}"])
def test_whatever_such_a_language_allows_is_recognised(uri: str, odd: str) -> None:
    language = target_language(uri, "r-uri", DEFINITION)
    assert language is not None
    wanted = (language, Literal(Matches(Field("sip.r-uri"), odd), True))
    settled = settle(INVITE % uri.encode(), wanted, frozenset(), frozenset({"method"}))
    if isinstance(settled, Settled):
        assert recognise(parse_message(settled.payload), DEFINITION) is not None, settled.payload


@pytest.mark.parametrize(
    "uri",
    [
        "<urn:service:sos>",
        "sip:urn:service:sos",
        "sip:urn:service:x@a",
        "sip:1.1.1.2",
        "sip:+16175551212@a",
        "tel:19115",
    ],
)
def test_an_odd_target_or_an_ordinary_one_stays_as_it_is(uri: str) -> None:
    assert target_language(uri, "r-uri", DEFINITION) is None


def test_an_ordinary_target_is_none_of_them() -> None:
    assert all(holds(each, "sip:+16175551212@psap.example") for each in no_target("r-uri", DEFINITION))


@pytest.mark.parametrize("carrier", ["r-uri", "To"])
@pytest.mark.parametrize("uri", [*TARGETS, "sip:933@psap.example", "tel:9933", "933", "urn:service:test.sos.fire"])
def test_what_no_ordinary_target_may_be_are_emergencies_and_tests(uri: str, carrier: TargetCarrier) -> None:
    definition = replace(DEFINITION, test_numbers=("933",))
    assert recognise(parse_message(INVITE % uri.encode()), definition) is not None
    written = INVITE % b"sip:b@psap.example" if carrier == "To" else INVITE % uri.encode()
    written = written.replace(b"To: <sip:b@psap.example>", b"To: <%s>" % uri.encode()) if carrier == "To" else written
    facts = facts_of(written)
    assert facts is not None
    language = no_emergency(carrier, definition)
    assert not all(holds_of_message(each.condition, facts) is each.holds for each in language)


@pytest.mark.parametrize("numbers", [(), ("911",)])
@pytest.mark.parametrize(
    "uri", ["tel:+4930", "tel:9", "urn:x", "sip:9@a", "sip:1@a", "sip:9", "sip:9110@a", "urn:service:933"]
)
def test_any_other_target_is_an_ordinary_one(uri: str, numbers: tuple[str, ...]) -> None:
    definition = EmergencyPolicy(numbers=numbers, test_numbers=("933",), dial_prefixes=("9", "+1"))
    assert recognise(parse_message(INVITE % uri.encode()), definition) is None
    assert all(holds(each, uri) for each in no_emergency("r-uri", definition))


@pytest.mark.parametrize("number", ["+1911", "*911", "91*1", "112#"])
def test_a_number_is_no_regex(number: str) -> None:
    definition = EmergencyPolicy(numbers=(number,))
    for uri in (f"sip:{number.replace('#', '%23')}@psap.example", number):
        language = target_language(uri, "r-uri", definition)
        assert language is not None
        assert holds(language, uri)


MARKS: tuple[tuple[MarkCarrier, str], ...] = (
    ("Route", "<urn:service:sos>"),
    ("Resource-Priority", "wps.3, ESNET.1"),
    ("Priority", "Emergency"),
    ("Call-Info", "<http://a.example/x>;purpose=icon, <urn:nena:uid:callid:a1:b.example>;purpose=nena-CallId"),
    ("Call-Info", "<urn:emergency:uid:callid:a1:b.example>; purpose=emergency-CallId"),
    ("Call-Info", '<urn:emergency:uid:incidentid:a1:b.example> ;q=1;purpose = "emergency-IncidentId"'),
    ("Call-Info", "<urn:emergency:uid:callid:A_1@b.example>"),
    ("Call-Info", '<http://a/b,c>;x="d,e",<urn:emergency:uid:callid:a1:b.example>;purpose=emergency-CallId'),
)


@pytest.mark.parametrize(("carrier", "value"), MARKS)
def test_what_marks_a_message_is_one_of_those_marks(carrier: MarkCarrier, value: str) -> None:
    facts = facts_of(INVITE.replace(b"CSeq", f"{carrier}: {value}\r\nCSeq".encode()) % b"sip:b@psap.example")
    assert facts is not None
    assert holds_of_message(mark_language(carrier, value, DEFINITION).condition, facts)


@pytest.mark.parametrize(("carrier", "value"), MARKS)
@pytest.mark.parametrize("odd", ["[A-Z]{3}", ",", "9[-.]?1", "fire", "[ \\t]", "0|incident", r"\\|\"[^\"]*[<>]"])
def test_whatever_marks_a_message_is_recognised(carrier: MarkCarrier, value: str, odd: str) -> None:
    wanted = (
        mark_language(carrier, value, DEFINITION),
        Literal(Matches(Field("sip.header", carrier.lower()), f"(?-i){odd}"), True),
        *no_target("r-uri", DEFINITION),
        *no_target("To", DEFINITION),
    )
    settled = settle(INVITE % b"sip:b@psap.example", wanted, frozenset(), frozenset({"method"}))
    if isinstance(settled, Settled):
        assert recognise(parse_message(settled.payload), DEFINITION) is not None, settled.payload


@pytest.mark.parametrize(
    "label",
    ["t", "te", "tes", "tes.t", "test", "test.", "test.psap", "test-psap", "testing", "sos.test", "tst", ".test"],
)
def test_of_the_services_of_nena_those_for_tests_are_no_emergency(label: str) -> None:
    uri = f"urn:emergency:service:{label}"
    mark = recognise(parse_message(INVITE % uri.encode()), DEFINITION)
    assert mark is not None
    assert (target_language(uri, "r-uri", DEFINITION) is not None) == (mark.emergency_class == "call")


def test_the_service_is_read_off_a_urn_alone() -> None:
    urn, number = (target_language(uri, "To", DEFINITION) for uri in ("urn:nena:service:sos.psap", "sip:911@a"))
    assert urn is not None
    assert number is not None
    assert service_field(urn) == Field("sip.to.addr")
    assert service_field(number) is None
