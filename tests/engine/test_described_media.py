"""What a session description opens: RTCP, ICE candidates, ranges, bundles; and what it may not open."""

import pytest

from firewall.engine.events import DeadlineReached
from firewall.ruleset.load import load_policy
from tests.media import (
    ANY,
    AUDIO,
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    OFFER,
    ORDINARY,
    MediaScene,
    answer,
    flows,
    invite,
    reasons,
    rtcp_of,
    rtp,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, NoFiles, policy


def test_rtcp_shares_the_port_only_where_both_say_so() -> None:
    """RFC 5761 §5.1.1."""
    muxed = "audio 49170 RTP/AVP 0, a=rtcp-mux"
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], muxed), answered=sdp(CALLED[0], "audio 40000 RTP/AVP 0"))
    assert scene.to(rtcp_of(CALLER)) == FROM_CALLED
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], muxed), answered=sdp(CALLED[0], "audio 40000 RTP/AVP 0, a=rtcp-mux"))
    assert scene.to(rtcp_of(CALLER)) == []
    assert len(scene.open) == 2


def test_rtcp_goes_where_its_attribute_says() -> None:
    """RFC 3605."""
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], "audio 49170 RTP/AVP 0, a=rtcp:53020 IN IP4 192.0.2.99"))
    assert scene.to(("192.0.2.99", 53020)) == FROM_CALLED
    assert scene.to(rtcp_of(CALLER)) == []


def test_ice_candidates_are_ways_too() -> None:
    candidate = "a=candidate:1 1 UDP 2130706431 192.0.2.55 5001 typ host"
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], f"audio 49170 RTP/AVP 0, {candidate}"))
    assert scene.to(("192.0.2.55", 5001)) == FROM_CALLED
    assert scene.to(CALLED) == [(CALLER[0], "allow"), ("192.0.2.55", "allow")]


def test_candidates_that_come_later_by_info_are_ways_too() -> None:
    """RFC 8840: who trickles names no address at first; each INFO names all candidates so far, by the medium's mid."""
    media = "video 9 RTP/SAVPF 96, a=mid:v", "audio 9 UDP/TLS/RTP/SAVPF 0, a=mid:a, a=rtcp-mux"
    scene, first = MediaScene(), invite(sdp("0.0.0.0", *media, session="a=ice-options:trickle"))  # noqa: S104
    scene.carrier(first)
    scene.psap(answer(first, sdp("0.0.0.0", *media)), at_s=1)  # noqa: S104
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    fragment = "m=audio 9 RTP/AVP 0\r\na=mid:a\r\na=candidate:1 1 UDP 1 {} {} typ host\r\n"
    headers = ("Info-Package: trickle-ice", "Content-Type: application/trickle-ice-sdpfrag")
    named = [fragment.format(*CALLER), fragment.format(*CALLER) + "a=candidate:2 1 UDP 1 203.0.113.7 5000 typ host\r\n"]
    for cseq, body in enumerate(named, 2):
        scene.carrier(request("INFO", to_tag="psap", cseq=cseq, headers=headers, body=body), at_s=cseq)
    scene.psap(
        request(
            "INFO", to="<sip:6175550123@192.0.2.10>;tag=caller", from_uri="sip:911@198.51.100.10", from_tag="psap",
            branch="z9hG4bK-info", headers=headers, body=fragment.format(*CALLED),
        ),
        at_s=3.1,
    )  # fmt: skip
    scene.tell(DeadlineReached(), at_s=3.7)
    assert (scene.to(CALLER), scene.to(("203.0.113.7", 5000))) == (FROM_CALLED, FROM_CALLED)
    assert scene.to(CALLED) == [(CALLER[0], "allow"), ("203.0.113.7", "allow")]
    assert {hole.kind for hole in scene.open.values()} == {"rtp"}
    scene.talk(3.8, 3.9)
    (call,) = scene.tell(DeadlineReached(), at_s=5).calls
    assert {loss.side for loss in call.media_loss} == {"psap"}
    scene.carrier(request("BYE", to_tag="psap", cseq=9), at_s=6)
    scene.tell(DeadlineReached(), at_s=7)
    assert scene.open == {}


