"""Each mistake a policy can have, as one rule, and the code lint must find it by."""

from typing import get_args

import pytest

from firewall.lint.endpoint import Side
from firewall.lint.flow import FLOWS
from firewall.lint.proof.context import contexts
from firewall.lint.proof.prove import calling_pairs
from tests.lint.policies import BESIDE_MANAGEMENT, IPV4_ZONES, ZONES, codes, lint, only, policy, rule

MISTAKES = [
    ('sip.Method == "INVITE"', "SOS101"),
    ('sip.Method == "INVITE" and len(sip.r-uri.user) < 7', "SOS101"),
    ('sip.r-uri contains "urn:"', "SOS101"),
    ('sip.r-uri == "urn:service:sos.poison"', "SOS101"),
    ('sip.r-uri.user matches "^9.*"', "SOS101"),
    ('sip.r-uri.user == "%39%31%31"', "SOS101"),
    ('sip.r-uri contains "tel:" ', "SOS101"),
    ('sip.r-uri contains "phone-context"', "SOS101"),
    ('sip.Method == "INVITE" and not sip.User-Agent', "SOS101"),
    ('sip.User-Agent contains "some tool"', "SOS101"),
    ('sip.from.host == "anonymous.invalid"', "SOS101"),
    ('sip.Method == "INVITE" and not sip.r-uri.user matches "^[+0-9]*$"', "SOS101"),
    ("count(sip.anomaly) > 1", "SOS101"),
    ('sip.anomaly == "not_utf8" and sip.anomaly == "line_end_lf" and sip.Method == "BYE"', "SOS102"),
    ("frame.len > 1500", "SOS101"),
    ("frame.len > 20000", "SOS101"),
    ('frame.len < 300 and sip.Method == "INVITE"', "SOS101"),
    ("frame.len in {605..606}", "SOS101"),
    ('emergency.service == "urn:nena:service:responder.fire"', "SOS101"),
    ('emergency.service == "urn:nena:service:responder.fire" and sip.Method == "BYE"', "SOS102"),
    ("sip.Content-Length > 1024", "SOS101"),
    ('sip.header["Resource-Priority"]', "SOS101"),
    ('sip.header["Geolocation"]', "SOS101"),
    ('sip.header["Identity"]', "SOS101"),
    ("net.src == 192.0.2.66", "SOS101"),
    ("net.src in {2001:db8:1::/96}", "SOS101"),
    ("ipv6.src", "SOS101"),
    ('zone.dst == "psap" and sip.Method == "INVITE"', "SOS101"),
    ('emergency.class == "call" and sip.Method == "ACK"', "SOS102"),
    ('sip.Method == "PRACK"', "SOS102"),
    ('sip.Method == "UPDATE"', "SOS102"),
    ('sip.Method == "CANCEL"', "SOS102"),
    ('sip.Method == "INFO"', "SOS102"),
    ("sip.Status-Code == 183", "SOS102"),
    ("sip.Status-Code == 487", "SOS102"),
    ("sip.Status-Code == 503", "SOS102"),
    ('sip.CSeq.method == "BYE" and sip.Status-Code == 200', "SOS102"),
    ('dialog.state == "confirmed" and sip.Method == "INVITE"', "SOS102"),
    ('dialog.state == "confirmed" and sip.Method == "INVITE" and zone.src == "carrier"', "SOS102"),
    ('dialog.state == "confirmed" and sip.Method == "UPDATE"', "SOS102"),
    ('sip.Method == "UPDATE" and zone.src == "psap"', "SOS102"),
    ('sip.Method == "INFO" and zone.src == "psap"', "SOS102"),
    ('dialog.state == "confirmed" and sip.Method == "OPTIONS" and zone.src == "psap"', "SOS102"),
    ('sip.Status-Code == 200 and dialog.state == "none" and sip.CSeq.method == "INVITE"', "SOS102"),
    ('sip.Status-Code == 486 and dialog.state == "early" and sip.CSeq.method == "INVITE"', "SOS102"),
    ('sip.Status-Code == 491 and sip.CSeq.method == "INVITE" and dialog.state == "confirmed"', "SOS102"),
    ('sip.Method == "CANCEL" and dialog.state == "none"', "SOS102"),
    ('sip.Method == "BYE" and dialog.state == "early"', "SOS102"),
    ('sip.Method == "INFO" and dialog.state == "early"', "SOS102"),
    ('sip.Method == "MESSAGE" and dialog.state == "confirmed"', "SOS102"),
    ('sip.Method == "UPDATE" and dialog.state == "early" and zone.src == "psap"', "SOS102"),
    ('sip.CSeq.method == "INVITE" and dialog.state == "terminated"', "SOS102"),
    ('sip.Method == "BYE" and dialog.state == "terminated"', "SOS102"),
    ('sip.Method == "PRACK" and dialog.state == "confirmed"', "SOS102"),
    ('dialog.state == "early" and sip.Method in {"MESSAGE", "OPTIONS"}', "SOS102"),
    ('sip.Method == "PRACK" and dialog.state == "confirmed" and zone.src == "psap"', "SOS106"),
    ('sip.Method == "CANCEL" and emergency.class == "callback"', "SOS106"),
    ('sip.Status-Code == 486 and zone.src == "carrier" and sip.CSeq.method == "INVITE"', "SOS106"),
    ('sip.Method == "INVITE" and dialog.state == "confirmed" and emergency.class == "callback"', "SOS106"),
    ('sip.Method == "MESSAGE" and dialog.state == "none" and zone.src == "psap"', "SOS106"),
    ('sip.Method == "PRACK" and zone.src == "psap"', "SOS106"),
    ('emergency.class == "callback"', "SOS106"),
    ('zone.src == "psap" and sip.Method == "INVITE" and dialog.state == "none"', "SOS106"),
    ('sip.Method == "OPTIONS" and not emergency', "SOS107"),
    ('sip.Method == "MESSAGE"', "SOS108"),
    ('emergency.class == "text"', "SOS108"),
    ('emergency.class == "test"', "SOS110"),
    ('sip.r-uri contains "urn:service:test"', "SOS101"),
    ("sip.Max-Forwards < 10", "SOS101"),
    ("count(sip.Via) > 5", "SOS101"),
    ('sip.Method == "INVITE" and not sip.Max-Forwards', "SOS101"),
    ('sip.Method == "ACK" and not sip.Max-Forwards', "SOS102"),
    ('sip.Method == "BYE" and emergency.service != "urn:service:sos"', "SOS102"),
    ('sip.Status-Code == 183 and not emergency.service == "urn:service:sos"', "SOS102"),
    ('sip.Method == "BYE" and emergency and not emergency.service matches "^urn:service:sos"', "SOS102"),
    ('sip.Method == "BYE" and emergency.service contains "x" and emergency.service contains "y"', "SOS102"),
    ("sip.anomaly", "SOS101"),
    ('sip.anomaly == "multipart_unterminated"', "SOS101"),
    ('sip.r-uri matches "^sip:urn:service:sos@"', "SOS101"),
    ('sip.to.addr contains "sip:urn:service:sos@" and sip.Method == "INVITE"', "SOS101"),
    # Blanks where RFC 3261 §25.1 allows them.
    ('sip.From contains "> ;"', "SOS101"),
    ('sip.Via contains " ;branch"', "SOS101"),
    ('sip.Contact contains "> , <"', "SOS101"),
    ('sip.Route contains ">; lr"', "SOS101"),
    ('sip.CSeq contains "  "', "SOS101"),
    # Zeros before a number: RFC 3261 §25.1 has 1*DIGIT.
    ('sip.CSeq matches "^0"', "SOS101"),
    ('sip.header["Content-Length"] matches "^00"', "SOS101"),
    ('sip.header["Max-Forwards"] matches "^0"', "SOS101"),
    ('sip.To contains ":05060"', "SOS101"),
    ('sip.Via contains ":05060"', "SOS101"),
    ('sip.Via contains "SIP / 2.0"', "SOS101"),
    ('sip.Via contains " :"', "SOS101"),
    ('sip.Via contains ";Branch = z9"', "SOS101"),
    ('sip.From contains ";Tag="', "SOS101"),
    ('sip.Contact contains ";expires = "', "SOS101"),
    ('sip.Content-Type contains "application / sdp"', "SOS101"),
    # What no grammar has, and phones write.
    ('sip.From matches "^[A-Za-z]+, [A-Z]"', "SOS101"),
    ('sip.From matches "^[A-Za-z]+, [A-Z]" and sip.User-Agent contains "x" and sip.r-uri contains "fire"', "SOS101"),
    ('sip.From matches "^< "', "SOS101"),
    ('sip.Route matches ",$"', "SOS101"),
    ('sip.Subject matches "\\\\x07"', "SOS101"),
    ('sip.header["Expires"] == "soon"', "SOS101"),
    ("count(sip.Max-Forwards) > 1", "SOS101"),
    ('sip.anomaly and sip.Method == "BYE"', "SOS102"),
    ('sip.anomaly and sip.Status-Code == 200 and sip.From matches "^[A-Za-z]+, [A-Z]"', "SOS102"),
    ('sip.anomaly and zone.src == "psap" and sip.To matches "^[A-Za-z]+, [A-Z]"', "SOS102"),
    ('sip.anomaly and sip.Status-Code == 200 and not sip.CSeq.method == "MESSAGE"', "SOS102"),
    ('sip.anomaly and sip.Method == "MESSAGE"', "SOS108"),
    ("len(sip.Call-ID) > 60", "SOS101"),
    ('sip.Method == "BYE" and len(sip.Call-ID) > 60', "SOS102"),
    ('sip.Method == "INVITE" and sip.Via contains "TCP"', "SOS101"),
    ('sip.Method == "INVITE" and not sip.Contact', "SOS101"),
    ('sip.r-uri.host == "psap7.example"', "SOS101"),
    ("sip.CSeq.seq > 1000000", "SOS101"),
    ("tcp", "SOS101"),
    ("udp.srcport < 1024 and udp.srcport != 5060", "SOS101"),
    # A PSAP need not send what it asks from where it listens, and may have opened the TCP connection of a call.
    ('udp.srcport != 5060 and zone.src == "psap"', "SOS106"),
    ('udp.dstport != 5060 and zone.src == "carrier"', "SOS106"),
    ('tcp.srcport != 5060 and zone.src == "psap"', "SOS102"),
    ('tcp.dstport != 5060 and zone.src == "carrier"', "SOS101"),
    ('sip.from.user matches "^[+]49"', "SOS101"),
    ('sip.r-uri matches "^urn:service:sos[.]animal-control$"', "SOS101"),
    ('emergency.service == "urn:service:sos.gas"', "SOS101"),
    ('emergency.service matches "sos[.]x-rare$"', "SOS101"),
    ('lower(sip.User-Agent) == "odd" and sip.Subject contains "x" and len(sip.Subject) < 3', "SOS101"),
    ("frame.len in {31000..31001}", "SOS101"),
    ("sip.Status-Code == 486", "SOS102"),
    ('net.src == 192.0.2.66 and sip.from.host == "a.example" and tcp', "SOS101"),
]


