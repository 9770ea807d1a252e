import pytest

from tests.lint.policies import ZONES, codes, lint, only, rule

HARMLESS = 'sip.Method == "REGISTER" and not emergency'


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("net.src in {203.0.113.0/24}", "net.src == 203.0.113.9"),
        ('sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency', 'not emergency and sip.Method == "PUBLISH"'),
        ('sip.User-Agent contains "scan" and not emergency', 'sip.User-Agent contains "my-scanner" and not emergency'),
    ],
)
def test_a_rule_whose_messages_an_earlier_one_takes_is_unreachable(earlier: str, later: str) -> None:
    finding = only(lint(rule(earlier, name="first") + rule(later, "allow", name="second")))
    assert (finding.code, finding.rule) == ("SOS201", "second")
    assert '"first"' in finding.message


@pytest.mark.parametrize(
    "more",
    [
        "mode: shadow",
        "limit: {rate: 1/1s, per: net.src, burst: 1}",
        'schedule: {days: [mon], hours: "01:00-02:00", timezone: UTC}',
    ],
)
def test_a_rule_that_does_not_always_decide_makes_none_unreachable(more: str) -> None:
    report = lint(rule(HARMLESS, name="first", more=more) + rule(HARMLESS, "allow", name="second"))
    assert ("SOS201", "second") not in codes(report)


def test_a_rule_whose_next_does_the_same_is_redundant() -> None:
    rules = rule('sip.Method == "PUBLISH" and not emergency') + rule(
        'sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency', name="next"
    )
    assert codes(lint(rules)) == {("SOS202", "guilty")}
    assert lint(rules.replace("action: drop", "action: reject", 1)).findings == ()


def test_a_condition_that_contradicts_itself_is_found() -> None:
    assert codes(lint(rule('sip.Method == "PUBLISH" and sip.Method == "REFER"'))) == {("SOS203", "guilty")}
    assert codes(lint(rule('emergency and sip.Method == "PUBLISH" and not emergency'))) == {("SOS203", "guilty")}


def test_a_field_with_several_values_does_not_contradict_itself() -> None:
    two = 'sip.Method == "PUBLISH" and sip.Via == "a" and sip.Via == "b" and not emergency'
    assert lint(rule(two)).findings == ()


def test_a_default_that_allows_is_found() -> None:
    assert codes(lint(default="allow")) == {("SOS204", None)}


def test_a_shadow_rule_is_mentioned() -> None:
    assert codes(lint(rule(HARMLESS, more="mode: shadow"))) == {("SOS205", "guilty")}


def test_a_set_that_no_rule_uses_is_found_and_a_used_one_is_not() -> None:
    sets = "sets:\n  used: {values: [a]}\n  unused: {values: [b]}\n"
    finding = only(lint(rule("sip.User-Agent in $used and not emergency"), extra=sets))
    assert (finding.code, finding.message) == ("SOS206", 'no rule uses the set "unused"')


def test_a_zone_of_one_family_among_zones_of_two_is_found() -> None:
    one = ZONES.replace(', "2001:db8:2::/64"', "")
    assert only(lint(zones=one)).message.startswith('zone "psap" has IPv4 networks only')
    assert lint(zones=one.replace(', "2001:db8:1::/64"', "")).findings == ()


@pytest.mark.parametrize("guard", ["alert", "off"])
def test_a_guard_that_does_not_let_calls_pass_is_found(guard: str) -> None:
    emergency = f"emergency: {{from: [carrier], to: [psap], guard: {guard}}}\n"
    assert codes(lint(emergency=emergency)) == {("SOS208", None)}


def test_a_policy_without_zones_is_told_that_lint_cannot_know_who_calls_whom() -> None:
    allow = '  - name: all\n    when: sip.Method in {"INVITE", "MESSAGE", "OPTIONS"}\n    action: allow\n'
    assert codes(lint(zones="", emergency="", after=allow)) == {("SOS209", None)}
