"""The oracle's expressions are made by chance and yet the same each time, and both sides take all of them."""

from firewall.net.address import address_number
from tests.oracle.expressions import WIRESHARK_FIELDS, Generator, fields_of, plain_expressions

POOL = {
    "sip.Method": ("INVITE", "BYE"),
    "udp.port": (5060,),
    "ip.src": (address_number("192.0.2.7"),),
    "rtp.marker": (0, 1),
}


def test_a_seed_gives_the_same_expressions_and_another_one_others() -> None:
    first, again, other = (
        [generator.expression() for _ in range(50)]
        for generator in (Generator(POOL, 7), Generator(POOL, 7), Generator(POOL, 8))
    )
    assert first == again
    assert first != other


def test_every_field_and_value_is_asked_for() -> None:
    plain = dict.fromkeys(expression for _, expression in plain_expressions(POOL, 5))
    assert set(WIRESHARK_FIELDS) <= set(plain)
    assert {'sip.Method == "BYE"', "udp.port == 5060", "ip.src == 192.0.2.7", "rtp.marker == 1"} <= set(plain)


def test_the_fields_of_an_expression_are_those_outside_its_texts() -> None:
    assert fields_of('not (len(sip.Method) > 3) and udp.port in {1..2} or sip.From contains "ip.src"') == {
        "sip.Method",
        "udp.port",
        "sip.From",
    }
