import pytest

from firewall.lint import media
from firewall.lint.finding import UNDECIDED
from firewall.lint.proof.kinds import UntoldError
from firewall.lint.proof.prove import calling_pairs
from firewall.lint.proof.sound import RtpPacket, refusals
from firewall.net.rtp import read_rtp_header
from tests.lint.policies import BESIDE_MANAGEMENT, EMERGENCY, ZONES, policy, rule

REFUSED = [
    "rtp.p_type == 118",
    "rtp and net.src == 192.0.2.77",
    "rtp and net.dst == 2001:db8:2::7",
    "rtp and udp.srcport == 20000",
    "rtp and frame.len > 1000",
    "rtp and frame.len < 100",
    "rtp.ssrc == 7",
    "rtp.seq > 60000 and rtp.p_type == 9",
    "rtp.ssrc in {5..9} and rtp.seq < 7 and frame.len < 100",
    "rtp.marker == 1 and rtp.timestamp > 4000000000",
    'media.codec == "opus"',
    'media.codec == "g729" and media.codec == "telephone-event"',
    "count(media.codec) > 4",
    'media.direction == "recvonly" and zone.src == "psap"',
    'emergency.class == "media" and rtp',
    "rtcp",
    "rtcp.pt == 204",
    "rtcp.length > 100",
    "rtcp.senderssrc == 7 and frame.len > 200",
    'media.kind == "audio" and not rtp',
    "media.negotiated and not rtp and not rtcp",
]
HARMLESS = [
    "rtp and not media.negotiated",
    "rtp and not emergency",
    "rtp and net.src == 203.0.113.0/24",
    'media.kind == "video"',
    "rtp and udp.srcport < 1024",
    "rtp and frame.len > 1514",
    'rtp and sip.Method == "INVITE"',
    "rtp.p_type == 0 and rtp.p_type == 8",
    "rtp and tcp",
    "rtcp and not emergency",
    "rtcp.pt == 150",
    'media.protocol == "rtcp"',
]


@pytest.mark.parametrize("when", REFUSED)
def test_a_rule_that_refuses_some_packet_of_a_call_is_found_and_the_engine_refuses_it(when: str) -> None:
    (finding,) = media.check(policy(rule(when), zones=ZONES))
    assert (finding.code, finding.rule) == ("SOS116", "guilty")


@pytest.mark.parametrize("when", HARMLESS)
def test_a_rule_that_refuses_no_negotiated_media_of_a_call_is_not(when: str) -> None:
    assert media.check(policy(rule(when), zones=ZONES)) == []


def test_an_earlier_rule_that_allows_takes_the_packet() -> None:
    rules = rule("rtp and emergency", "allow", name="first") + rule("rtp.p_type == 118")
    assert media.check(policy(rules, zones=ZONES)) == []


def test_a_rule_of_one_minute_a_week_is_found() -> None:
    scheduled = rule("rtp.p_type == 118", more='schedule: {days: [wed], hours: "03:17-03:18", timezone: UTC}')
    (finding,) = media.check(policy(scheduled, zones=ZONES))
    assert (finding.code, finding.rule) == ("SOS116", "guilty")


def test_media_that_no_flow_promises_is_not_asked_about() -> None:
    emergency = EMERGENCY.replace("to: [psap]", "to: [psap], flows: [text]")
    assert media.check(policy(rule("rtp.p_type == 118"), emergency=emergency)) == []


def test_more_packets_than_can_be_asked_about_are_undecided() -> None:
    many = ", ".join(str(number * 1000) for number in range(1, 2000))
    tested = policy(rule(f"rtp.ssrc in {{{many}}}"), zones=ZONES)
    with pytest.raises(UntoldError):
        list(refusals(tested, calling_pairs(tested), ("audio",)))
    assert [finding.code for finding in media.check(tested)] == [UNDECIDED]


def test_the_packet_has_the_header_it_says() -> None:
    header = read_rtp_header(RtpPacket(101, sequence_number=7, ssrc=9, marker=1).payload(20))
    assert header is not None
    assert (header.payload_type, header.sequence_number, header.ssrc, header.marker) == (101, 7, 9, 1)


def test_media_of_a_zone_without_interfaces_is_no_other_zones_that_names_one() -> None:
    (finding,) = media.check(policy(rule('rtp and zone.src == "carrier"'), zones=BESIDE_MANAGEMENT))
    assert (finding.code, finding.rule) == ("SOS116", "guilty")
