import pytest

from firewall.lint.hygiene.sample import OUTSIDE, Sampler
from tests.lint.policies import policy, rule


@pytest.mark.parametrize(
    "when",
    [
        'sip.Method == "REGISTER" and zone.src == "carrier" and not emergency',
        "net.src == 203.0.113.0/24 and udp.srcport == 5080",
        "ipv6.src == 2001:db8:1::7 and tcp.dstport > 1023",
        'sip.User-Agent contains "scanner" and sip.from.user == "1000"',
        'sip.r-uri.user matches "^1900[0-9]{4}$"',
        'sip.header["X-Call"] in {"a", "b"} or malformed',
        'emergency.class == "test" and dialog.state == "confirmed"',
        'emergency.service == "urn:emergency:service:sos.psap"',
        'malformed.reason == "stun"',
        "sip.Status-Code == 503",
        "frame.len > 1300 and ip",
    ],
)
def test_a_message_is_made_that_meets_a_usual_condition(when: str) -> None:
    tested = policy(rule(when))
    made = list(Sampler(tested).made_for(tested.rules[0].when))
    assert any(tested.rules[0].matches(each) for each in made)


@pytest.mark.parametrize(("when", "is_met"), [("sip.Status-Code", True), ("sip.Status-Code == 99", False)])
def test_a_condition_on_any_status_is_met_and_an_impossible_one_is_no_error(when: str, is_met: bool) -> None:
    tested = policy(rule(when))
    made = list(Sampler(tested).made_for(tested.rules[0].when))
    assert any(tested.rules[0].matches(each) for each in made) is is_met


def test_a_message_that_is_an_emergency_by_its_text_is_marked() -> None:
    tested = policy(rule('sip.r-uri.user == "911"'))
    for made in Sampler(tested).made_for(tested.rules[0].when):
        assert made.message is None or made.emergency is not None


def test_a_message_moved_is_known_by_its_new_place() -> None:
    tested = policy()
    sampler = Sampler(tested)
    plain = next(sampler.made_for(None))
    assert sampler.moved(plain, "198.51.100.7", "f1").zone_src == "psap"
    assert sampler.moved(plain, "198.51.100.7", "f0").zone_src is None
    assert sampler.moved(plain, OUTSIDE[6], None).datagram.dst_ip == OUTSIDE[6]