@pytest.mark.parametrize(("when", "code"), MISTAKES, ids=[when for when, _ in MISTAKES])
def test_a_rule_that_hurts_emergency_calls_is_found_by_its_code_and_name(when: str, code: str) -> None:
    report = lint(rule(when), zones=ZONES if ":" in when or "ipv6" in when else IPV4_ZONES)
    assert (code, "guilty") in codes(report)
    assert report.result == ("proved" if code == "SOS110" else "refuted")


@pytest.mark.parametrize(
    "when",
    [
        'not emergency and sip.Method != "OPTIONS" and sip.Method',
        'sip.Method == "INVITE" and len(sip.r-uri.user) < 7 and not emergency',
        'sip.User-Agent contains "friendly-scanner" and not emergency',
        "net.src in {203.0.113.0/24}",
        'zone.src == "carrier" and sip.Method == "REGISTER" and not emergency',
        'sip.Method == "SUBSCRIBE" and not emergency',
        "frame.len > 1500 and not emergency",
        "malformed",
        "sip.Max-Forwards == 0",
        "len(sip.r-uri) > 5000",
        "frame.len > 65535",
        'sip.Method == "REGISTER" and zone.src == "carrier"',
        'sip.Method == "PUBLISH"',
        'not zone.src == "carrier" and not zone.src == "psap"',
        'sip.r-uri == "a" and sip.r-uri == "b"',
        'sip.from.host contains "scan" and len(sip.from.host) < 4',
        'sip.Method == "INVITE" and sip.Method == "BYE"',
        'sip.r-uri.user matches "@"',
        "net.src == 192.0.2.255",
        'sip.CSeq.method == "INVITE" and sip.Method == "OPTIONS"',
        'udp.dstport != 5060 and zone.src == "carrier" and sip.Method',
        "not udp.port == 5060 and not tcp.port == 5060",
    ],
)
def test_a_rule_that_hurts_no_emergency_call_is_not_found(when: str) -> None:
    report = lint(rule(when))
    assert not [finding for finding in report.findings if finding.is_error]
    assert report.result == "proved"


