import pytest

from tests.lint.policies import IPV4_ZONES, codes, lint, only, rule

BAN = "ban: 10m"


def test_a_ban_that_an_ordinary_message_of_a_trunk_triggers_is_found() -> None:
    finding = only(lint(rule('sip.User-Agent contains "friendly-scanner" and not emergency', more=BAN)))
    assert (finding.code, finding.rule) == ("SOS109", "guilty")
    assert "an INVITE from 192.0.2.10 triggers the ban" in finding.because
    assert finding.witness is not None
    assert finding.witness.reason == "banned"
    assert [sent.label for sent in finding.witness.sent] == ["INVITE", "INVITE"]


def test_the_tool_that_only_the_rule_knows_triggers_the_ban_too() -> None:
    assert codes(lint(rule('sip.User-Agent == "some odd tool" and not emergency', more=BAN))) == {("SOS109", "guilty")}


def test_a_ban_that_spares_the_zones_of_emergency_calls_is_harmless() -> None:
    spares = 'sip.User-Agent contains "friendly-scanner" and not zone.src in {"carrier", "psap"} and not emergency'
    assert lint(rule(spares, more=BAN)).findings == ()


@pytest.mark.parametrize("what", ['sip.Method == "PUBLISH"', "sip.Status-Code == 404", "malformed"])
def test_a_ban_that_a_psap_triggers_is_found_because_its_answers_are_dropped_then(what: str) -> None:
    finding = only(lint(rule(f'zone.src == "psap" and {what} and not emergency', more=BAN)))
    assert (finding.code, finding.rule) == ("SOS109", "guilty")
    assert finding.witness is not None
    assert finding.witness.reason == "banned"
    assert finding.witness.sent[-1].datagram.src_ip == finding.witness.sent[0].datagram.src_ip


@pytest.mark.parametrize(
    "what",
    [
        'sip.Method == "BYE" and sip.to.tag and dialog.state == "none"',
        'sip.Method == "INVITE" and sip.to.tag',
        'sip.Method == "CANCEL" and dialog.state == "early"',
        'sip.Status-Code == 401 and sip.CSeq.method == "REGISTER"',
        "sip.Status-Code == 777",
        'sip.Status-Code in {100..199} and zone.src == "psap"',
        'sip.anomaly == "bare_cr"',
        'sip.r-uri matches "^tel:" and sip.to.tag',
        *(f'dialog.state == "{state}"' for state in ("early", "confirmed", "terminated")),
    ],
)
def test_a_ban_that_a_message_within_an_ordinary_call_triggers_is_found(what: str) -> None:
    finding = only(lint(rule(f"{what} and not emergency", more=BAN)))
    assert (finding.code, finding.rule) == ("SOS109", "guilty")
    assert finding.witness is not None
    assert finding.witness.reason == "banned"


def test_a_ban_for_an_anomaly_together_with_what_no_odd_message_here_has_is_not_decided() -> None:
    finding = only(lint(rule('sip.anomaly and sip.Method == "REGISTER" and not emergency', more=BAN)))
    assert (finding.code, finding.rule) == ("SOS115", "guilty")
    assert 'whether rule "guilty" bans who sends the REGISTER' in finding.message
    assert '`and not zone.src in {"carrier", "psap"}`' in finding.help
    strangers = 'sip.anomaly and sip.Method == "REGISTER" and not zone.src in {"carrier", "psap"}'
    assert lint(rule(strangers, more=BAN)).findings == ()


@pytest.mark.parametrize("what", ["tcp", "frame.len > 2000", 'malformed.reason == "message_too_large"'])
def test_a_ban_for_what_is_no_sip_but_not_as_it_is_sent_here_is_not_decided(what: str) -> None:
    assert codes(lint(rule(f"malformed and {what}", more=BAN))) == {("SOS115", "guilty")}
    assert lint(rule(f'malformed and {what} and not zone.src in {{"carrier", "psap"}}', more=BAN)).findings == ()


def test_an_ordinary_call_that_was_set_up_before_the_rules_were_loaded_triggers_a_ban_too() -> None:
    closed = rule('sip.Method == "INVITE" and not emergency', name="closed")
    finding = only(lint(closed + rule('dialog.state == "confirmed" and not emergency', more=BAN)))
    assert (finding.code, finding.rule, finding.witness) == ("SOS109", "guilty", None)


