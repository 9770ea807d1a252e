"""The tree of an expression is normal: one meaning, one tree."""

import pytest

from firewall.ruleset.expression import (
    And,
    Comparison,
    Exists,
    Field,
    Not,
    Or,
    is_about_emergencies,
    is_about_zones,
    methods_of,
    signed_atoms,
)
from firewall.ruleset.parse import parse_expression
from tests.ruleset.strategies import PLACE

SIP, UDP, IP = Exists(Field("sip")), Exists(Field("udp")), Exists(Field("ip"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("sip and udp and ip", And((SIP, UDP, IP))),
        ("sip and (udp and ip)", And((SIP, UDP, IP))),
        ("(sip or udp) or ip", Or((SIP, UDP, IP))),
        ("sip or udp and ip", Or((SIP, And((UDP, IP))))),
        ("not sip and udp", And((Not(SIP), UDP))),
        ("not (sip and udp)", Not(And((SIP, UDP)))),
        ("emergency", Comparison(Field("emergency"), "==", True)),
        ("emergency == 0", Not(Comparison(Field("emergency"), "==", True))),
        ("rtp.marker == 0", Comparison(Field("rtp.marker"), "==", False)),
        ("rtp.marker", Exists(Field("rtp.marker"))),
    ],
)
def test_equal_meanings_have_equal_trees(text: str, tree: object) -> None:
    assert parse_expression(text, sets={}, place=PLACE) == tree


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ('sip.Method == "INVITE"', {"INVITE"}),
        ('sip.Method in {"INVITE", "BYE"}', {"INVITE", "BYE"}),
        ('sip.Method in {"INVITE", "BYE"} and emergency and sip.Method != "BYE"', {"INVITE", "BYE"}),
        ('sip.Method in {"INVITE", "BYE"} and sip.Method == "BYE"', {"BYE"}),
        ('sip.Method == "INVITE" and sip.Method == "BYE"', set()),
        ('sip.Method == "INVITE" or (sip.Method == "BYE" and udp)', {"INVITE", "BYE"}),
        ('sip.Method == "INVITE" or udp', None),
        ('not sip.Method == "INVITE"', None),
        ('sip.Method in {"A".."C"}', None),
        ('lower(sip.Method) == "invite"', None),
        ('sip.CSeq.method == "INVITE"', None),
    ],
)
def test_the_methods_that_a_condition_names(text: str, methods: set[str] | None) -> None:
    assert methods_of(parse_expression(text, sets={}, place=PLACE)) == methods


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ("emergency", True),
        ('sip and emergency.class == "test"', True),
        ('emergency and sip or emergency.service matches "fire"', True),
        ("emergency or sip", False),
        ("not emergency", False),
        ("count(emergency.class) == 0", False),
    ],
)
def test_a_condition_that_is_about_emergencies_alone(text: str, is_so: bool) -> None:
    assert is_about_emergencies(parse_expression(text, sets={}, place=PLACE)) is is_so


@pytest.mark.parametrize(
    ("text", "is_so"),
    [
        ('zone.src == "a"', True),
        ('sip and zone.src in {"a", "b"}', True),
        ('zone.src in {"a", "c"}', False),
        ('zone.src == "a" or zone.src == "c"', False),
        ('not zone.src == "a"', False),
        ('zone.src != "a"', False),
        ('zone.dst == "a"', False),
    ],
)
def test_a_condition_that_is_about_some_zones_alone(text: str, is_so: bool) -> None:
    assert is_about_zones(parse_expression(text, sets={}, place=PLACE), ("a", "b")) is is_so


def test_an_atom_is_wanted_under_an_even_number_of_nots() -> None:
    condition = parse_expression("not (tcp and not udp) or not not ip", sets={}, place=PLACE)
    assert [(atom.operand, wanted) for atom, wanted in signed_atoms(condition)] == [
        (Field("tcp"), False),
        (Field("udp"), True),
        (Field("ip"), True),
    ]
    assert list(signed_atoms(None)) == []
