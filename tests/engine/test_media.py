"""Media of calls: what is opened when, for whom, how long, and why the rest is refused."""

import pytest

from firewall.engine.events import (
    CallsRecovered,
    DeadlineReached,
    Event,
    FlowsCounted,
    MediaReceived,
    PinholesRecovered,
    PolicyReplaced,
    Started,
)
from firewall.engine.outputs import Write
from firewall.engine.pinhole import FlowCount
from firewall.engine.record import encode
from firewall.engine.recovery import recovered_calls
from firewall.net.datagram import Datagram
from firewall.ruleset.load import load_policy
from tests.media import ALL, AUDIO, CALLED, CALLER, OFFER, MediaScene, answer, flows, invite, reasons, rtp, sdp
from tests.messages import request, response
from tests.scene import NoFiles, Told, policy

ANY = [(None, "allow")]
FROM_CALLED, FROM_CALLER = [(CALLED[0], "allow")], [(CALLER[0], "allow")]
ORDINARY = "sip:6175550199@198.51.100.10"


def rtcp_of(endpoint: tuple[str, int]) -> tuple[str, int]:
    return endpoint[0], endpoint[1] + 1


def test_the_offer_opens_the_way_to_the_caller_and_the_answer_both_ways_for_them_alone() -> None:
    """RFC 3264 §5.1: who offers must be ready to receive at once; before the answer nobody knows from where."""
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    assert (scene.to(CALLER), scene.to(rtcp_of(CALLER)), scene.to(CALLED)) == (ANY, ANY, [])
    scene.psap(answer(first), at_s=1)
    assert (scene.to(CALLER), scene.to(rtcp_of(CALLER))) == (FROM_CALLED, FROM_CALLED)
    assert (scene.to(CALLED), scene.to(rtcp_of(CALLED))) == (FROM_CALLER, FROM_CALLER)


def test_a_policy_may_wait_for_the_answer() -> None:
    scene = MediaScene(policy(ALL, more="media: {early: answer}"))
    scene.carrier(invite())
    assert scene.open == {}


def test_a_bye_closes_all_after_the_grace_time() -> None:
    scene = MediaScene()
    scene.call()
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    assert len(scene.open) == 4
    assert scene.engine.next_deadline() is not None
    told = scene.tell(DeadlineReached(), at_s=10.5)
    assert scene.open == {}
    assert reasons(told) == [("closed", "media_negotiated")] * 4
    assert {record.rtp.closed for record in flows(told)} == {"bye"}
    (late,) = flows(scene.packet(CALLER, CALLED, at_s=12.1))
    assert (late.state, late.decision.reason, late.rtp.closed, late.rtp.ago_s) == (
        "refused",
        "media_closed",
        "bye",
        1.6,
    )


@pytest.mark.parametrize("status", [404, 486, 500, 603])
def test_a_call_that_fails_closes_what_its_offer_opened(status: int) -> None:
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    told = scene.psap(response(first, status), at_s=1)
    assert scene.open == {}
    assert {record.rtp.closed for record in flows(told)} == {"failed"}


def test_early_media_flows_with_the_session_description_of_a_183() -> None:
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    assert scene.to(CALLED) == FROM_CALLER
    assert (CALLED[0], "allow") in scene.to(CALLER)


def test_each_fork_gets_its_own_way_and_the_last_answer_ends_the_waiting() -> None:
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    other = sdp("198.51.100.77", "audio 42000 RTP/AVP 0")
    scene.psap(answer(first, status=183, to_tag="fork-1"), at_s=1)
    scene.psap(answer(first, other, status=183, to_tag="fork-2"), at_s=2)
    assert scene.to(CALLER) == [(CALLED[0], "allow"), ("198.51.100.77", "allow"), (None, "allow")]
    scene.psap(answer(first, other, to_tag="fork-2"), at_s=3)
    assert (None, "allow") not in scene.to(CALLER)
    assert ("198.51.100.77", "allow") in scene.to(CALLER)


