"""What covers what; and by the engine's own evaluation, that nothing is claimed which is not so."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import Place
from firewall.lint.covering import covers, never_true
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Condition
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.parse import parse_expression
from firewall.sip.message import parse_message

ATOMS = (
    'sip.Method == "INVITE"',
    'sip.Method == "BYE"',
    'sip.Method != "INVITE"',
    'sip.Method in {"INVITE", "BYE"}',
    "emergency",
    "sip.User-Agent",
    'sip.User-Agent contains "sip"',
    'sip.User-Agent contains "sipvicious"',
    'sip.User-Agent == "sipvicious"',
    "net.src == 192.0.2.1",
    "net.src in {192.0.2.0/25}",
    "net.src in {192.0.2.0/24, 2001:db8::/32}",
)


def parse(text: str) -> Condition:
    return parse_expression(text, sets={}, place=Place("test"))


def facts(method: str, agent: str | None, ip: str, *, emergency: bool) -> Facts:
    head = f"{method} sip:x@h SIP/2.0\r\n" + (f"User-Agent: {agent}\r\n" if agent is not None else "")
    payload = f"{head}\r\n".encode()
    mark = EmergencyMark("call", "urn:service:sos", ("test",)) if emergency else None
    return Facts(Datagram(ip, 5060, ip, 5060, payload), parse_message(payload), emergency=mark)


WORLD = tuple(
    facts(method, agent, ip, emergency=emergency)
    for method in ("INVITE", "BYE", "ACK")
    for agent in (None, "", "sip", "sipvicious", "other")
    for ip in ("192.0.2.1", "192.0.2.2", "192.0.2.200", "2001:db8::1", "198.51.100.1")
    for emergency in (True, False)
)
expressions = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        inner.map(lambda text: f"(not {text})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} and {two[1]})"),
        st.tuples(inner, inner).map(lambda two: f"({two[0]} or {two[1]})"),
    ),
    max_leaves=5,
)


@given(expressions, expressions)
def test_what_is_said_to_cover_matches_wherever_the_covered_does(wide: str, narrow: str) -> None:
    if covers(parse(wide), parse(narrow)):
        outer, inner = compile_condition(parse(wide)), compile_condition(parse(narrow))
        assert not [each for each in WORLD if inner(each) and not outer(each)]


@given(expressions)
def test_what_is_said_to_be_never_true_matches_nothing(text: str) -> None:
    if never_true(parse(text)):
        matches = compile_condition(parse(text))
        assert not [each for each in WORLD if matches(each)]


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("emergency", 'emergency and sip.Method == "BYE"'),
        ('emergency or sip.Method == "BYE"', "emergency"),
        ('sip.Method in {"INVITE", "BYE"}', 'sip.Method == "BYE"'),
        ("net.src in {192.0.2.0/24}", "net.src in {192.0.2.0/25, 192.0.2.200}"),
        ("sip.User-Agent", 'sip.User-Agent matches "x"'),
        ("not net.src == 192.0.2.1", "not net.src in {192.0.2.0/24}"),
    ],
)
def test_the_simple_cases_are_seen(wide: str, narrow: str) -> None:
    assert covers(parse(wide), parse(narrow))
    assert not covers(parse(narrow), parse(wide))


def test_a_rule_without_a_condition_covers_everything() -> None:
    assert covers(None, parse("emergency"))
    assert not covers(parse("emergency"), None)
