"""What no message can be, and what some message is."""

from dataclasses import replace

import pytest
from hypothesis import given, settings

from firewall.lint.hygiene.cover import Covers
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.world import World
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Condition
from firewall.ruleset.text import expression_text
from tests.lint.policies import policy, rule
from tests.ruleset.captured import facts
from tests.ruleset.strategies import SETS, conditions


def is_possible(when: str) -> bool:
    tested = policy(rule(when), after="")
    condition = tested.rules[0].when
    world = World(Encoding([tested]), tested)
    return world.ask([world.literal(condition)], [condition]) is not None


@pytest.mark.parametrize(
    "when",
    [
        'emergency.class == "call" and not emergency',
        'emergency and not emergency.class in {"call", "callback", "test", "text", "registration", "media"}',
        "malformed and sip",
        'malformed and sip.Method == "INVITE"',
        'malformed.reason contains "no_such_reason"',
        'not malformed and malformed.reason == "not_sip"',
        'sip.anomaly contains "no_such_anomaly"',
        'sip.Method == "INVITE" and sip.Status-Code == 200',
        'sip.r-uri.user == "a" and sip.r-uri matches "^urn:"',
        'sip.Method == "INVITE" and sip.r-uri.user == "911" and not emergency',
        r'sip.Method == "INVITE" and sip.r-uri matches r"^urn:service:sos\.fire$" and not emergency',
        'sip.r-uri and not sip.Method == "INVITE" and not sip.Method != "INVITE"',
        'emergency.service == "urn:service:SOS"',
        'emergency.service contains "@"',
        'dialog.state == "none" and dialog.state == "early"',
        "rtp.p_type == 0 and not media.negotiated",
        "rtp and sip",
        'sip.User-Agent == "a" and not sip.header["user-agent"] == "a"',
        "sip.Status-Code > 299 and sip.Status-Code in {200..299}",
        "frame.len > 100000000",
        "count(sip.Via) < 0",
        "count(sip.Via) == 0",
        "count(sip.Via) == 2 and count(sip.Via) == 3",
        "count(sip.Via) > 5 and not count(sip.Via) > 3",
        "count(sip.Via) != 1 and count(sip.Via) < 2",
        "count(sip.Via) > 5 and not sip.Via",
        "sip.Via and not count(sip.Via) > 0",
        'sip.header["Via"] and not count(sip.Via) > 0',
        "count(sip.Method) > 1",
        "rtp.p_type > 127",
        'sip.from.user == "evil" and not sip.From contains "vi"',
        'sip.from.user contains "EVIL" and not sip.From matches "e[uv]il"',
        'sip.to.addr contains "EVIL" and not lower(sip.To) contains "evil"',
        'sip.r-uri.user == "evil" and not sip.Request-Line contains "evil"',
        'sip.r-uri.host contains "evilx" and not sip.r-uri contains "evil"',
        'sip.Method == "INVITE" and not sip.Request-Line contains "INV"',
        "sip.pai.user and not sip.P-Asserted-Identity",
    ],
)
def test_what_no_message_can_be_is_told(when: str) -> None:
    assert not is_possible(when)


@pytest.mark.parametrize(
    "when",
    [
        'sip.from.user == "a" and sip.from.user == "b"',
        'sip.Method == "INVITE" and sip.CSeq.method == "BYE"',
        "sip and not sip.From and not sip.To and not sip.Via",
        'sip.Method == "REGISTER" and sip.r-uri.user == "911" and not emergency',
        'sip.Method == "INVITE" and sip.r-uri.user == "912" and not emergency',
        "emergency and malformed",
        'emergency and sip.r-uri.user == "1000"',
        "sip.Max-Forwards == 0",
        "sip.Content-Length > 1000000",
        "count(sip.Via) > 200",
        "count(sip.Via) >= 2 and count(sip.Via) != 3",
        "sip.Via and not count(sip.Via) == 1",
        "not count(sip.Via) >= 0",
        "sip.Status-Code in {700..799}",
        "sip.Status-Code < 100",
        'sip.from.user == "evil" and not sip.From contains "EVIL"',
        'sip.from.user == "evil" and not sip.From matches "^evil"',
        'sip.From contains "evil" and not sip.from.user contains "evil"',
        'sip.r-uri contains "a b" and not sip.Request-Line contains "a b"',
        'sip.from.user == "evil" and not sip.to.user contains "evil" and not sip.To contains "evil"',
        'sip.r-uri contains " "',
        'sip.r-uri.user == "a@b"',
        "len(sip.r-uri) > 8000",
        'sip.anomaly == "bare_cr" and sip.anomaly == "nul_byte"',
    ],
)
def test_what_an_odd_message_can_be_is_not_ruled_out(when: str) -> None:
    """A second From, no Via, a Content-Length that lies: the engine reads such messages."""
    assert is_possible(when)


def test_a_packet_may_come_by_an_interface_of_no_zone() -> None:
    zones = "zones: {carrier: {interfaces: [f0]}, psap: {interfaces: [f1]}}\n"
    tested = policy(rule("not zone.src"), zones=zones, after="")
    condition = tested.rules[0].when
    world = World(Encoding([tested]), tested)
    assert world.ask([world.literal(condition)], [condition]) is not None


@given(conditions())
@settings(max_examples=300, deadline=None)
def test_a_condition_that_is_said_never_to_hold_holds_of_no_captured_message(condition: Condition) -> None:
    tested = replace(policy(), sets=tuple(SETS.values()))
    only = replace(tested.rules[0], when=condition, matches=compile_condition(condition))
    covers = Covers(replace(tested, rules=(only,)), [0])
    matched = [only.matches(each) for each in facts()]
    if not covers.is_met(condition):
        assert not any(matched), expression_text(condition)
    if covers.is_always_met(condition):
        assert all(matched), expression_text(condition)