@pytest.mark.parametrize("guard", ["off", "enforce"])
@pytest.mark.parametrize("spare", ["10.0.0.5", "fd00::5", "3ad5c3de.local", "fe80::5%eth0"])
def test_a_candidate_that_may_not_be_opened_hurts_no_call_that_has_another_address(spare: str, guard: str) -> None:
    """RFC 8445 §5.1.1: a host behind a NAT names its private address, too. ICE finds the pair that works."""
    scene = MediaScene(policy(ALL, guard=guard))
    own = f"a=candidate:1 1 UDP 1694498815 {CALLER[0]} {CALLER[1]} typ srflx raddr 0.0.0.0 rport 0"
    told = scene.carrier(invite(sdp(CALLER[0], f"{AUDIO}, a=candidate:2 1 UDP 9 {spare} 5001 typ host, {own}")))
    assert told.alarms == told.calls == []
    assert {r.dest_ip: (r.state, r.rtp.candidate) for r in flows(told) if r.rtp.protocol == "rtp"} == {
        CALLER[0]: ("opened", False),
        spare: ("refused", True),
    }
    assert (scene.to(CALLER), scene.to((spare, 5001))) == (ANY, [])


def test_without_any_other_address_a_refused_candidate_is_media_that_is_blocked() -> None:
    scene = MediaScene()
    offer = sdp("::", "audio 9 RTP/AVP 0, a=candidate:2 1 UDP 9 10.0.0.5 5001 typ host")
    assert [each.alarm.reason for each in scene.carrier(invite(offer)).alarms] == ["media_third_party"]


@pytest.mark.parametrize("proto", ["udptl t38", "UDP/TLS/UDPTL t38", "UDP/DTLS/SCTP webrtc-datachannel", "UDP/BFCP *"])
def test_what_is_negotiated_over_udp_without_rtp_is_opened_and_no_rtp_is_read_into_it(proto: str) -> None:
    """RFC 7345 (fax), RFC 8841 (data channels), RFC 8856 (floor control)."""
    scene = MediaScene(policy(f"  - {{name: none, when: rtp, action: drop}}\n{ALL}"))
    scene.call(
        offer=sdp(CALLER[0], f"image {CALLER[1]} {proto}"), answered=sdp(CALLED[0], f"image {CALLED[1]} {proto}")
    )
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    assert scene.to(rtcp_of(CALLED)) == []
    assert scene.packet(CALLER, CALLED, rtp(1, payload_type=77), at_s=2).outputs == []
    (flow,) = (r for r in flows(scene.stops(at_s=3)) if r.rtp.packets)
    assert (flow.rtp.protocol, flow.rtp.streams, flow.anomalies) == ("udp", (), ())


def test_a_range_of_ports_is_opened_whole() -> None:
    """RFC 8866 §5.14: two RTP sessions, with RTCP between them."""
    scene = MediaScene()
    scene.carrier(invite(sdp(CALLER[0], "audio 49170/2 RTP/AVP 0")))
    assert {key.dst_port for key in scene.open} == {49170, 49171, 49172, 49173}


def test_whoever_answers_takes_the_address_that_suits_of_who_has_ipv4_and_ipv6() -> None:
    """RFC 6947, in an emergency call whose PSAP has IPv6."""
    scene, ipv6, psap = MediaScene(), ("2001:db8:1::10", 45678), ("2001:db8:2::10", 40000)
    scene.call(
        offer=f"{OFFER}a=altc:1 IP6 {ipv6[0]} {ipv6[1]}\r\na=altc:2 IP4 {CALLER[0]} {CALLER[1]}\r\n",
        answered=sdp(psap[0], "audio 40000 RTP/AVP 0"),
    )
    assert (scene.to(ipv6), scene.to(psap)) == ([(psap[0], "allow")], [(ipv6[0], "allow")])
    told = [scene.packet(*ends, at_s=2) for ends in ((ipv6, psap), (psap, ipv6))]
    assert [reasons(each) for each in told] == [[], []]
    assert not scene.tell(DeadlineReached(), at_s=6).alarms


