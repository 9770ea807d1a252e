from unittest.mock import patch

import pytest

from firewall.lint.hygiene.opening import check
from firewall.lint.hygiene.reach import Reach
from tests.lint.policies import policy, rule


def guilty(rules: str, zones: str | None = None) -> list[str | None]:
    tested = policy(rules) if zones is None else policy(rules, zones=zones, emergency="", after="")
    reach = Reach(tested)
    list(reach.findings())
    return [each.rule for each in check(tested, reach)]


def test_a_rule_that_lets_ordinary_messages_in_from_anywhere_is_found() -> None:
    assert guilty(rule('sip.Method == "REGISTER"', "allow")) == ["guilty"]
    assert guilty(rule('not zone.src == "psap" and sip', "allow")) == ["guilty"]


@pytest.mark.parametrize(
    "when",
    [
        'zone.src == "carrier" and sip.Method == "INVITE" or sip.Method == "ACK"',
        'zone.src == "carrier" or sip.Method == "OPTIONS"',
        'sip and (net.src == 203.0.113.7 or zone.src == "carrier" or sip.Status-Code)',
        'not (sip and not zone.src == "psap" and sip.Method == "INVITE")',
    ],
)
def test_an_alternative_that_names_no_zone_is_open_whatever_the_others_name(when: str) -> None:
    assert guilty(rule(when, "allow")) == ["guilty"]


def test_the_members_of_a_list_are_not_looked_at_one_by_one() -> None:
    """There are policies with thousands of rules that list addresses."""
    tested = policy(rule(f"net.src in {{{', '.join(f'10.0.0.{n}' for n in range(40))}}}", "allow"), after="")
    reach = Reach(tested)
    with patch.object(reach.sampler, "made_for", wraps=reach.sampler.made_for) as made_for:
        assert list(check(tested, reach)) == []
    assert made_for.call_count == 1


def test_what_passes_is_called_what_it_is() -> None:
    tested = policy(rule("sip.Status-Code == 200", "allow"))
    (found,) = check(tested, Reach(tested))
    assert "for example a response from 126.77.88.99" in found.message


def test_what_is_open_to_emergencies_to_zones_or_to_named_hosts_is_not() -> None:
    assert guilty(rule("emergency", "allow")) == []
    assert guilty(rule('zone.src == "carrier" and sip', "allow")) == []
    assert guilty(rule("net.src == 203.0.113.7", "allow")) == []
    assert guilty(rule("sip", "drop", name="first") + rule('sip.Method == "REGISTER"', "allow")) == []
    assert guilty(rule("sip", "allow", more="mode: shadow")) == []


def test_without_zones_nothing_is_outside() -> None:
    assert guilty(rule("sip", "allow"), zones="") == []


def test_half_of_all_addresses_is_anyone() -> None:
    assert guilty(rule("net.src == 128.0.0.0/1", "allow")) == ["guilty"]
    assert guilty(rule("net.src == 0.0.0.0/1", "allow")) == ["guilty"]