_LISTED = (
    'sip.r-uri matches "sos|^[^@]*9[-.()]*1[-.()]*1|%|urn:|933"',
    'sip.to.addr matches "sos|^[^@]*9[-.()]*1[-.()]*1|%|urn:"',
    'sip.Priority matches "^emergency"',
    'sip.Resource-Priority matches "esnet"',
    'sip.Call-Info matches "emergency|nena"',
    "sip.Route",
)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (_LISTED[2], 'sip.Priority == "emergency"'),
        (_LISTED[3], 'sip.Resource-Priority contains "esnet."'),
        (
            _LISTED[4],
            'sip.Call-Info contains "purpose=emergency-CallId" or sip.Call-Info contains "emergency-IncidentId"',
        ),
        (_LISTED[5], 'sip.Route == "<urn:service:sos>"'),
        (_LISTED[5], 'sip.Route matches "urn:service:sos"'),
    ],
)
def test_a_list_that_knows_a_mark_as_one_sender_writes_it_blocks_others(wide: str, narrow: str) -> None:
    """RFC 3261 §7.3.1 and RFC 4412 §3.1: these values are of any case, and others may stand beside them."""
    for known, result in ((wide, "proved"), (narrow, "refuted")):
        listed = " or ".join(known if each == wide else each for each in _LISTED)
        unlisted = f'sip.Method == "INVITE" and dialog.state == "none" and zone.src == "carrier" and not ({listed})'
        assert lint(rule(f"'{unlisted}'")).result == result


