"""An expression written back is the same expression."""

import pytest
from hypothesis import given

from firewall.ruleset.expression import Condition, Contains, Field, Not, Or
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.text import expression_text
from tests.ruleset.strategies import PLACE, SETS, conditions


@given(conditions())
def test_text_of_any_condition_parses_back_to_it(condition: Condition) -> None:
    assert parse_expression(expression_text(condition), sets=SETS, place=PLACE) == condition


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("sip.Method eq 'x'".replace("'", '"'), 'sip.Method == "x"'),
        ("emergency == 1", "emergency"),
        ("emergency != true", "not emergency"),
        ("emergency == false", "not emergency"),
        ("emergency ne 0", "emergency"),
        ("((sip)) && (udp && ip)", "sip and udp and ip"),
        ("sip or (udp or ip) and ipv6", "sip or (udp or ip) and ipv6"),
        ("not (sip and udp)", "not (sip and udp)"),
        ('sip.Method not in {"A"}', 'not sip.Method in {"A"}'),
        ("net.src in $blocked", "net.src in $blocked"),
        ("udp.port == 0x13c4", "udp.port == 5060"),
        ("ip.src in {192.0.2.0..192.0.2.255}", "ip.src in {192.0.2.0/24}"),
        ("ip.src in {192.0.2.1..192.0.2.2}", "ip.src in {192.0.2.1..192.0.2.2}"),
        ('sip.header["X-Weird"] == r"a\\b"', 'sip.header["x-weird"] == "a\\\\b"'),
        ('sip.Method[1-2] == "NV"', 'sip.Method[1:2] == "NV"'),
        ("rtp.marker == 1", "rtp.marker == true"),
    ],
)
def test_equal_meanings_have_one_text(written: str, canonical: str) -> None:
    assert expression_text(parse_expression(written, sets=SETS, place=PLACE)) == canonical


def test_groups_keep_their_parentheses() -> None:
    either = Or((Contains(Field("sip"), "a"), Contains(Field("sip"), "b")))
    assert expression_text(Not(either)) == 'not (sip contains "a" or sip contains "b")'