def test_a_late_offer_is_answered_in_the_ack() -> None:
    scene = MediaScene()
    first = invite("")
    scene.carrier(first)
    scene.psap(answer(first), at_s=1)
    assert (scene.to(CALLED), scene.to(CALLER)) == (ANY, [])
    scene.carrier(request("ACK", to_tag="psap", headers=("Content-Type: application/sdp",), body=OFFER), at_s=1.1)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


def test_an_offer_in_a_reliable_provisional_response_is_answered_in_the_prack() -> None:
    """RFC 3262 §5."""
    scene = MediaScene()
    first = invite("")
    scene.carrier(first)
    scene.psap(answer(first, status=183, headers=("Require: 100rel", "RSeq: 1")), at_s=1)
    prack = request(
        "PRACK", to_tag="psap", cseq=2, headers=("RAck: 1 1 INVITE", "Content-Type: application/sdp"), body=OFFER
    )
    scene.carrier(prack, at_s=1.1)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_a_new_offer_inside_the_call_moves_its_media_and_leaves_the_old_way_open_for_the_grace_time(
    method: str,
) -> None:
    scene = MediaScene()
    scene.call()
    moved = sdp(CALLER[0], "audio 50000 RTP/AVP 0")
    again = request(method, to_tag="psap", cseq=2, headers=("Content-Type: application/sdp",), body=moved)
    scene.carrier(again, at_s=5)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000))) == (FROM_CALLED, ANY), "the old way until the answer"
    scene.psap(answer(again), at_s=5.2)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000))) == (FROM_CALLED, FROM_CALLED), "packets are on their way"
    scene.tell(DeadlineReached(), at_s=5.8)
    assert (scene.to(CALLER), scene.to(CALLED)) == ([], FROM_CALLER)


def test_a_refused_new_offer_leaves_the_call_as_it_was() -> None:
    scene = MediaScene()
    scene.call()
    again = invite(sdp(CALLER[0], "audio 50000 RTP/AVP 0"), to_tag="psap", cseq=2)
    scene.carrier(again, at_s=5)
    scene.psap(response(again, 488), at_s=5.2)
    scene.tell(DeadlineReached(), at_s=9)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000))) == (FROM_CALLED, [])


def test_hold_and_resume_leave_the_ways_open() -> None:
    scene = MediaScene()
    scene.call()
    for cseq, direction in ((2, "sendonly"), (3, "sendrecv")):
        again = invite(OFFER + f"a={direction}\r\n", to_tag="psap", cseq=cseq)
        scene.carrier(again, at_s=cseq * 10)
        scene.psap(answer(again), at_s=cseq * 10 + 0.1)
        scene.tell(DeadlineReached(), at_s=cseq * 10 + 5)
        assert (scene.to(CALLER), scene.to(CALLED)) == (FROM_CALLED, FROM_CALLER)


def test_a_rejected_stream_is_not_opened_and_an_added_one_is() -> None:
    scene = MediaScene()
    both = sdp(CALLER[0], "audio 49170 RTP/AVP 0", "text 49172 RTP/AVP 98, a=rtpmap:98 t140/1000")
    scene.call(offer=both, answered=sdp(CALLED[0], "audio 40000 RTP/AVP 0", "text 0 RTP/AVP 98"))
    scene.tell(DeadlineReached(), at_s=3)
    assert scene.to((CALLER[0], 49172)) == []
    again = invite(both, to_tag="psap", cseq=2)
    scene.carrier(again, at_s=5)
    text = "text 40002 RTP/AVP 98, a=rtpmap:98 t140/1000"
    scene.psap(answer(again, sdp(CALLED[0], "audio 40000 RTP/AVP 0", text)), at_s=5.1)
    assert scene.to((CALLER[0], 49172)) == FROM_CALLED
    assert scene.to((CALLED[0], 40002)) == FROM_CALLER


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
    (closed,) = (r for r in flows(scene.stops(at_s=3)) if r.rtp.packets)
    assert closed.rtp.codecs == ("pcmu", "vp8")
    assert closed.anomalies == ("rtp_ssrc_changed",)


