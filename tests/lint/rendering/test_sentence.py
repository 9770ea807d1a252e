from firewall.lint.finding import Extent
from firewall.lint.rendering.sentence import extent_sentence, number, witness_sentence
from tests.lint.policies import ZONES, lint, only, rule


def test_a_witness_in_one_line_says_what_from_where_to_where_when_and_why() -> None:
    witness = only(lint(rule('net.src == 192.0.2.9 and sip.Method == "ACK"'))).witness
    assert witness is not None
    assert witness_sentence(witness) == (
        "ACK sip:desk@198.51.100.1:5060 SIP/2.0, udp 192.0.2.9:5060 > 198.51.100.1:5060, "
        "2026-01-12T12:00:02.080000+0000: drop, reason rule"
    )


def test_an_ipv6_address_stands_in_brackets() -> None:
    witness = only(lint(rule('ipv6.src == 2001:db8:1::9 and sip.Method == "ACK"'), zones=ZONES)).witness
    assert witness is not None
    assert "udp [2001:db8:1::9]:5060 > [2001:db8:2::1]:5060" in witness_sentence(witness)


def test_the_extent_counts_what_was_asked() -> None:
    extent = Extent(probes=1843, messages=9, forms=191, flows=10, pairs=18, instants=57, blocked=2)
    told = "2 of 1 843 probes blocked (191 forms, 10 flows, 18 address pairs, 57 instants)"
    assert extent_sentence(extent) == told
    assert number(1_000_000) == "1 000 000"
