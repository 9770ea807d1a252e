import pytest

from firewall.lint.hygiene.settings import check
from tests.lint.policies import policy, rule

FLOOD = 'sip.Method == "REGISTER" and not zone.src == "carrier" and not emergency'


def codes(rules: str = "", **options: str) -> list[tuple[str, str | None]]:
    return [(each.code, each.rule) for each in check(policy(rules, **options))]


@pytest.mark.parametrize(
    ("per", "found"),
    [("net.src", []), ("[ip.src, sip.from.user]", []), ("sip.Call-ID", []), ("sip.from.user", [("SOS226", "guilty")])],
)
def test_a_ban_by_a_limit_that_does_not_count_each_source_is_found(per: str, found: list[tuple[str, str]]) -> None:
    assert codes(rule(FLOOD, more=f"limit: {{rate: 10/1s, per: {per}, burst: 20}}\nban: 1m")) == found


def test_a_limit_without_a_ban_may_count_what_it_likes() -> None:
    assert codes(rule(FLOOD, more="limit: {rate: 10/1s, per: sip.from.user, burst: 20}")) == []


def test_a_default_that_allows_is_found() -> None:
    assert codes(default="allow") == [("SOS204", None)]


def test_a_shadow_rule_is_mentioned() -> None:
    assert codes(rule(FLOOD, more="mode: shadow")) == [("SOS205", "guilty")]


@pytest.mark.parametrize("guard", ["alert", "off"])
def test_a_guard_that_does_not_let_calls_pass_is_found(guard: str) -> None:
    assert codes(emergency=f"emergency: {{from: [carrier], to: [psap], guard: {guard}}}\n") == [("SOS208", None)]


def test_a_policy_without_zones_is_told_that_lint_cannot_know_who_calls_whom() -> None:
    assert codes(zones="", emergency="", after=rule("sip", "allow")) == [("SOS209", None)]


def test_an_emergency_that_nobody_can_dial_is_found() -> None:
    assert codes(emergency="emergency: {numbers: [], from: [carrier], to: [psap]}\n") == [("SOS232", None)]