def test_a_flow_that_began_by_the_way_of_the_offer_is_counted_on_by_that_of_the_answer() -> None:
    """One RTP stream has one line of figures, as in Wireshark, whenever the answer came."""
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    for n in range(40):
        if n == 20:
            scene.psap(answer(first, status=183), at_s=2.39)
        scene.packet(CALLED, CALLER, rtp(n), at_s=2 + n / 50)
    scene.psap(answer(first), at_s=3)
    told = flows(scene.stops(at_s=4))
    assert [
        (r.src_port, r.decision.reason, r.rtp.packets, r.rtp.streams[0].packets) for r in told if r.rtp.packets
    ] == [(CALLED[1], "media_negotiated", 40, 40)]


def test_refused_rtp_has_figures_also_without_any_call() -> None:
    """RFC 3550 A.1: two packets in sequence make a source; other protocols seldom look like that."""
    scene = MediaScene()
    for n in range(10):
        scene.packet(("192.0.2.77", 4000), CALLED, rtp(n, ssrc=7 if n != 5 else 8), at_s=1 + n / 50)
    (ended,) = flows(scene.stops(at_s=4))
    assert [(s.ssrc, s.packets, s.lost) for s in ended.rtp.streams] == [(7, 9, 1)]


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
    assert {record.decision.reason for record in flows(told)} == {"media_family_gap"}


def test_a_strangers_packets_to_an_open_port_are_refused_as_injection_and_counted() -> None:
    scene = MediaScene()
    scene.call()
    stranger = ("192.0.2.66", 49170)
    assert reasons(scene.packet(stranger, CALLED, at_s=2)) == [("refused", "media_wrong_source")]
    for n in range(9):
        assert scene.packet(stranger, CALLED, at_s=2.1 + n / 10).outputs == []
    (ended,) = [r for r in flows(scene.stops(at_s=5)) if r.state == "ended"]
    assert (ended.rtp.packets, ended.call_id, ended.src_ip) == (10, "call-1@192.0.2.10", "192.0.2.66")


def test_the_source_port_counts_where_the_policy_says_so() -> None:
    scene = MediaScene(policy(ALL, more="media: {source: port}"))
    scene.call()
    assert reasons(scene.packet(CALLER, CALLED, at_s=2)) == []
    assert reasons(scene.packet((CALLER[0], 50001), CALLED, at_s=2)) == [("refused", "media_wrong_source")]


def test_any_source_of_the_zone_passes_where_the_policy_says_so() -> None:
    scene = MediaScene(policy(ALL, more="media: {source: zone}"))
    scene.call()
    assert reasons(scene.packet(("203.0.113.7", 50001), CALLED, at_s=2)) == []
    assert reasons(scene.packet(("198.51.100.66", 50001), CALLED, at_s=2)) == [], "the same zone: none of our business"
    assert reasons(scene.packet(("233.252.0.1", 50001), CALLED, at_s=2)) == [("refused", "media_wrong_source")]


