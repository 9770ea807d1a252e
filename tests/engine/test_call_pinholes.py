"""Pinholes of calls: what is opened when, for whom, and how long."""

import re

import pytest

from firewall.engine.events import (
    DeadlineReached,
)
from firewall.ruleset.load import load_policy
from tests.media import ALL, AUDIO, CALLED, CALLER, OFFER, MediaScene, answer, flows, invite, reasons, rtp, sdp
from tests.messages import request, response
from tests.scene import NoFiles, policy

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


@pytest.mark.parametrize("is_initial_late", [True, False])
def test_the_same_offer_in_the_200_of_a_later_re_invite_may_have_another_answer(is_initial_late: bool) -> None:
    """A controller moves a call by re-INVITEs without an offer (RFC 3725 §7): who is not moved offers what it has."""
    scene = MediaScene()
    if is_initial_late:
        first = invite("")
        scene.carrier(first)
        scene.psap(answer(first), at_s=1)
        scene.carrier(request("ACK", to_tag="psap", headers=("Content-Type: application/sdp",), body=OFFER), at_s=1.1)
    else:
        scene.call()
    for cseq, port in ((2, CALLER[1]), (3, 50000)):
        again = invite("", to_tag="psap", cseq=cseq)
        moved = sdp(CALLER[0], f"audio {port} RTP/AVP 0")
        ack = request("ACK", to_tag="psap", cseq=cseq, headers=("Content-Type: application/sdp",), body=moved)
        for _ in ("once", "again"):
            scene.carrier(again, at_s=cseq * 10)
            scene.psap(answer(again), at_s=cseq * 10 + 1)
            scene.carrier(ack, at_s=cseq * 10 + 1.1)
    scene.tell(DeadlineReached(), at_s=40)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000)), scene.to(CALLED)) == ([], FROM_CALLED, FROM_CALLER)


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
        own = (f"a=candidate:{n} 1 UDP 1 {net}.{50 + n % 4} {port + 2 * n} typ host" for n in range(8))
        return sdp(f"{net}.50", f"audio {port} RTP/AVP 0, {', '.join(own)}")

    scene = MediaScene(policy(ALL, more="media: {source: port}"))
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


def test_a_caller_without_a_tag_is_heard_until_either_side_hangs_up() -> None:
    """RFC 3261 §12.1.1: its tag is null, and it has a dialog like any other."""
    scene = MediaScene()
    first = invite(from_tag=None)
    scene.carrier(first)
    scene.psap(answer(first), at_s=1)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    scene.psap(
        request("BYE", "sip:h", from_uri="sip:psap@h", from_tag="psap", to="<sip:6175550123@192.0.2.10>"), at_s=9
    )
    scene.stops(at_s=60)
    assert scene.open == {}


def test_offers_of_strangers_with_the_same_call_id_take_no_media_from_a_call() -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos")
    scene.carrier(first)
    for number in range(40):
        forged = invite(sdp("192.0.2.66", "audio 5000 RTP/AVP 0"), from_tag=f"evil-{number}", cseq=100 + number)
        scene.carrier(forged, at_s=1)
    scene.psap(answer(first), at_s=2)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


def test_the_one_that_answers_is_heard_however_many_forks_had_early_media() -> None:
    scene = MediaScene()
    first = invite()
    scene.carrier(first)
    for fork in range(40):
        early = sdp("198.51.100.77", f"audio {42000 + 2 * fork} RTP/AVP 0")
        scene.psap(answer(first, early, status=183, to_tag=f"fork-{fork}"), at_s=1)
    scene.psap(answer(first, to_tag="fork-39"), at_s=2)
    scene.stops(at_s=60)
    assert (scene.to(CALLED), (CALLED[0], "allow") in scene.to(CALLER)) == (FROM_CALLER, True)


def test_a_call_that_ended_takes_no_media_from_the_next_with_the_same_call_id_and_no_branch() -> None:
    scene = MediaScene()

    def without_branch(raw: bytes) -> bytes:
        return re.sub(rb";branch=[^;\r]*", b"", raw)

    earlier, later = (without_branch(invite(from_tag=tag)) for tag in ("earlier", "later"))
    scene.carrier(earlier)
    scene.psap(answer(earlier, to_tag="there"))
    scene.carrier(without_branch(request("BYE", from_tag="earlier", to_tag="there", cseq=2)))
    scene.carrier(later, at_s=9)
    scene.psap(answer(later), at_s=10)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


def test_the_kernel_is_told_which_pinholes_are_of_emergency_calls_also_where_others_share_them() -> None:
    scene = MediaScene()
    scene.call()
    for call_id in ("ordinary", "other"):
        first = invite(uri="sip:7@198.51.100.10", call_id=call_id, cseq=1)
        scene.carrier(first, at_s=2)
        scene.psap(
            answer(first, sdp(CALLED[0], f"audio {40000 if call_id == 'ordinary' else 41000} RTP/AVP 0")), at_s=3
        )
    told = {key.dst_port: hole.is_emergency for key, hole in scene.open.items() if key.dst_ip == CALLED[0]}
    assert told == {40000: True, 40001: True, 41000: False, 41001: False}


