from firewall.lint.proof.service import named_services
from tests.lint.policies import policy, rule


def test_without_a_rule_about_the_service_none_is_told_from_another() -> None:
    assert named_services(policy(rule('sip.r-uri contains "fire"'))) == ()


def test_each_condition_on_the_service_gets_a_service_that_meets_it() -> None:
    found = named_services(
        policy(rule('emergency.service == "urn:service:sos.x-rare" or emergency.service matches "gas$"'))
    )
    assert "urn:service:sos.x-rare" in found
    assert "urn:service:sos.mountain" in found


def test_a_condition_that_no_service_meets_adds_none() -> None:
    assert "urn:service:counseling" not in named_services(policy(rule('emergency.service == "urn:service:counseling"')))