def test_media_behind_nat_is_latched_to_where_it_comes_from() -> None:
    """RFC 3264 §5.1 does not hold behind NAT: the address in the description is not the one that packets have."""
    scene = MediaScene(policy(ALL, more="media: {nat: latch}"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    assert scene.to(CALLED) == FROM_CALLER
    mapped = (CALLER[0], 61234)
    assert scene.to(mapped) == []
    scene.packet(mapped, CALLED, at_s=2)
    assert scene.to(mapped) == FROM_CALLED
    again = invite(sdp("10.0.0.5", "audio 49170 RTP/AVP 0, a=sendonly"), to_tag="psap", cseq=2, uri=ORDINARY)
    scene.carrier(again, at_s=3)
    scene.psap(answer(again), at_s=3.1)
    scene.tell(DeadlineReached(), at_s=5)
    assert scene.to(mapped) == FROM_CALLED, "a hold does not forget where the caller is"
    scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


def test_the_guard_lets_an_emergency_caller_behind_nat_be_heard_and_hear_but_no_stranger_in() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"))
    outside = (CALLER[0], 61000)
    assert scene.packet(CALLED, outside, at_s=2).outputs[0].record.decision.verdict == "drop"  # type: ignore[union-attr]
    scene.packet(outside, CALLED, at_s=2.1)
    assert (scene.to(CALLED), scene.to(outside)) == ([("10.0.0.5", "allow"), (CALLER[0], "allow")], FROM_CALLED)
    assert reasons(scene.packet(("192.0.2.66", 61000), CALLED, at_s=2.2)) == [("refused", "media_wrong_source")]
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    scene.tell(DeadlineReached(), at_s=11)
    assert scene.open == {}


def test_an_ordinary_caller_behind_nat_is_the_policys_choice() -> None:
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(offer=sdp("10.0.0.5", "audio 49170 RTP/AVP 0"), uri=ORDINARY)
    assert scene.to(CALLED) == [("10.0.0.5", "allow")]


def test_packets_of_no_call_are_refused_and_those_of_other_protocols_left_alone() -> None:
    scene = MediaScene()
    assert reasons(scene.packet(CALLER, CALLED, at_s=1)) == [("refused", "media_not_negotiated")]
    assert reasons(scene.packet((CALLER[0], 53), CALLED, at_s=1)) == []
    assert reasons(scene.packet(CALLER, ("192.0.2.77", 5000), at_s=1)) == []


def test_an_idle_way_is_closed_after_the_time_out_and_its_setting_named() -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}"))
    scene.call(uri=ORDINARY)
    scene.talk(1.5, 3)
    scene.tell(DeadlineReached(), at_s=22.5)
    assert scene.to(CALLED) == FROM_CALLER, "counted from its last packet"
    scene.tell(DeadlineReached(), at_s=23.2)
    assert scene.to(CALLED) == []
    assert reasons(scene.packet(CALLER, CALLED, at_s=25)) == [("refused", "media_timeout")]
    again = invite(to_tag="psap", cseq=2, uri=ORDINARY)
    scene.carrier(again, at_s=30)
    scene.psap(answer(again), at_s=30.1)
    assert scene.to(CALLED) == FROM_CALLER, "a new offer opens it again"


def test_a_rule_about_a_medium_decides_when_it_is_opened() -> None:
    rules = "  - {name: no-text, when: 'media.kind == \"text\"', action: drop}\n" + ALL
    scene = MediaScene(policy(rules))
    text = sdp(CALLER[0], "text 49170 RTP/AVP 98, a=rtpmap:98 t140/1000")
    told = scene.carrier(invite(text, uri=ORDINARY))
    assert {(r.state, r.decision.rule, r.decision.line) for r in flows(told)} == {("opened", "no-text", 9)}
    assert scene.to(CALLER) == [(None, "drop")]


def test_a_rule_about_rtp_decides_on_the_first_packet_and_closes_the_flow() -> None:
    rules = "  - {name: pcmu-only, when: 'rtp and not rtp.p_type in {0, 101}', action: drop}\n" + ALL
    scene = MediaScene(policy(rules))
    scene.call(uri=ORDINARY)
    assert scene.to(CALLED) == FROM_CALLER
    assert scene.packet(CALLER, CALLED, rtp(payload_type=0), at_s=2).outputs == []
    told = scene.packet(CALLER, CALLED, rtp(1, payload_type=9), at_s=2.02)
    assert [(r.state, r.decision.rule, r.decision.verdict) for r in flows(told)] == [("changed", "pcmu-only", "drop")]
    assert scene.to(CALLED) == [(CALLER[0], "drop")]
    assert scene.packet(CALLER, CALLED, rtp(2, payload_type=0), at_s=2.04).outputs == [], "and stays closed"


@pytest.mark.parametrize(
    ("condition", "source_port"),
    [
        ('media.kind == "audio" and udp.srcport < 1024', 600),
        ('media.kind == "audio" and not udp.port in {1024..65535}', None),
        ('media.kind == "audio" and frame.len < 200', CALLER[1]),
        ('media.kind == "audio" and not net.src == 192.0.2.0/24 and not net.src == 198.51.100.0/24', None),
    ],
)
def test_a_rule_about_what_sdp_does_not_tell_waits_for_a_packet(condition: str, source_port: int | None) -> None:
    scene = MediaScene(policy(f"  - {{name: odd, when: '{condition}', action: drop}}\n{ALL}"))
    scene.call()
    assert {hole.verdict for hole in scene.open.values()} == {"allow"}
    if source_port is not None:
        told = scene.packet((CALLER[0], source_port), CALLED, rtp(1, octets=100), at_s=2)
        assert reasons(told)[0] == ("changed", "rule")
        assert scene.to(CALLED) == [(CALLER[0], "drop")]


def test_a_rule_without_a_field_of_media_does_not_touch_media() -> None:
    """What a policy for signalling says of the rest is about the rest of the signalling."""
    rules = "  - {name: calls, when: sip.Method or sip.Status-Code, action: allow}\n  - {name: rest, action: drop}"
    scene = MediaScene(policy(rules))
    scene.call(uri=ORDINARY)
    assert scene.packet(CALLER, CALLED, at_s=2).outputs == []
    assert scene.to(CALLED) == FROM_CALLER


def test_a_shadow_policy_records_and_opens_all_the_same() -> None:
    scene = MediaScene(policy(ALL, more="media: {mode: shadow, ports: 40000-40001}"))
    told = scene.carrier(invite(uri=ORDINARY))
    assert {(r.decision.verdict, r.decision.enforced, r.decision.override) for r in flows(told)} == {
        ("drop", False, "shadow")
    }
    assert scene.to(CALLER) == ANY


def test_media_switched_off_is_left_alone() -> None:
    scene = MediaScene(policy(ALL, more="media: {mode: 'off'}"))
    scene.call()
    assert flows(scene.packet(CALLER, CALLED, at_s=2)) == []
    assert scene.packet(("192.0.2.66", 4000), CALLED, at_s=2).outputs == []
    scene.tell(PolicyReplaced(policy(ALL)), at_s=3)
    assert (scene.to(CALLER), scene.to(CALLED)) == (FROM_CALLED, FROM_CALLER), "known when it is looked at again"


def test_after_an_earlier_run_media_of_unknown_calls_passes_for_an_hour_and_that_to_known_ports_does_not() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    scene.call()
    unknown = (CALLED[0], 44000)
    assert reasons(scene.packet((CALLER[0], 45000), unknown, at_s=2)) == [("opened", "media_takeover")]
    assert scene.to(unknown) == FROM_CALLER
    assert reasons(scene.packet(("192.0.2.66", 45000), unknown, at_s=2)) == [("refused", "media_wrong_source")]
    assert reasons(scene.packet(("192.0.2.66", 45000), CALLED, at_s=2)) == [("refused", "media_wrong_source")]
    late = reasons(scene.packet((CALLER[0], 45000), (CALLED[0], 46000), at_s=3601))
    assert late[-1] == ("refused", "media_not_negotiated")


def test_the_counts_that_an_instant_asks_for_are_named_and_used() -> None:
    scene = MediaScene()
    scene.call()
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=10)
    due_ns = scene.engine.next_deadline()
    assert due_ns is not None
    assert scene.engine.media_due(due_ns - 1) == ()
    keys = scene.engine.media_due(due_ns)
    assert set(keys) == set(scene.open)
    told = scene.tell(FlowsCounted(tuple(FlowCount(key, 7, 70) for key in keys)), at_s=11)
    assert {(r.state, r.rtp.packets) for r in flows(told)} == {("closed", 7)}