def many(ip: str, first: int, count: int) -> str:
    """A description of so many streams."""
    return sdp(ip, *(f"audio {first + 4 * n} RTP/AVP 0" for n in range(count)))


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_ways_beyond_those_of_one_call_have_a_reason_and_an_alarm(guard: str) -> None:
    scene = MediaScene(policy(ALL, guard=guard))
    first = invite(many(CALLER[0], 20000, 40))
    scene.carrier(first)
    told = scene.psap(answer(first, many(CALLED[0], 30000, 40)), at_s=1)
    assert len(scene.open) == 128
    refused = {r.dest_port: r.decision for r in flows(told) if r.state == "refused"}
    assert {(each.reason, each.enforced) for each in refused.values()} == {("media_too_many_ways", True)}
    assert {port % 10000 // 4 for port in refused} == {*range(32, 40)}
    alarms = {alarm.alarm.code: alarm.alarm.message for alarm in told.alarms}
    assert list(alarms) == ["emergency_media_blocked"]
    assert "media_too_many_ways" in alarms["emergency_media_blocked"]
    assert reasons(scene.packet((CALLER[0], 20128), (CALLED[0], 30128), at_s=2)) == [("refused", "media_too_many_ways")]


def test_candidates_beyond_those_of_one_call_hurt_no_medium_that_has_others() -> None:
    def described(net: str, port: int) -> str:
        streams = []
        for first in (port, port + 20):
            own = (f"a=candidate:{n} 1 UDP 1 {net}.{50 + n % 4} {first + 2 * n} typ host" for n in range(8))
            streams.append(f"audio {first} RTP/AVP 0, {', '.join(own)}")
        return sdp(f"{net}.50", *streams)

    scene = MediaScene()
    first = invite(described("192.0.2", 49170))
    scene.carrier(first)
    told = scene.psap(answer(first, described("198.51.100", 40000)), at_s=1)
    cut = [r for r in flows(told) if r.decision.reason == "media_too_many_ways"]
    assert len(scene.open) == 128
    assert cut
    assert told.alarms == []


def test_media_that_share_a_port_have_the_formats_of_all() -> None:
    """BUNDLE, RFC 9143."""
    scene = MediaScene()
    media = ("audio {} RTP/AVP 0", "video {} RTP/AVP 96, a=rtpmap:96 VP8/90000")
    scene.call(
        offer=sdp(CALLER[0], *(each.format(CALLER[1]) for each in media)),
        answered=sdp(CALLED[0], *(each.format(CALLED[1]) for each in media)),
    )
    for payload_type in (0, 96):
        assert scene.packet(CALLER, CALLED, rtp(1, payload_type=payload_type, ssrc=payload_type), at_s=2)
    assert scene.packet(CALLER, CALLED, rtp(1, payload_type=0, ssrc=7), at_s=2)
    (closed,) = (r for r in flows(scene.stops(at_s=3)) if r.rtp.packets)
    assert closed.rtp.codecs == ("pcmu", "vp8")
    assert closed.anomalies == ("rtp_ssrc_changed",), "of the two that send the same"


@pytest.mark.parametrize(
    ("offered", "answered"),
    [
        ("0 RTP/AVP 96, a=bundle-only", "40000 RTP/AVP 96"),
        ("49180 RTP/AVP 96", "0 RTP/AVP 96, a=bundle-only"),
        ("49180 RTP/AVP 96", "9 RTP/AVP 96"),
        ("49180 RTP/AVP 96, a=candidate:1 1 UDP 1 192.0.2.9 49180 typ host", "40000 RTP/AVP 96"),
    ],
)
def test_media_that_the_answer_bundles_have_one_port_whatever_their_own_sections_name(
    offered: str, answered: str
) -> None:
    """RFC 9143 §7.2, §7.3: browsers send voice and video by the first one's port."""
    scene, bundle = MediaScene(policy(ALL, guard="enforce")), "a=group:BUNDLE v p"
    video = "video {}, a=rtpmap:96 VP8/90000, a=mid:p"
    first = invite(sdp(CALLER[0], "audio 49170 RTP/AVP 0, a=mid:v", video.format(offered), session=bundle))
    scene.carrier(first)
    told = scene.psap(
        answer(first, sdp(CALLED[0], "audio 40000 RTP/AVP 0, a=mid:v", video.format(answered), session=bundle)), at_s=1
    )
    assert told.alarms == []
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    assert {key.dst_port for key, hole in scene.open.items() if hole.kind == "rtp"} == {49170, 40000}
    for ends in ((CALLER, CALLED), (CALLED, CALLER)):
        for payload_type in (0, 96):
            scene.packet(*ends, rtp(1, payload_type=payload_type, ssrc=payload_type), at_s=2)
    closed = [r for r in flows(scene.stops(at_s=3)) if r.rtp.packets]
    assert [(r.rtp.packets, r.anomalies) for r in closed] == [(2, ())] * 2


def test_ipv6_is_opened_alike() -> None:
    scene = MediaScene()
    scene.call(
        offer=sdp("2001:db8:1::7", "audio 49170 RTP/AVP 0"), answered=sdp("2001:db8:2::9", "audio 40000 RTP/AVP 0")
    )
    assert scene.to(("2001:db8:1::7", 49170)) == [("2001:db8:2::9", "allow")]
    assert scene.to(("2001:db8:2::9", 40000)) == [("2001:db8:1::7", "allow")]


def test_the_description_in_a_multipart_body_counts() -> None:
    location = "--b\r\nContent-Type: application/pidf+xml\r\n\r\n<x/>\r\n"
    parts = f"{location}--b\r\nContent-Type: application/sdp\r\n\r\n{OFFER}\r\n--b--\r\n"
    scene = MediaScene()
    scene.carrier(request(headers=("Content-Type: multipart/mixed;boundary=b",), body=parts))
    assert scene.to(CALLER) == ANY


def test_no_way_is_opened_to_a_third_party() -> None:
    """An SDP address outside the zone of who sent it would make the other side flood somebody else."""
    scene = MediaScene()
    scene.call(offer=sdp("203.0.114.9", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    assert scene.to(("203.0.114.9", 49170)) == []
    told = scene.packet(CALLED, ("203.0.114.9", 49170), at_s=2)
    assert reasons(told) == [("refused", "media_third_party")]


def test_a_port_outside_the_policys_range_is_refused_with_the_setting() -> None:
    scene = MediaScene(policy(ALL, more="media: {ports: 40000-40999}"))
    told = scene.carrier(invite(uri=ORDINARY))
    refused = [record for record in flows(told) if record.state == "refused"]
    assert [(r.dest_port, r.decision.reason, r.decision.line) for r in refused] == [
        (49170, "media_port_range", 7), (49171, "media_port_range", 7),
    ]  # fmt: skip
    assert scene.open == {}


@pytest.mark.parametrize("uri", [ORDINARY, "sip:911@198.51.100.10"])
def test_a_signalling_port_is_never_opened_for_media_guard_or_no_guard(uri: str) -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    told = scene.carrier(invite(sdp(CALLER[0], "audio 5060 RTP/AVP 0"), uri=uri))
    assert scene.to((CALLER[0], 5060)) == []
    refused = [r.decision for r in flows(told) if r.state == "refused"]
    assert [(d.reason, d.enforced) for d in refused] == [("media_signalling_port", True)]


@pytest.mark.parametrize("source", ["address", "zone"])
def test_zones_that_only_name_interfaces_take_any_address(source: str) -> None:
    zones = "policy: p\nzones:\n  carrier: {interfaces: [f0]}\n  psap: {interfaces: [f1]}\n"
    text = f"{zones}media: {{source: {source}}}\nrules:\n{ALL}\ndefault: drop\n"
    scene = MediaScene(load_policy(text.encode(), file="p.yaml", sources=NoFiles()))
    first = invite()
    scene.carrier(first)
    assert scene.to(CALLER) == ANY
    assert reasons(scene.packet(CALLED, CALLER, at_s=0.5)) == [], "nobody could tell its zone but by the interface"
    scene.psap(answer(first), at_s=1)
    assert scene.to(CALLED) == (FROM_CALLER if source == "address" else ANY)


def test_the_zone_without_a_family_is_named() -> None:
    zones = "policy: p\nzones:\n  carrier: {networks: [192.0.2.0/24]}\n  psap: {networks: [198.51.100.0/24]}\n"
    rules = load_policy(f"{zones}rules:\n{ALL}\ndefault: drop\n".encode(), file="p.yaml", sources=NoFiles())
    scene = MediaScene(rules)
    told = scene.carrier(invite(sdp("2001:db8:1::7", "audio 49170 RTP/AVP 0"), uri=ORDINARY))
    assert {(record.decision.reason, record.decision.line) for record in flows(told)} == {("media_family_gap", 3)}
