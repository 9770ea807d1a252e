"""Settings beside the rules' verdicts: what changes is told with both values, names and order are no change."""

import pytest

from firewall.lint.setting import duration, renamed_rules, renamed_zones, settings
from tests.lint.policies import loaded, policy, rule, text


def changed(old: str, new: str) -> list[tuple[str, str, str]]:
    """What changes when a text of the policy is replaced by another."""
    before = text(rule("emergency", more="limit: {rate: 5/1s}"), extra="exceptions: {malformed: drop}\n")
    assert old in before
    return [(s.what, s.before, s.after) for s in settings(loaded(before), loaded(before.replace(old, new)))]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('numbers: ["911"]', 'numbers: ["911", "112"]', ("emergency.numbers", "911", "112, 911")),
        ("from: [carrier]", "from: [carrier, psap]", ("emergency.from", "carrier", "carrier, psap")),
        (
            "to: [psap]",
            "to: [psap], surge: {calls_per_second: 9, per_source: 5}",
            ("emergency.surge", "the default", "9 calls per second, 5 per source"),
        ),
        ("to: [psap]", "to: [psap], guard: alert", ("emergency.guard", "enforce", "alert")),
        ("malformed: drop", "malformed: allow", ("exceptions.malformed", "drop", "allow")),
        ("192.0.2.0/24]", "192.0.2.0/25]", ("zone carrier: networks", "192.0.2.0/24", "192.0.2.0/25")),
        ("[f1]", "[f2]", ("zone psap: interfaces", "f1", "f2")),
        ("{interfaces: [f1], ", "{", ("zone psap: interfaces", "f1", "any")),
        (
            "[198.51.100.0/24]",
            "[198.51.100.0/24], on_daemon_down: block",
            ("zone psap: on_daemon_down", "bypass", "block"),
        ),
        ("rules:", "signalling: {ports: [5070]}\nrules:", ("signalling.ports", "5060", "5070")),
        ("rules:", "media: {mode: shadow}\nrules:", ("media.mode", "enforce", "shadow")),
        ("rules:", "media: {ports: 10000-20000}\nrules:", ("media.ports", "1024-65535", "10000-20000")),
        ("rules:", "media: {other_ports: [4500]}\nrules:", ("media.other_ports", "none", "4500")),
        ("rules:", "media: {timeout: 20s}\nrules:", ("media.timeout", "1h", "20s")),
        ("rate: 5/1s", "rate: 6/1s", ('limit of rule "guilty"', "5/1s", "6/1s")),
        ("limit: {rate: 5/1s}", "mode: enforce", ('limit of rule "guilty"', "5/1s", "none")),
        (
            "rules:",
            "must: [{name: a, when: sip, verdict: allow}]\nrules:",
            ("must", "none", "allow: sip"),
        ),
    ],
)
def test_a_setting_that_changes_is_told_with_both_values(old: str, new: str, expected: tuple[str, str, str]) -> None:
    assert changed(old, new) == [expected]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: guilty", "name: other"),
        ("policy: test", "policy: other"),
        ("rate: 5/1s", "rate: 5/1000ms"),
        ("192.0.2.0/24]", "192.0.2.0/25, 192.0.2.128/25]"),
        ("from: [carrier]", "from: [carrier, carrier]"),
    ],
)
def test_names_and_ways_of_writing_are_no_change(old: str, new: str) -> None:
    assert changed(old, new) == []


def test_a_zone_of_another_name_is_the_same_zone() -> None:
    before = text(rule("emergency"))
    after = before.replace("carrier", "trunk")
    assert settings(loaded(before), loaded(after)) == []
    assert renamed_zones(loaded(before), loaded(after)) == {"carrier": "trunk"}


def test_a_shadow_rule_that_comes_or_goes_is_a_setting() -> None:
    shadow = rule("emergency", more="mode: shadow")
    (setting,) = settings(policy(""), policy(shadow))
    assert (setting.what, setting.before, setting.after) == ('shadow rule "guilty"', "none", "would drop")


def test_promises_are_compared_by_what_they_say() -> None:
    def promising(name: str, when: str) -> str:
        return f"must:\n  - {{name: {name}, when: '{when}', verdict: drop}}\n"

    before = policy("", extra=promising("a", "not sip"))
    assert settings(before, policy("", extra=promising("b", "!sip"))) == []
    assert [each.what for each in settings(before, policy("", extra=promising("a", "sip")))] == ["must", "must"]


def test_rules_are_told_as_gone_and_new() -> None:
    assert renamed_rules(policy(rule("sip", name="a")), policy(rule("sip", name="b"))) == (("a",), ("b",))


def test_a_time_is_written_as_in_a_policy() -> None:
    assert [duration(ns * 1_000_000) for ns in (500, 30_000, 600_000, 86_400_000)] == ["500ms", "30s", "10m", "24h"]