def test_the_two_way_check_asks_for_its_counts() -> None:
    scene = MediaScene()
    scene.call()
    due_ns = scene.engine.next_deadline()
    assert due_ns is not None
    assert set(scene.engine.media_due(due_ns)) == set(scene.open)


def test_a_new_policy_decides_on_the_flows_that_are_open() -> None:
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    rules = "  - {name: no-audio, when: 'media.kind == \"audio\"', action: drop}\n" + ALL
    told = scene.tell(PolicyReplaced(policy(rules)), at_s=3)
    assert {(r.state, r.decision.rule) for r in flows(told)} == {("changed", "no-audio")}
    assert scene.to(CALLED) == [(CALLER[0], "drop")]


def test_two_calls_may_hold_one_way_and_the_first_to_end_does_not_close_it() -> None:
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    second = invite(uri=ORDINARY, call_id="second", from_tag="b")
    scene.carrier(second, at_s=2)
    told = scene.psap(answer(second), at_s=3)
    opened = {r.call_id for r in flows(told) if r.state == "opened"}
    assert opened == {"second"}, "the log says of each call what it holds"
    scene.carrier(request("BYE", ORDINARY, to_tag="psap", cseq=2), at_s=4)
    scene.tell(DeadlineReached(), at_s=6)
    assert scene.to(CALLED) == FROM_CALLER
    scene.carrier(request("BYE", ORDINARY, call_id="second", from_tag="b", to_tag="psap", cseq=2), at_s=7)
    scene.tell(DeadlineReached(), at_s=8)
    assert scene.open == {}


