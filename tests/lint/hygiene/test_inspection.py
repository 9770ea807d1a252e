import pytest

from firewall.lint.hygiene.inspection import check
from tests.lint.policies import policy, rule

HARMLESS = 'sip.Method == "REGISTER" and not emergency'


def codes(rules: str) -> set[tuple[str, str | None]]:
    return {(each.code, each.rule) for each in check(policy(rules))}


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("net.src in {203.0.113.0/24}", "net.src == 203.0.113.9"),
        ('sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency', 'not emergency and sip.Method == "PUBLISH"'),
        ('sip.User-Agent contains "scan" and not emergency', 'sip.User-Agent contains "my-scanner" and not emergency'),
        ('sip.User-Agent matches "^scan"', 'sip.User-Agent in {"Scanner", "SCAN/2"}'),
        ("emergency", 'sip.Method == "INVITE" and sip.r-uri.user == "911"'),
    ],
)
def test_a_rule_whose_messages_an_earlier_one_takes_is_unreachable(earlier: str, later: str) -> None:
    action = "allow" if earlier != "emergency" else "drop"
    first = rule(earlier, "drop" if action == "allow" else "allow", name="first")
    (finding,) = check(policy(first + rule(later, action, name="second")))
    assert (finding.code, finding.rule) == ("SOS201", "second")
    assert 'rule "first" takes' in finding.message
    assert finding.because[0].startswith('"first" (line 7) matches: ')


@pytest.mark.parametrize(
    "more",
    [
        "mode: shadow",
        "limit: {rate: 1/1s, per: net.src, burst: 1}",
        'schedule: {days: [mon], hours: "01:00-02:00", timezone: UTC}',
    ],
)
def test_a_rule_that_does_not_always_decide_makes_none_unreachable(more: str) -> None:
    assert ("SOS201", "second") not in codes(rule(HARMLESS, name="first", more=more) + rule(HARMLESS, name="second"))


def test_a_condition_that_contradicts_itself_is_found() -> None:
    assert codes(rule('sip.Method == "PUBLISH" and sip.Method == "REFER"')) == {("SOS203", "guilty")}
    assert codes(rule('emergency and sip.Method == "PUBLISH" and not emergency')) == {("SOS203", "guilty")}
    assert codes(rule('sip.Method == "PUBLISH" and sip.User-Agent matches "$x"')) == {("SOS223", "guilty")}


def test_a_field_with_several_values_does_not_contradict_itself() -> None:
    assert codes(rule('sip.Method == "PUBLISH" and sip.Via == "a" and sip.Via == "b" and not emergency')) == set()


def test_the_parts_that_an_opposite_rule_takes_are_named() -> None:
    rules = rule(HARMLESS, name="first") + rule(
        'net.src == 192.0.2.9 and not emergency and sip.Method in {"REGISTER", "PUBLISH"}', "reject", name="same"
    )
    assert codes(rules) == set()
    opposite = rules.replace("action: drop", "action: allow", 1).replace("and not emergency", "", 1)
    (finding,) = [each for each in check(policy(opposite)) if each.code == "SOS221"]
    assert finding.message == 'rule "same" never decides on `"REGISTER"`: rule "first" takes all of that'