@pytest.mark.parametrize("uri", ["9911", "sip:911", "urn:service:sos;user=phone", "sip:urn:service:sos@psap7.example"])
def test_a_target_that_no_standard_has_may_be_all_that_makes_a_call_an_emergency(uri: str) -> None:
    unlisted = f'sip.r-uri == "{uri}" and not ({" or ".join(_LISTED[1:])}) and zone.src == "carrier"'
    assert ("SOS101", "guilty") in codes(lint(rule(f"'{unlisted}'")))


@pytest.mark.parametrize("known", ['"^urn:"', '"^(urn|tel):"', '"^(urn:|(sip|tel):911)"'])
def test_a_list_of_those_who_may_be_written_to_leaves_texts_out(known: str) -> None:
    first = 'sip.Method == "MESSAGE" and dialog.state == "none" and zone.src == "carrier"'
    listed = f'sip.r-uri matches {known} or sip.to.addr matches {known} or sip.Content-Type contains "cap"'
    assert codes(lint(rule(f"'{first} and not ({listed})'"))) == {("SOS108", "guilty")}


def test_everything_a_finding_tells_is_there() -> None:
    finding = only(lint(rule('sip.r-uri == "urn:service:sos.gas"', "reject", more="status: 404")))
    assert (finding.place.file, finding.place.line, finding.place.column) == ("test.yaml", 7, 5)
    assert finding.rule == "guilty"
    witness = finding.witness
    assert witness is not None
    assert witness.start_line == "INVITE urn:service:sos.gas SIP/2.0"
    assert (witness.verdict, witness.reason, witness.rule) == ("reject", "rule", "guilty")
    assert witness.emergency is not None
    assert finding.because[0].startswith("it is an emergency (call): request_uri urn:service:sos.gas")
    assert 'rule matches: sip.r-uri == "urn:service:sos.gas"' in finding.because
    assert finding.because[-1] == "met in: voice call: urn:service:sos, INVITE"


