"""From descriptions to ways, where no call of test_media.py shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.media_plan import MAX_CUT, MAX_WAYS, Planner
from firewall.engine.negotiation import Negotiation, Offer, Party, Session
from firewall.sip.sdp import parse_sdp
from tests.media import ALL, ANSWER, CALLED, CALLER, OFFER, sdp
from tests.scene import policy

HERE, THERE = Party("carrier", CALLER[0]), Party("psap", CALLED[0])


def agreed(offer: str, answer: str) -> Negotiation:
    made = Offer(parse_sdp(offer.encode()), HERE, THERE, 1, is_final=True)
    return Negotiation(sessions={("a", "b"): Session(made, parse_sdp(answer.encode()), THERE)})


@pytest.mark.parametrize(
    ("offered", "answered", "expected"),
    [
        ("sendrecv", "sendrecv", {CALLER, CALLED}),
        ("sendonly", "recvonly", {CALLED}),
        ("recvonly", "sendonly", {CALLER}),
        ("inactive", "inactive", set()),
    ],
)
def test_what_must_be_heard_follows_the_directions(offered: str, answered: str, expected: set[tuple[str, int]]) -> None:
    ways = Planner(policy(ALL)).ways(agreed(f"{OFFER}a={offered}\r\n", f"{ANSWER}a={answered}\r\n"))
    assert {(key.dst_ip, key.dst_port) for key, way in ways.items() if way.is_expected} == expected
    assert len(ways) == 4


def test_who_puts_media_on_hold_by_the_address_is_sent_none_and_expects_none() -> None:
    """RFC 3264 §8.4, as RFC 2543 did it."""
    ways = Planner(policy(ALL)).ways(agreed(OFFER.replace(f"c=IN IP4 {CALLER[0]}", "c=IN IP4 0.0.0.0"), ANSWER))
    assert {way.key.dst_ip for way in ways.values()} == {CALLED[0]}
    assert {way.refusal for way in ways.values()} == {None}


def test_a_host_name_is_no_address() -> None:
    ways = Planner(policy(ALL)).ways(agreed(OFFER.replace(f"c=IN IP4 {CALLER[0]}", "c=IN IP4 media.example"), ANSWER))
    assert {way.refusal for way in ways.values() if way.dst == HERE} == {"media_no_address"}


def test_text_is_text_whatever_its_medium_is_called() -> None:
    text = "audio 49170 RTP/AVP 98, a=rtpmap:98 t140/8000"
    ways = Planner(policy(ALL)).ways(agreed(sdp(CALLER[0], text), sdp(CALLED[0], text)))
    assert {way.kind for way in ways.values()} == {"text"}


def test_msrp_is_a_way_over_tcp_to_where_its_path_goes() -> None:
    """RFC 4975 §8.2; the port of the m= line is only a fallback."""
    medium = "message 9 TCP/MSRP *, a=path:msrp://{}:2855/s;tcp"
    offer, answer = (sdp(ip, medium.format(ip)) for ip in (CALLER[0], CALLED[0]))
    ways = Planner(policy(ALL)).ways(agreed(offer, answer))
    assert {(key.transport, key.dst_ip, key.dst_port) for key in ways} == {
        ("TCP", CALLER[0], 2855), ("TCP", CALLED[0], 2855),
    }  # fmt: skip


_LINES = st.sampled_from(
    [
        "v=0", "c=IN IP4 192.0.2.10", "c=IN IP6 ::1", "c=IN IP4 0.0.0.0", "c=IN IP4 x", "m=audio 49170 RTP/AVP 0", "m=",
        "m=a", "m=audio 65535 RTP/AVP 0", "m=message 9 TCP/MSRP *", "a=rtcp-mux", "a=rtcp:99999", "a=rtcp:1 IN IP4 y",
        "a=path:msrp://[::1]:1/x", "a=candidate:1 1 UDP 1 192.0.2.4 5000 typ host", "a=sendonly", "m=text 4 RTP/AVP 98",
        "a=candidate:1 2 UDP 1 nowhere 5001 typ host", "a=rtpmap:98 t140/1000",
    ]
)  # fmt: skip


@given(st.lists(_LINES, max_size=40), st.lists(_LINES, max_size=40))
def test_any_descriptions_give_a_bounded_number_of_ways_with_ports_that_exist(
    offer: list[str], answer: list[str]
) -> None:
    for rules in (policy(ALL), policy(ALL, more="media: {nat: latch, source: port}")):
        ways = Planner(rules).ways(agreed("\r\n".join(offer), "\r\n".join(answer)))
        assert len(ways) <= MAX_WAYS + MAX_CUT
        assert sum(way.refusal is None for way in ways.values()) <= MAX_WAYS
        assert all(0 < key.dst_port <= 65535 for key, way in ways.items() if way.refusal is None)
