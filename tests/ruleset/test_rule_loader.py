"""Rules, limits and schedules become values."""

import pytest

from firewall.ruleset.expression import Comparison, Field, Membership, SetMembers
from firewall.ruleset.policy import Limit, Rule
from firewall.ruleset.schedule import DAY_S, UTC, Schedule
from tests.ruleset.test_evaluate import CALL, NO_SIP
from tests.ruleset.test_load import load

MINUTE = 60_000_000_000


def rule(text: str) -> Rule:
    return load(f"policy: p\ndefault: drop\nrules:\n  - {{name: r, {text}}}\n").rules[0]


def test_a_rule_without_options_has_the_defaults() -> None:
    found = rule("action: drop")
    assert (found.name, found.action, found.when, found.when_text) == ("r", "drop", None, "")
    assert (found.status, found.ban_ns, found.limit, found.schedule, found.shadow) == (403, None, None, None, False)
    assert str(found.place) == "p.yaml:4:5"
    assert found.matches(CALL)
    assert found.matches(NO_SIP)


def test_when_is_kept_as_text_as_tree_and_compiled() -> None:
    found = rule("action: allow, when: 'sip.Method   ==\n      \"INVITE\"'")
    assert found.when_text == 'sip.Method == "INVITE"'
    assert found.when == Comparison(Field("sip.Method"), "==", "INVITE")
    assert found.matches(CALL)
    assert not found.matches(NO_SIP)


def test_options_stand_beside_their_action() -> None:
    assert rule("action: reject, status: 503").status == 503
    assert rule("action: drop, ban: 10m").ban_ns == 10 * MINUTE
    assert rule("action: drop, ban: 24h").ban_ns == 24 * 60 * MINUTE
    assert rule("action: drop, mode: shadow").shadow
    assert not rule("action: drop, mode: enforce").shadow


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ("{rate: 30/2s}", Limit(30, 2_000_000_000, 30, (), "30/2s")),
        ("{rate: 1/500ms, burst: 5}", Limit(1, 500_000_000, 5, (), "1/500ms, burst 5")),
        ("{rate: 30/1m, per: net.src}", Limit(30, MINUTE, 30, ("net.src",), "30/1m per net.src")),
        (
            "{rate: 5/1h, burst: 9, per: [net.src, sip.r-uri.user]}",
            Limit(5, 60 * MINUTE, 9, ("net.src", "sip.r-uri.user"), "5/1h per net.src, sip.r-uri.user, burst 9"),
        ),
    ],
)
def test_a_limit_is_a_token_bucket(limit: str, expected: Limit) -> None:
    assert rule(f"action: drop, limit: {limit}").limit == expected


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("{timezone: UTC}", Schedule(frozenset(range(7)), 0, DAY_S, UTC)),
        ("{timezone: UTC, days: [sat, sun]}", Schedule(frozenset({5, 6}), 0, DAY_S, UTC)),
        ('{timezone: UTC, hours: "22:00-06:30"}', Schedule(frozenset(range(7)), 22 * 3600, 6 * 3600 + 1800, UTC)),
        ('{timezone: UTC, hours: "08:00-24:00"}', Schedule(frozenset(range(7)), 8 * 3600, DAY_S, UTC)),
        ('{timezone: UTC, hours: "22:00-00:00"}', Schedule(frozenset(range(7)), 22 * 3600, 0, UTC)),
    ],
)
def test_a_schedule_is_days_and_hours(schedule: str, expected: Schedule) -> None:
    assert rule(f"action: drop, schedule: {schedule}").schedule == expected


def test_a_promise_has_a_name_a_condition_and_a_verdict_and_may_use_sets() -> None:
    written = "{name: quiet, when: 'sip.User-Agent in   $agents', verdict: drop}"
    policy = load(f"policy: p\ndefault: drop\nrules: []\nsets: {{agents: {{values: [a]}}}}\nmust:\n  - {written}\n")
    (must,) = policy.must
    assert (must.name, must.verdict, must.when_text) == ("quiet", "drop", "sip.User-Agent in $agents")
    assert must.when == Membership(Field("sip.User-Agent"), (SetMembers("agents", frozenset({"a"})),))
    assert str(must.place) == "p.yaml:6:5"


def test_a_policy_without_promises_has_none() -> None:
    assert load("policy: p\ndefault: drop\nrules: []\n").must == ()