def test_the_default_is_found_when_no_rule_lets_a_call_pass() -> None:
    after = '  - name: registrations\n    when: sip.Method == "REGISTER"\n    action: allow\n'
    found = codes(lint(after=after))
    assert {("SOS101", None), ("SOS106", None), ("SOS107", None), ("SOS108", None)} <= found


def test_one_rule_that_allows_each_beginning_is_enough_for_whole_calls() -> None:
    """DESIGN section 5: what belongs to something allowed follows it."""
    beginnings = '  - name: all\n    when: sip.Method in {"INVITE", "MESSAGE", "OPTIONS"}\n    action: allow\n'
    assert lint(after=beginnings).result == "proved"


def test_flows_a_policy_does_not_ask_for_are_not_asked() -> None:
    wanted = 'emergency: {numbers: ["911"], from: [carrier], to: [psap], flows: [voice]}\n'
    unwanted = rule('sip.Method in {"OPTIONS", "MESSAGE"} and dialog.state == "none"')
    assert lint(unwanted, emergency=wanted).findings == ()


def test_flows_beyond_the_default_are_asked_where_the_policy_wants_them() -> None:
    wanted = "emergency: {from: [carrier], to: [psap], flows: [voice, transfer, location, registration]}\n"
    tested = {"REFER": "SOS102", "SUBSCRIBE": "SOS102", "REGISTER": "SOS111"}
    for method, code in tested.items():
        when = rule(f'sip.Method == "{method}"')
        assert (code, "guilty") in codes(lint(when, emergency=wanted))
        assert lint(when).findings == ()


@pytest.mark.parametrize(
    "when",
    [
        'sip.Method == "SUBSCRIBE" and not emergency',
        'emergency and sip.Method and not sip.Method in {"INVITE", "ACK", "BYE", "CANCEL", "PRACK"}',
        'sip.Method == "SUBSCRIBE" and sip.User-Agent contains "x"',
        'sip.CSeq.method == "NOTIFY" and sip.Content-Length > 5000',
        'sip.Method == "SUBSCRIBE" and emergency and sip.Accept contains "held"',
    ],
)
@pytest.mark.parametrize("beside", ["", 'sip.from.host == "192.0.2.77" and sip.Method == "PUBLISH"'])
def test_a_question_where_the_caller_is_passes_whether_or_not_the_call_named_the_place(when: str, beside: str) -> None:
    wanted = 'emergency: {numbers: ["911"], from: [carrier], to: [psap], flows: [location, keepalive]}\n'
    report = lint(rule(when) + (rule(beside, name="beside") if beside else ""), emergency=wanted)
    assert ("SOS102", "guilty") in codes(report)


def test_a_rule_active_at_night_only_is_found_as_such() -> None:
    night = 'schedule: {days: [sat, sun], hours: "22:00-06:00", timezone: America/New_York}'
    finding = only(lint(rule('sip.Method == "INVITE"', more=night)))
    assert finding.code == "SOS104"
    assert finding.witness is not None


def test_a_rule_that_cuts_only_a_call_crossing_its_edge_is_found() -> None:
    night = 'schedule: {days: [wed], hours: "03:17-03:18", timezone: UTC}'
    finding = only(lint(rule('sip.Method == "BYE"', more=night)))
    assert finding.code == "SOS104"
    assert "drops the BYE of an emergency call at certain hours" in finding.message