def test_a_gateway_with_one_port_for_all_calls_has_figures_of_each_calls_flow() -> None:
    scene = MediaScene()
    callers = {f"call-{n}": (CALLER[0], 50000 + 4 * n) for n in range(20)}
    for call_id, (ip, port) in callers.items():
        first = invite(sdp(ip, f"audio {port} RTP/AVP 0"), call_id=call_id, from_tag=call_id)
        scene.carrier(first, at_s=1)
        scene.psap(answer(first), at_s=1.5)
    for n in range(5):
        for number, caller in enumerate(callers.values()):
            scene.packet(caller, CALLED, rtp(n, ssrc=number), at_s=2 + n / 50)
    closed = [r for r in flows(scene.stops(at_s=3)) if r.rtp.packets]
    assert {r.call_id: (r.src_ip, r.src_port) for r in closed} == callers
    assert {(r.rtp.packets, len(r.rtp.streams)) for r in closed} == {(5, 1)}


def test_odd_rtp_is_recorded_once_with_what_is_odd_about_it() -> None:
    scene = MediaScene()
    scene.call()
    scene.packet(CALLER, CALLED, rtp(0), at_s=2)
    (first,) = flows(scene.packet(CALLER, CALLED, rtp(1, payload_type=96), at_s=2.02))
    assert (first.state, first.anomalies) == ("changed", ("rtp_payload_type_not_negotiated",))
    (second,) = flows(scene.packet(CALLER, CALLED, rtp(9000, ssrc=7), at_s=2.04))
    assert second.anomalies == ("rtp_payload_type_not_negotiated", "rtp_ssrc_changed")
    assert flows(scene.packet(CALLER, CALLED, rtp(9001, payload_type=96, ssrc=7), at_s=2.06)) == []


def test_a_copy_that_the_kernel_refused_is_explained_and_its_ports_are_not_judged_again() -> None:
    scene = MediaScene()
    scene.call()
    told = scene.tell(MediaReceived(Datagram("192.0.2.66", 500, *CALLED, rtp()), "refused"), at_s=2)
    assert reasons(told) == [("refused", "media_wrong_source")]


