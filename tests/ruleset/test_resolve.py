"""Names, types and values of an expression are checked when it is loaded."""

from pathlib import Path

import pytest

from firewall.errors import Place, PolicyError
from firewall.net.address import Network
from firewall.ruleset.expression import Field, Membership, SetMembers
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import StringSet
from tests.ruleset.strategies import PLACE, SETS


def refused() -> list[tuple[str, str]]:
    """Read pairs of lines: an expression, and indented the error it gets."""
    lines = Path(__file__).with_name("refused_expressions.txt").read_text().splitlines()
    return [(text, error.strip()) for text, error in zip(lines[::2], lines[1::2], strict=True)]


def mistake(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse_expression(text, sets=SETS, place=PLACE)
    return str(caught.value).removeprefix("policy.yaml:1:")


@pytest.mark.parametrize(("text", "error"), refused())
def test_what_has_no_meaning_is_refused(text: str, error: str) -> None:
    assert mistake(text) == error


def test_a_list_file_used_with_an_address_field_is_read_as_networks() -> None:
    lines = tuple((text, Place("lists/x.txt", line, 1)) for line, text in [(1, "192.0.2.0/24"), (3, "192.0.3.0/24")])
    listed = StringSet("x", frozenset(text for text, _ in lines), PLACE, lines)
    condition = parse_expression("net.src in $x", sets={"x": listed}, place=PLACE)
    assert condition == Membership(Field("net.src"), (SetMembers("x", (Network.parse("192.0.2.0/23"),)),))


def test_a_list_file_that_is_no_list_of_networks_is_named_with_its_line() -> None:
    lines = (("192.0.2.0/24", Place("lists/x.txt", 1, 1)), ("friendly-scanner", Place("lists/x.txt", 4, 1)))
    listed = StringSet("x", frozenset(text for text, _ in lines), PLACE, lines)
    with pytest.raises(PolicyError) as caught:
        parse_expression("net.src in $x", sets={"x": listed}, place=PLACE)
    assert str(caught.value) == (
        'lists/x.txt:4:1: error: "friendly-scanner" is not an IPv4 or IPv6 network; '
        "set $x is used with an address field"
    )


@pytest.mark.parametrize("text", ['dialog.state matches "^(early|confirmed)$"', 'emergency.class contains "call"'])
def test_part_of_a_fields_choices_can_be_looked_for(text: str) -> None:
    parse_expression(text, sets={}, place=PLACE)


@pytest.mark.parametrize("text", ["rtp.marker", "rtp.marker == true", "rtp.marker != 1", "not rtp.marker == 0"])
def test_flags_of_wireshark_can_be_asked_for_presence_and_value(text: str) -> None:
    parse_expression(text, sets={}, place=PLACE)