def test_a_ban_of_addresses_that_no_emergency_call_comes_from_is_harmless() -> None:
    assert lint(rule("net.src in {203.0.113.0/24}", more=BAN)).findings == ()


def test_a_ban_by_a_limit_is_found_when_ordinary_traffic_meets_the_limit() -> None:
    pike = rule(
        'sip.Method == "REGISTER" and not emergency', more=f"limit: {{rate: 30/2s, per: net.src, burst: 30}}\n{BAN}"
    )
    finding = only(lint(pike))
    assert (finding.code, finding.rule) == ("SOS109", "guilty")


def test_a_limit_of_many_a_second_is_met_before_it_refills() -> None:
    for rate in ("50/1s", "1500/1s"):
        flood = rule('sip.Method == "INVITE" and not emergency', more=f"limit: {{rate: {rate}, per: net.src}}\n{BAN}")
        assert codes(lint(flood)) == {("SOS109", "guilty")}


def test_what_triggers_a_ban_is_named_as_in_a_sentence() -> None:
    finding = only(lint(rule("sip.Status-Code == 401 and not emergency", more=BAN)))
    assert any(text.startswith("a 401 (") for text in finding.because)


@pytest.mark.parametrize("what", ["not emergency", "udp.srcport == 6000"])
def test_a_ban_for_what_is_no_sip_is_found(what: str) -> None:
    assert codes(lint(rule(f"malformed and {what}", more=BAN))) == {("SOS109", "guilty")}
    assert lint(rule(f"malformed and {what} and udp.dstport == 22 and udp.srcport == 6000", more=BAN)).findings == ()


@pytest.mark.parametrize(
    "what",
    [
        'sip.Method matches "^fo"',
        'malformed and udp.srcport == 5060 and udp.dstport == 34000 and zone.src == "psap"',
        'sip.anomaly == "bare_cr" and udp.srcport == 40000',
        'sip.Method == "INVITE" and udp.dstport == 5080 and udp.srcport == 5080',
        'emergency.class == "test"',
        'emergency.class == "registration"',
        'sip.Method == "REFER"',
        "net.dst == 203.0.113.7",
    ],
)
def test_a_ban_that_whatever_either_side_sends_to_anyone_triggers_is_found(what: str) -> None:
    assert ("SOS109", "guilty") in codes(lint(rule(what, more=BAN)))


def test_a_ban_by_a_limit_of_one_call_is_found_as_anybody_may_send_so_much_in_one() -> None:
    retransmitted = 'sip.Method == "INVITE" and not emergency'
    finding = only(lint(rule(retransmitted, more=f"limit: {{rate: 5/10s, per: sip.Call-ID}}\n{BAN}")))
    assert (finding.code, finding.rule) == ("SOS109", "guilty")


def test_a_ban_of_a_family_that_only_one_side_has_is_harmless() -> None:
    zones = IPV4_ZONES.replace("192.0.2.0/24", '192.0.2.0/24, "2001:db8:1::/64"')
    assert ("SOS109", "guilty") not in codes(lint(rule("ipv6", more=BAN), zones=zones))


def test_a_rule_that_drops_without_a_ban_shuts_nobody_out() -> None:
    assert lint(rule('sip.User-Agent contains "friendly-scanner" and not emergency')).findings == ()


def test_of_many_bans_each_that_a_trunk_triggers_is_found_and_no_other() -> None:
    """They are asked about together: what one takes first must not hide the next."""
    harmless = "".join(rule(f"net.src == 203.0.113.{n}", more=BAN, name=f"far{n}") for n in range(20))
    guilty = rule('sip.User-Agent == "odd"', more=BAN, name="odd") + rule('sip.Method == "PUBLISH"', more=BAN, name="p")
    found = lint(harmless + guilty + rule("net.src == 203.0.113.99", more=BAN, name="behind"))
    assert {each.rule for each in found.findings if each.code == "SOS109"} == {"odd", "p"}


def test_rules_with_bans_cost_few_questions() -> None:
    one, many = (
        lint("".join(rule(f"net.src == 203.0.113.{n}", more=BAN, name=f"r{n}") for n in range(count)))
        for count in (1, 40)
    )
    assert many.extent.questions == one.extent.questions
