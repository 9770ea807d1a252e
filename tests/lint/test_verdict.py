import pytest

from tests.lint.policies import CALLS, IPV4_ZONES, lint, only, rule

WHOLE = "  - name: all\n    when: sip\n    action: allow\n"
INFO = 'sip.Method == "INFO" and emergency.class == "call"'


def test_a_message_without_a_mark_is_not_said_to_have_one() -> None:
    finding = only(lint(rule('sip.Method == "OPTIONS" and not emergency')))
    assert "carries no emergency mark" in finding.because[0]


@pytest.mark.parametrize(("action", "verb"), [("drop", "drops"), ("reject", "rejects")])
def test_the_sentence_says_what_is_done_to_what(action: str, verb: str) -> None:
    finding = only(lint(rule(INFO, action)))
    assert finding.message == f'rule "guilty" {verb} the INFO of an emergency call'


def test_a_port_that_the_psap_does_not_listen_on_is_explained() -> None:
    asked, answered, connected = (
        lint(rule(when)).findings[0].because
        for when in (
            'udp.srcport != 5060 and zone.src == "psap" and sip.Method == "UPDATE"',
            'udp.dstport != 5060 and zone.src == "carrier"',
            'tcp.dstport != 5060 and zone.src == "carrier"',
        )
    )
    assert "the PSAP asks from port 32768, not from 5060, where it listens" in asked
    assert "the PSAP asks from port 32768, not from 5060, where it listens" in answered
    assert "it goes over a connection that the PSAP opened from port 32768, not one to 5060" in connected
    assert not any("32768" in each for each in lint(rule("udp.srcport < 1024")).findings[0].because)


def test_a_response_is_called_by_the_status_that_is_blocked() -> None:
    finding = lint(rule('sip.Status-Code == 486 and sip.CSeq.method in {"BYE", "INFO"}')).findings[0]
    assert finding.message == 'rule "guilty" drops the 486 (BYE) of an emergency call'
    assert "it blocks too: 486 (INFO)" in finding.because


def test_a_request_that_no_rule_tells_from_a_response_keeps_its_name() -> None:
    finding = next(each for each in lint(rule("zone.src")).findings if each.code == "SOS107")
    assert "it blocks too: 200 OK (OPTIONS)" in finding.because


def test_the_help_names_the_rule_to_mend() -> None:
    assert 'rule "guilty"' in only(lint(rule(INFO))).help


@pytest.mark.parametrize(
    ("when", "more", "help_"),
    [
        ("emergency", "", 'Delete rule "guilty" or let it allow'),
        ('emergency.class in {"call", "test"} and sip.Method == "INVITE"', "", 'Delete rule "guilty" or let it allow'),
        ("emergency", "limit: {rate: 5/1s}", 'Delete rule "guilty", raise its limit or let it allow'),
        ("sip.Subject or emergency", "", "Add `and not emergency`"),
    ],
)
def test_a_rule_about_emergencies_alone_is_not_mended_by_exempting_them(when: str, more: str, help_: str) -> None:
    assert lint(rule(when, more=more)).findings[0].help.startswith(help_)


def test_the_help_for_a_ban_names_the_zones_of_this_policy() -> None:
    zones, emergency = (each.replace("carrier", "osp") for each in (IPV4_ZONES, CALLS))
    report = lint(rule("sip.Subject", more="ban: 1h"), zones=zones, emergency=emergency, after=WHOLE)
    banned = next(each for each in report.findings if each.code == "SOS109")
    assert '`and not zone.src in {"osp", "psap"}`' in banned.help


def test_a_ban_in_a_rule_about_zones_of_emergency_calls_alone_must_go() -> None:
    report = lint(rule('zone.src in {"carrier", "psap"} and sip.Subject', more="ban: 1h"), emergency=CALLS)
    banned = next(each for each in report.findings if each.code == "SOS109")
    assert banned.help.startswith('Delete the `ban` of rule "guilty"')


def test_what_carries_no_mark_is_not_helped_by_a_rule_about_emergencies() -> None:
    location = CALLS.replace("[voice]", "[voice, location]")
    exempt = lint(rule('sip.Method == "NOTIFY" and not emergency'), emergency=location)
    assert only(exempt).help == 'Put a rule before rule "guilty" that allows the NOTIFY; `emergency` is not true of it.'
    marked = rule("emergency", name="calls", action="allow")
    blocked = next(each for each in lint(after=marked, emergency=location).findings if each.code == "SOS102")
    assert blocked.help == "Add a rule that allows the SUBSCRIBE; `emergency` is not true of it."
    kept_alive = next(each for each in lint(after="").findings if each.code == "SOS107")
    assert "Allow OPTIONS between the zones" in kept_alive.help


def test_where_no_rule_is_at_fault_the_default_is() -> None:
    after = '  - name: calls\n    when: sip.Method in {"INVITE", "OPTIONS"}\n    action: allow\n'
    finding = next(each for each in lint(after=after).findings if each.is_error)
    assert (finding.code, finding.rule, finding.place.line) == ("SOS106", None, 10)
    assert finding.message.startswith("no rule matches, and the default drops")
    assert finding.help == "Add a rule that allows it: `when: emergency`, `action: allow`."


def test_where_calls_are_blocked_that_test_calls_are_too_is_no_news() -> None:
    assert "SOS110" not in {finding.code for finding in lint(rule('sip.Method == "INVITE"')).findings}


@pytest.mark.parametrize(
    ("when", "more", "code"),
    [
        ('sip.Method == "INVITE"', "", "SOS101"),
        ('sip.Method == "ACK"', "", "SOS102"),
        ("ip", "limit: {rate: 1/1h, per: net.src, burst: 1}", "SOS103"),
        ("ip and emergency", 'schedule: {days: [mon], hours: "00:00-24:00", timezone: UTC}', "SOS104"),
    ],
)
def test_the_code_says_what_the_blocked_message_was_to_the_call_and_when(when: str, more: str, code: str) -> None:
    assert code in {each.code for each in lint(rule(when, more=more)).findings}
