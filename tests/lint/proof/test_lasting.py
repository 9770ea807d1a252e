import pytest

from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.flow import FLOWS
from firewall.lint.form import BROKEN_STYLES, Form
from firewall.lint.probe import Probe
from firewall.lint.proof import kinds
from firewall.lint.proof.kinds import MAX_KINDS, UntoldError
from firewall.lint.proof.lasting import lasting_forms, named_services
from firewall.ruleset.emergency import recognise
from firewall.ruleset.expression import atoms
from firewall.ruleset.policy import EmergencyPolicy
from firewall.sip.message import parse_message
from tests.lint.policies import condition

PAIR = Pair(Endpoint("192.0.2.10"), Endpoint("198.51.100.10"))
REGISTRATION = next(flow for flow in FLOWS if flow.form_flow == "registration")


def lasting(when: str) -> tuple[tuple[Form, ...], tuple[str, ...]]:
    return lasting_forms(EmergencyPolicy(), list(atoms(condition(when))))


def test_no_form_lasts_where_no_rule_could_tell() -> None:
    assert lasting('sip.User-Agent contains "scan"') == ((), ())


def test_a_service_that_a_rule_names_is_asked_for_in_calls_and_in_texts() -> None:
    forms, _ = lasting('emergency.service == "urn:service:sos.fire"')
    flows = {form.flow for form in forms if form.request_uri == "urn:service:sos.fire"}
    assert flows == {"voice", "rtt", "text"}


def test_who_writes_in_a_broken_way_writes_every_message_so() -> None:
    forms, _ = lasting("sip.anomaly")
    for flow in ("voice", "rtt", "text", "registration"):
        assert [form.style.name for form in forms if form.flow == flow] == [style.name for style in BROKEN_STYLES]


def test_services_that_cannot_be_told_apart_are_no_forms_and_the_reason_is_told() -> None:
    many = " or ".join(f'emergency.service == "urn:service:sos.x{number}"' for number in range(MAX_KINDS + 1))
    forms, untold = lasting(many)
    assert forms == ()
    assert str(MAX_KINDS) in str(untold)


def test_an_emergency_registration_is_one_however_it_is_written() -> None:
    registrations = [form for form in lasting("sip.anomaly")[0] if form.flow == "registration"]
    assert registrations
    for form in registrations:
        (message, *_) = Probe(REGISTRATION, form, PAIR, 0).steps()
        assert recognise(parse_message(message.payload), EmergencyPolicy()) is not None, form.name
        assert form.style.odd_headers == next(s for s in BROKEN_STYLES if s.name == form.style.name).odd_headers


def named(when: str) -> tuple[str, ...]:
    return named_services(atoms(condition(when)))


def test_without_a_rule_about_the_service_none_is_told_from_another() -> None:
    assert named('sip.r-uri contains "fire"') == ()


def test_each_condition_on_the_service_gets_a_service_that_meets_it() -> None:
    found = named('emergency.service == "urn:service:sos.x-rare" or emergency.service matches "gas$"')
    assert "urn:service:sos.x-rare" in found
    assert "urn:service:sos.gas" in found


def test_each_condition_gets_services_of_both_families_that_do_not_meet_it() -> None:
    assert named('emergency.service == "urn:service:sos.fire"') == (
        "urn:service:sos",
        "urn:service:sos.fire",
        "urn:nena:service:sos.psap",
    )


def test_conditions_that_a_service_can_meet_together_get_one_that_meets_them() -> None:
    found = named('emergency.service contains "x" and emergency.service contains "y"')
    assert [service for service in found if "x" in service and "y" in service]


def test_a_condition_that_no_service_meets_adds_none() -> None:
    assert named('emergency.service == "urn:service:counseling"') == ("urn:service:sos", "urn:nena:service:sos.psap")


def test_a_hundred_services_by_name_are_told_apart_soon() -> None:
    names = [f"urn:service:sos.county-{number}" for number in range(100)]
    assert set(names) < set(named(" or ".join(f'emergency.service == "{each}"' for each in names)))


def test_more_kinds_of_services_than_can_be_asked_about_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "MAX_KINDS", 2)
    with pytest.raises(UntoldError, match="the rules tell more than 2 emergency services apart"):
        named('emergency.service contains "x" and emergency.service contains "y"')