def test_a_packet_that_was_faster_than_the_answer_is_told_although_its_like_may_pass_by_now() -> None:
    """Its copy comes to the daemon after the answer: the caller had the port from the other side's first packet."""
    scene = MediaScene()
    scene.call()
    (record,) = flows(scene.tell(MediaReceived(Datagram(*CALLER, *CALLED, rtp()), "refused"), at_s=1.2))
    assert (record.state, record.decision.reason, record.call_id) == (
        "refused",
        "media_not_negotiated",
        "call-1@192.0.2.10",
    )
    assert scene.packet(CALLER, CALLED, rtp(1), at_s=1.3).outputs == []


def test_what_was_copied_while_a_new_daemon_learned_the_calls_has_passed() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    for n, expected in ((0, [("opened", "media_takeover")]), (1, [])):
        told = scene.tell(MediaReceived(Datagram(*CALLER, *CALLED, rtp(n)), "refused"), at_s=1 + n / 50)
        assert reasons(told) == expected


def test_the_closed_record_has_the_counts() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(2, 4)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=5)
    closed = {(r.dest_port, r.rtp.protocol): r for r in flows(scene.tell(DeadlineReached(), at_s=6))}
    record = closed[40000, "rtp"]
    (stream,) = record.rtp.streams
    assert (record.rtp.packets, record.rtp.octets, record.src_port) == (100, 17200, 49170)
    assert (stream.packets, stream.lost, stream.payload_type, stream.max_jitter_ms) == (100, 0, 0, 0.0)


def after_a_restart(*, by_log: bool, by_kernel: bool, ended: bool = False, shared: bool = False) -> MediaScene:
    before = MediaScene()
    log: list[bytes] = []
    tell = before.tell

    def recorded(event: Event, *, at_s: float) -> Told:
        told = tell(event, at_s=at_s)
        log.extend(encode(o.record) for o in told.outputs if isinstance(o, Write))
        return told

    before.tell = recorded  # type: ignore[method-assign]
    before.call()
    if shared:
        second = invite(call_id="second", from_tag="b")
        before.carrier(second, at_s=2)
        before.psap(answer(second), at_s=2.5)
    if ended:
        before.carrier(request("BYE", to_tag="psap", cseq=2), at_s=3)
        before.tell(DeadlineReached(), at_s=4)
    else:
        before.stops(at_s=4)
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=60)
    if by_kernel:
        scene.open = dict(before.open)
    if by_log:
        scene.tell(CallsRecovered(tuple(recovered_calls(log))), at_s=60)
    if by_kernel:
        scene.tell(PinholesRecovered(tuple(before.open.values())), at_s=60)
    return scene


@pytest.mark.parametrize(("by_log", "by_kernel"), [(True, False), (True, True)])
def test_after_a_restart_the_pinholes_of_calls_are_known_again_and_their_bye_closes_them(
    by_log: bool, by_kernel: bool
) -> None:
    scene = after_a_restart(by_log=by_log, by_kernel=by_kernel)
    assert (scene.to(CALLER), scene.to(CALLED)) == (FROM_CALLED, FROM_CALLER)
    assert scene.packet(CALLER, CALLED, at_s=61).outputs == []
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=70)
    scene.tell(DeadlineReached(), at_s=71)
    assert scene.open == {}


@pytest.mark.parametrize("is_answered_again", [True, False])
def test_an_invite_that_is_repeated_after_a_restart_keeps_nothing_open_beyond_the_bye(is_answered_again: bool) -> None:
    """A loaded called side answers late, so that the caller repeats its INVITE (RFC 3261 §17.1.1.2)."""
    scene = after_a_restart(by_log=True, by_kernel=True)
    again = invite(sdp(CALLER[0], f"audio {CALLER[1]} RTP/AVP 0"))
    scene.carrier(again, at_s=61)
    if is_answered_again:
        scene.psap(answer(again), at_s=61.1)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=70)
    scene.tell(DeadlineReached(), at_s=71)
    assert scene.open == {}