def test_an_emergency_call_that_waits_in_a_queue_hears_what_is_said_there_and_is_answered() -> None:
    """The called side should repeat its 183 each minute (RFC 3261 §13.3.1.1), and many do not."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    (failed,) = scene.tell(DeadlineReached(), at_s=900).calls
    assert failed.outcome == "failed_downstream"
    assert (CALLED[0], "allow") in scene.to(CALLER)
    answered = scene.psap(answer(first), at_s=901)
    acknowledged = scene.carrier(request("ACK", "sip:h", to="<sip:psap@h>", to_tag="psap"), at_s=902)
    assert (answered.reason, acknowledged.reason) == ("response", "in_dialog")
    assert [call.outcome for call in answered.calls] == ["in_progress"]


def test_an_emergency_call_outlives_a_session_timer_that_nobody_refreshes() -> None:
    """RFC 4028 lets either side hang up then; where none does, they go on talking."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos")
    scene.carrier(first)
    scene.psap(answer(first, headers=("Session-Expires: 90;refresher=uac",)), at_s=1)
    scene.tell(DeadlineReached(), at_s=600)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    bye = request("BYE", "sip:h", to="<urn:service:sos>", to_tag="psap", cseq=2)
    assert scene.carrier(bye, at_s=601).reason == "in_dialog"


@pytest.mark.parametrize("from_tag", [None, "caller"])
def test_a_called_side_without_a_tag_is_heard_until_either_side_hangs_up(from_tag: str | None) -> None:
    """RFC 3261 §12.1.2: the tag of one who answers without is null."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>", from_tag=from_tag)
    scene.carrier(first)
    ringing, answered = (answer(first, status=status).replace(b";tag=psap", b"") for status in (183, 200))
    scene.psap(ringing, at_s=1)
    told = [
        scene.psap(answered, at_s=2),
        scene.carrier(request("ACK", "sip:h", to="<sip:psap@h>", from_tag=from_tag), at_s=3),
    ]
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    caller = "<sip:6175550123@192.0.2.10>"
    info = request("INFO", "sip:h", to="<sip:psap@h>", from_tag=from_tag, cseq=5)
    bye = request("BYE", "sip:h", from_uri="sip:psap@h", from_tag=None, to=caller, to_tag=from_tag)
    told += [scene.carrier(info, at_s=100), scene.psap(bye, at_s=101)]
    assert [each.verdict for each in told] == ["allow"] * len(told)
    assert [each.decision.emergency is not None for each in told] == [True] * len(told)
    scene.tell(DeadlineReached(), at_s=110)
    assert scene.open == {}


def test_an_untagged_answer_within_a_call_begins_no_dialog_beside_it() -> None:
    scene = MediaScene()
    scene.call()
    again = invite(to_tag="psap", cseq=7)
    scene.carrier(again, at_s=5)
    scene.psap(answer(again).replace(b";tag=psap", b""), at_s=6)
    scene.carrier(request("BYE", to_tag="psap", cseq=8), at_s=9)
    scene.tell(DeadlineReached(), at_s=60)
    assert scene.open == {}


def test_an_emergency_call_that_is_still_heard_is_never_forgotten() -> None:
    """An announcement of an hour, without a message meanwhile; then a call of two days."""
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    for minute in range(60):
        scene.packet(CALLED, CALLER, at_s=60 * minute + 2)
    assert (CALLED[0], "allow") in scene.to(CALLER)
    assert scene.psap(answer(first), at_s=3601).reason == "response"
    for half_hour in range(3, 96):
        scene.packet(CALLED, CALLER, at_s=1800 * half_hour)
    assert scene.to(CALLER) == FROM_CALLED
    bye = request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2)
    assert scene.carrier(bye, at_s=48 * 3600).reason == "in_dialog"


@pytest.mark.parametrize(("heard_until_s", "is_known"), [(3600, True), (1, False)])
def test_an_emergency_call_that_rings_is_forgotten_when_nothing_of_it_comes_any_more(
    heard_until_s: int, *, is_known: bool
) -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    for at_s in range(1, heard_until_s + 1, 600):
        scene.packet(CALLED, CALLER, at_s=at_s)
    scene.tell(DeadlineReached(), at_s=4000)
    assert bool(scene.open) == is_known == (len(scene.engine.calls()) == 1)
    scene.tell(DeadlineReached(), at_s=7200)
    assert scene.engine.calls() == []


def test_an_answer_that_lost_the_tag_of_its_caller_agrees_on_nothing_that_outlives_the_call() -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=1)
    scene.psap(answer(first, sdp(CALLED[0], "audio 41000 RTP/AVP 0")).replace(b";tag=caller", b""), at_s=2)
    assert scene.to((CALLED[0], 41000)) == []
    scene.carrier(request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2), at_s=9)
    scene.tell(DeadlineReached(), at_s=20)
    assert scene.open == {}


def test_the_media_of_a_fork_that_only_rang_is_closed_with_the_one_that_answered() -> None:
    scene = MediaScene()
    first = invite(uri="urn:service:sos", to="<sip:psap@h>")
    scene.carrier(first)
    scene.psap(answer(first, status=183, to_tag="rings"), at_s=1)
    scene.psap(answer(first, sdp(CALLED[0], "audio 41000 RTP/AVP 0")), at_s=2)
    scene.carrier(request("BYE", "sip:h", to="<sip:psap@h>", to_tag="psap", cseq=2), at_s=9)
    scene.tell(DeadlineReached(), at_s=20)
    assert scene.open == {}
