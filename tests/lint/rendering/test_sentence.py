from firewall.lint.finding import Extent, Sent, Witness
from firewall.lint.rendering.sentence import extent_sentence, number, witness_sentence
from firewall.net.datagram import Datagram

NOON_NS = 1_768_219_202_080_000_000  # 2026-01-12 12:00:02.08 UTC


def witness(source: str, destination: str) -> Witness:
    datagram = Datagram(source, 5060, destination, 5070, b"ACK sip:desk@psap.example SIP/2.0\r\n\r\n")
    return Witness("voice call", (Sent(NOON_NS, datagram, "ACK"),), "drop", "rule", "guilty", None)


def test_a_witness_in_one_line_says_what_from_where_to_where_when_and_why() -> None:
    assert witness_sentence(witness("192.0.2.9", "198.51.100.1")) == (
        "ACK sip:desk@psap.example SIP/2.0, udp 192.0.2.9:5060 > 198.51.100.1:5070, "
        "2026-01-12T12:00:02.080000+0000: drop, reason rule"
    )


def test_an_ipv6_address_stands_in_brackets() -> None:
    told = witness_sentence(witness("2001:db8:1::9", "2001:db8:2::1"))
    assert "udp [2001:db8:1::9]:5060 > [2001:db8:2::1]:5070" in told


def test_the_extent_counts_what_was_asked() -> None:
    told = extent_sentence(Extent(messages=1843, flows=10, kinds=43, pairs=18, times=57, questions=2044))
    assert told == (
        "1 843 messages of 10 flows (43 kinds to these rules), zone pairs: 18, any address, port, header and size, "
        "57 combinations of schedules; 2 044 questions"
    )
    assert number(1_000_000) == "1 000 000"