def test_after_a_restart_a_new_offer_keeps_the_ways_until_its_answer() -> None:
    scene = after_a_restart(by_log=True, by_kernel=True)
    again = invite(sdp(CALLER[0], "audio 50000 RTP/AVP 0"), to_tag="psap", cseq=2)
    scene.carrier(again, at_s=61)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000))) == (FROM_CALLED, ANY)
    scene.psap(answer(again), at_s=61.1)
    scene.tell(DeadlineReached(), at_s=63)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000)), scene.to(CALLED)) == ([], FROM_CALLED, FROM_CALLER)


def test_what_the_kernel_has_of_no_known_call_stays_until_it_is_silent_for_the_time_out() -> None:
    scene = after_a_restart(by_log=False, by_kernel=True)
    assert scene.packet(CALLER, CALLED, at_s=3000).outputs == []
    scene.tell(DeadlineReached(), at_s=3700)
    assert scene.to(CALLED) == FROM_CALLER
    assert scene.to(CALLER) == []


def test_a_call_that_ended_before_the_restart_opens_nothing() -> None:
    assert after_a_restart(by_log=True, by_kernel=False, ended=True).open == {}


@pytest.mark.parametrize("by_kernel", [True, False])
def test_after_a_restart_a_way_that_calls_share_stays_until_the_last_of_them_ends(by_kernel: bool) -> None:
    scene = after_a_restart(by_log=True, by_kernel=by_kernel, shared=True)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=61)
    scene.tell(DeadlineReached(), at_s=62)
    assert scene.to(CALLED) == FROM_CALLER
    scene.carrier(request("BYE", call_id="second", from_tag="b", to_tag="psap", cseq=2), at_s=63)
    scene.tell(DeadlineReached(), at_s=64)
    assert scene.open == {}


def test_when_no_pinhole_is_left_emergency_calls_get_theirs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firewall.engine.media.MAX_PINHOLES", 4)
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    moved = sdp(CALLER[0], "audio 50000 RTP/AVP 0")
    told = scene.carrier(invite(moved, uri=ORDINARY, call_id="second", from_tag="b"), at_s=5)
    assert {r.decision.reason for r in flows(told)} == {"media_table_full"}
    assert [alarm.alarm.code for alarm in told.alarms] == ["table_full"]
    assert scene.to((CALLER[0], 50000)) == []
    scene.carrier(invite(moved, call_id="third", from_tag="c"), at_s=6)
    assert scene.to((CALLER[0], 50000)) == ANY


def test_what_a_hostile_party_offers_over_and_over_fills_nothing() -> None:
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    for n in range(300):
        again = invite(
            sdp(f"203.0.114.{n % 250}", f"audio {2000 + n} RTP/AVP 0"), to_tag="psap", cseq=2 + n, uri=ORDINARY
        )
        scene.carrier(again, at_s=5 + n)
        scene.psap(answer(again), at_s=5.5 + n)
    (call,) = scene.engine._observer.calls.all()
    assert call.media is not None
    assert len(call.media.refused) + len(call.media.held) < 10
    assert len(call.media.negotiation.offers) <= 16


def test_a_flood_that_the_kernel_counted_is_recorded_once() -> None:
    scene = MediaScene()
    scene.call()
    key = next(key for key in scene.open if key.dst_port == CALLED[1])
    counts = [(2.0, 50), (3.0, 100), (4.0, 1100), (4.5, 3000)]
    told = [scene.tell(FlowsCounted((FlowCount(key, packets, packets * 172),)), at_s=at_s) for at_s, packets in counts]
    assert [[(r.state, r.anomalies) for r in flows(each)] for each in told] == [
        [],
        [],
        [("changed", ("rtp_rate",))],
        [],
    ]
