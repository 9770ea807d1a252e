import pytest

from tests.lint.policies import ZONES, codes, lint, rule

OPTIONS = 'sip.Method == "OPTIONS" and not emergency'


@pytest.mark.parametrize(
    "when",
    [
        f'{OPTIONS} and sip.from.host == "192.0.2.77"',
        f'{OPTIONS} and sip.from.host != "192.0.2.10"',
        f'{OPTIONS} and sip.Via contains "2001:db8"',
        f'{OPTIONS} and zone.src == "carrier" and sip.r-uri.host != "198.51.100.20"',
        'sip.Via contains "TCP" and not emergency',
        f'{OPTIONS} and sip.Via contains "TCP" and net.src == 192.0.2.99',
        f'{OPTIONS} and sip.from.host == "192.0.2.77" and sip.r-uri.host == "198.51.100.99"',
        'not sip.Via.transport == "UDP" and not emergency and tcp',
        'sip.Status-Code == 200 and sip.to.host == "198.51.100.99" and not emergency',
    ],
)
def test_a_keep_alive_names_the_addresses_between_which_it_is_sent(when: str) -> None:
    assert codes(lint(rule(when), zones=ZONES)) == {("SOS107", "guilty")}


@pytest.mark.parametrize(
    "when",
    [
        f'{OPTIONS} and sip.from.host == "203.0.113.77"',
        f'{OPTIONS} and zone.src == "carrier" and sip.from.host == "192.0.2.77" and net.src != 192.0.2.77',
        f'{OPTIONS} and sip.from.host matches "[a-z]{{2,}}[.]"',
    ],
)
def test_it_names_no_others(when: str) -> None:
    assert lint(rule(when), zones=ZONES).result == "proved"


@pytest.mark.parametrize(
    "when",
    [
        "tcp and not emergency",
        "udp.srcport > 5060 and not emergency",
        'tcp.dstport > 40000 and not emergency and zone.src == "carrier" and sip.Via contains ":5060"',
    ],
)
def test_a_keep_alive_is_sent_over_tcp_and_from_any_port_too(when: str) -> None:
    report = lint(rule(when), zones=ZONES)
    assert (report.result, {each.code for each in report.findings}) == ("refuted", {"SOS107"})
