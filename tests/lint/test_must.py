"""Promises of ``must:`` hold for every message, or a message that the engine decides otherwise is shown."""

import pytest

from firewall.lint.check import lint_policy
from firewall.lint.finding import Finding
from firewall.lint.must import check
from firewall.lint.probe import Questioner
from firewall.ruleset.policy import Policy
from tests.lint.policies import BESIDE_MANAGEMENT, policy, rule


def promising(when: str, verdict: str, rules: str = "", name: str = "promise") -> Policy:
    return policy(rules, extra=f"must:\n  - name: {name}\n    when: {when}\n    verdict: {verdict}\n")


def broken(when: str, verdict: str, rules: str = "") -> list[Finding]:
    """The findings, each with a witness that the engine decides so again."""
    tested = promising(when, verdict, rules)
    found = check(tested)
    for finding in found:
        assert finding.code == "SOS114"
        assert finding.witness is not None
        assert Questioner(tested).confirms(finding.witness)
    return found


NO_REGISTER = rule('sip.Method == "REGISTER"', "reject", name="no-register")

KEPT = {
    "what is wrong in any way is dropped": ("sip.anomaly and not emergency", "drop", rule("sip.anomaly")),
    "what is no message is dropped for each reason": ('malformed.reason == "stun"', "drop", rule("malformed")),
    "a method dropped everywhere": ('sip.Method == "REGISTER"', "drop", NO_REGISTER),
    "whatever its source": ('sip.Method == "REGISTER" and not zone.src == "carrier"', "drop", NO_REGISTER),
    "a text inside a longer one": ('sip.User-Agent == "scan-x"', "drop", rule('sip.User-Agent contains "scan"')),
    "emergency calls pass": ('emergency and zone.src == "carrier"', "allow", rule("not emergency", "reject")),
    "monitoring spared by the limit": (
        "net.src == 192.0.2.99",
        "allow",
        rule("not net.src == 192.0.2.99", more="limit: {rate: 5/1s, per: net.src}"),
    ),
    "monitoring spared by the ban": (
        "net.src == 192.0.2.99",
        "allow",
        rule('sip.Method == "PUBLISH" and not net.src == 192.0.2.99', more="ban: 10m"),
    ),
    "nobody meets it": ('sip.Method == "INVITE" and sip.Method == "BYE"', "allow", rule('sip.Method == "INVITE"')),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_promise_that_holds_is_no_finding(name: str) -> None:
    assert check(promising(*KEPT[name])) == []


BROKEN = {
    "by a rule that lets it pass": ('sip.Method == "REGISTER"', "drop", "", {"from-carrier", "from-psaps", None}),
    "by one address of a network": (
        "net.src == 192.0.2.0/24",
        "allow",
        rule("net.src == 192.0.2.77"),
        {"guilty"},
    ),
    "at one minute of the week": (
        'zone.src == "carrier"',
        "allow",
        rule("sip", more='schedule: {days: [sun], hours: "03:00-03:01", timezone: UTC}'),
        {"guilty"},
    ),
    "above a limit": ('zone.src == "carrier"', "allow", rule("sip", more="limit: {rate: 40/1s}"), {"guilty"}),
    "below a limit": (
        'sip.Method == "PUBLISH" and zone.src == "psap"',
        "drop",
        rule("sip", more="limit: {rate: 4/1s}"),
        {"from-psaps"},
    ),
    "only inside a call": (
        'zone.src == "carrier"',
        "allow",
        rule('dialog.state == "confirmed" and sip.Method == "INFO"'),
        {"guilty"},
    ),
    "only by a response": ('zone.src == "psap"', "allow", rule("sip.Status-Code == 486"), {"guilty"}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_promise_that_does_not_hold_names_the_rule_and_shows_the_message(name: str) -> None:
    when, verdict, rules, guilty = BROKEN[name]
    found = broken(when, verdict, rules)
    assert {finding.rule for finding in found} == guilty
    assert {finding.place.line for finding in found} == {7}


def test_a_stranger_is_outside_every_zone_and_counts_too() -> None:
    (finding,) = broken('sip.Method == "INVITE" and not dialog.state == "confirmed"', "allow")[:1]
    assert finding.rule is None
    assert finding.witness is not None
    assert finding.witness.reason == "default"


def test_a_ban_that_reaches_a_promised_address_breaks_the_promise() -> None:
    (finding,) = broken(
        'net.src == 192.0.2.99 and sip.Method == "OPTIONS"', "allow", rule('sip.Method == "PUBLISH"', more="ban: 10m")
    )
    assert finding.rule == "guilty"
    assert finding.witness is not None
    assert finding.witness.reason == "banned"
    assert {sent.datagram.src_ip for sent in finding.witness.sent} == {"192.0.2.99"}
    assert [sent.label for sent in finding.witness.sent] == ["PUBLISH", "OPTIONS"]


def test_a_shadow_rule_breaks_no_promise() -> None:
    assert check(promising('zone.src == "carrier"', "allow", rule("sip", more="mode: shadow"))) == []


def test_lint_refutes_a_policy_that_breaks_its_promise_and_proves_one_that_keeps_it() -> None:
    assert lint_policy(promising('sip.Method == "REGISTER"', "drop")).result == "refuted"
    assert lint_policy(promising('sip.Method == "REGISTER"', "drop", NO_REGISTER)).result == "proved"


def test_two_promises_that_one_rule_breaks_are_two_findings() -> None:
    promises = [
        f"  - {{name: {name}, when: net.src == {ip}, verdict: allow}}\n"
        for name, ip in (("one", "192.0.2.7"), ("two", "192.0.2.8"))
    ]
    tested = policy(rule("net.src == 192.0.2.0/24 and not emergency"), extra="must:\n" + "".join(promises))
    assert [finding.message.split('"')[1] for finding in check(tested)] == ["one", "two"]


def test_a_message_with_an_anomaly_breaks_a_promise() -> None:
    labels = [each.witness.name for each in broken('sip.anomaly == "conflicting_cseq"', "drop") if each.witness]
    assert set(labels) == {"ordinary INVITE with conflicting_cseq"}


def test_a_promise_about_anomalies_that_no_example_tells_stays_open() -> None:
    promise = 'sip.anomaly and sip.User-Agent contains "x" and not emergency'
    (found,) = check(promising(promise, "drop"))
    assert found.code == "SOS115"


def test_a_limit_of_many_a_second_is_exceeded_before_it_refills() -> None:
    limited = rule('sip.Method == "PUBLISH" and not emergency', more="limit: {rate: 500/1s, per: net.src}")
    assert broken('sip.Method == "PUBLISH" and zone.src == "carrier" and zone.dst == "psap"', "allow", limited)


def test_a_promise_about_what_no_message_of_the_model_has_stays_open() -> None:
    (found,) = check(promising("sip.Max-Forwards == 0", "drop"))
    assert found.code == "SOS115"


def test_a_promise_about_numbers_of_which_no_message_of_the_model_has_one_stays_open() -> None:
    (found,) = check(promising("sip.Max-Forwards in {0, 3} and not emergency", "drop", rule("sip.Max-Forwards == 3")))
    assert found.code == "SOS115"


def test_a_promise_is_about_packets_by_an_interface_of_no_zone_too() -> None:
    promise = 'must:\n  - {name: promise, when: zone.src == "carrier", verdict: drop}\n'
    (finding,) = check(policy(zones=BESIDE_MANAGEMENT, extra=promise))
    assert finding.code == "SOS114"
