import pytest

from firewall.lint.proof import service
from firewall.lint.proof.service import UntoldServicesError, named_services
from firewall.ruleset.expression import atoms
from tests.lint.policies import condition


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
    monkeypatch.setattr(service, "MAX_SERVICES", 2)
    with pytest.raises(UntoldServicesError, match="the rules tell more than 2 emergency services apart"):
        named('emergency.service contains "x" and emergency.service contains "y"')