def test_keep_alives_that_are_blocked_at_night_are_called_so_for_they_have_no_mark_to_exempt_them_by() -> None:
    night = 'schedule: {days: [wed], hours: "03:17-03:18", timezone: UTC}'
    finding = only(lint(rule('sip.Method == "OPTIONS" and not emergency', more=night)))
    assert finding.code == "SOS107"
    assert "the OPTIONS that keeps the trunk in service at certain hours (wed 03:17-03:18 UTC)" in finding.message


def test_a_shadow_rule_is_judged_by_itself_though_another_rule_blocks_the_call_before() -> None:
    named = 'sip.Method == "BYE" and sip.User-Agent contains "t"'
    report = lint(rule('sip.Method == "INVITE"') + rule(named, name="later", more="mode: shadow"))
    assert codes(report) == {("SOS101", "guilty"), ("SOS112", "later")}


def test_a_shadow_rule_is_warned_about_before_it_is_enforced() -> None:
    report = lint(rule('sip.Method == "PRACK"', more="mode: shadow"))
    assert codes(report) == {("SOS112", "guilty")}
    assert report.result == "proved"


ALLOWED = {
    "every number dialled": 'sip.r-uri.user in {"911", "9911", "+1911"} or sip.r-uri matches "^urn:service:sos"',
    "every response": "sip.Status-Code in {101..199} or sip.Method",
    "some Resource-Priority": 'not sip.Resource-Priority == "esnet.3"',
    "numbers without another country's code": 'not sip.r-uri.user matches "^.44911"',
    "NENA services by name": 'not sip.r-uri == "urn:nena:service:responder.ems"',
    "all but one method, by the start line": 'not sip.Request-Line matches "^PRACK"',
    "all but one method, by CSeq": 'not sip.CSeq matches "UPDATE$"',
}


@pytest.mark.parametrize("what", ALLOWED)
def test_what_a_list_of_the_allowed_leaves_out_is_found(what: str) -> None:
    """Each condition is true of many forms and steps, not of all: one of a kind is no proof for the others."""
    listed = rule(ALLOWED[what], "allow", "listed") + rule('not sip.CSeq.method == "OPTIONS"', name="others")
    assert {finding.rule for finding in lint(listed).findings if finding.is_error} == {"others"}


def test_the_guard_is_no_excuse() -> None:
    for guard in ("enforce", "alert", "off"):
        emergency = f"emergency: {{from: [carrier], to: [psap], guard: {guard}}}\n"
        assert lint(rule("emergency"), emergency=emergency).result == "refuted"


def test_without_an_emergency_section_every_zone_calls_every_other() -> None:
    one_way = '  - name: one-way\n    when: zone.src == "carrier"\n    action: allow\n'
    assert ("SOS101", None) in codes(lint(emergency="", after=one_way))
    assert lint(emergency="").findings == ()


@pytest.mark.parametrize("sender", get_args(Side))
def test_whatever_single_message_of_a_call_a_rule_drops_is_found(sender: Side) -> None:
    labels = {
        context.step.label
        for pair in calling_pairs(policy())
        for context in contexts(policy(), FLOWS, pair)
        if context.step.sender == sender and context.flow.policy_flow in ("voice", "callback", "text", "keepalive")
    }
    assert len(labels) > 10
    zone = "carrier" if sender == "caller" else "psap"
    for label in labels:
        if label[0].isdigit():
            status, _, method = label.rstrip(")").partition(" ")
            what = f'sip.Status-Code == {status} and sip.CSeq.method == "{method.rpartition("(")[2]}"'
        else:
            what = f'sip.Method == "{label}"'
        report = lint(rule(f'zone.src == "{zone}" and {what}'))
        assert {finding.rule for finding in report.findings if finding.is_error} == {"guilty"}, label


@pytest.mark.parametrize("side", ["carrier", "psap"])
def test_what_a_zone_without_interfaces_sends_is_no_other_zones_that_names_one(side: str) -> None:
    report = lint(rule(f'zone.src == "{side}" and sip.Method == "BYE"'), zones=BESIDE_MANAGEMENT)
    assert ("SOS102", "guilty") in codes(report)
    assert report.result == "refuted"
