from tests.lint.policies import CALLS, examined, rule, text


def told(rules: str) -> list[str]:
    (finding,) = (each for each in examined(text(rules, emergency=CALLS)).findings if each.is_error)
    return [sentence.partition(") ")[2] for sentence in finding.because if sentence.startswith('rule "')]


def test_each_rule_that_did_not_match_says_which_part_of_it_was_not_true() -> None:
    rules = (
        rule('sip.Method == "REGISTER" and not emergency', name="registrations", action="allow")
        + rule('sip.Method == "INVITE" and sip.User-Agent contains "scan"', name="scanners", action="allow")
        + rule('sip.Subject == "a" or sip.Subject == "b"', name="subjects", action="allow")
        + rule('sip.Method == "CANCEL"', name="guilty")
    )
    assert told(rules) == [
        'does not match: not true: sip.Method == "REGISTER"',
        'does not match: not true: sip.Method == "INVITE"',
        "does not match: none of 2 alternatives is true",
    ]


def test_a_rule_that_matched_and_did_not_decide_says_why() -> None:
    rules = (
        rule("sip", name="shadow", more="mode: shadow", action="allow")
        + rule("sip", name="limit", more="limit: {rate: 1000/1s, per: net.src}", action="allow")
        + rule("sip", name="night", more='schedule: {hours: "02:00-02:01", timezone: UTC}', action="allow")
        + rule('sip.Method == "CANCEL"', name="guilty")
    )
    assert told(rules)[:3] == [
        "is in shadow mode and decides nothing",
        "matches, but its limit is not reached (1000/1s per net.src)",
        "matches, but not at this time (mon,tue,wed,thu,fri,sat,sun 02:00-02:01 UTC)",
    ]


def test_of_many_rules_the_last_are_told() -> None:
    rules = "".join(rule(f'sip.Subject == "{number}"', name=f"r{number}", action="allow") for number in range(12))
    report = examined(text(rules + rule('sip.Method == "CANCEL"')))
    finding = next(each for each in report.findings if each.is_error)
    assert "the first 4 rules do not decide it either" in finding.because
    assert sum(sentence.startswith('rule "r') for sentence in finding.because) == 8
