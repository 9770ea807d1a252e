"""Pinholes of calls: what is opened when, for whom, and how long."""

import pytest

from firewall.engine.events import (
    DeadlineReached,
)
from firewall.net.datagram import Datagram
from tests.media import (
    ANSWER,
    ANY,
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    HEADERS,
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
from tests.messages import request, response
from tests.scene import ALL, policy


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


@pytest.mark.parametrize("order", [("session", "early-session"), ("early-session", "session")])
def test_an_early_session_beside_the_session_is_heard_until_the_answer(order: tuple[str, str]) -> None:
    """RFC 3959: announcements come from elsewhere, to a port of their own, which the PRACK names."""
    scene, first = MediaScene(), invite()
    server, early = ("198.51.100.77", 42000), (CALLER[0], 49500)
    bodies = {"session": ANSWER, "early-session": sdp(server[0], "audio 42000 RTP/AVP 0")}
    part = "--b\r\nContent-Type: application/sdp\r\nContent-Disposition: {}\r\n\r\n{}\r\n"
    body = "".join(part.format(each, bodies[each]) for each in order) + "--b--\r\n"
    headers = ("RSeq: 1", "Require: 100rel", "Content-Type: multipart/mixed;boundary=b")
    described = (*HEADERS, "Content-Disposition: early-session")
    head, _, _ = response(first, 183).partition(b"Content-Length")
    progress = head + "\r\n".join([*headers, f"Content-Length: {len(body)}", "", body]).encode()
    prack = request("PRACK", to_tag="psap", cseq=2, headers=described, body=sdp(early[0], "audio 49500 RTP/AVP 0"))
    scene.carrier(first)
    scene.psap(progress, at_s=0.1)
    scene.carrier(prack, at_s=0.2)
    assert (scene.to(early), scene.to(server)) == ([(server[0], "allow")], FROM_CALLER)
    scene.psap(response(prack), at_s=0.3)
    scene.psap(response(first), at_s=5)  # what a reliable 183 answered need not be said again
    scene.tell(DeadlineReached(), at_s=6)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    assert len(scene.open) == 4


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


def test_a_fork_that_is_busy_takes_nothing_from_the_one_that_answers() -> None:
    """A proxy before the firewall asks two call takers at once (RFC 3261 §16.7)."""
    scene = MediaScene()
    busy, free = invite(branch="z9hG4bK-busy"), invite(branch="z9hG4bK-free")
    for raw in (busy, free):
        scene.carrier(raw)
    scene.psap(response(busy, 486, to_tag="busy"), at_s=1)
    assert scene.to(CALLER) == ANY
    scene.psap(answer(free), at_s=2)
    assert (scene.to(CALLER), scene.to(CALLED)) == (FROM_CALLED, FROM_CALLER)


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
    scene.carrier(prack, at_s=1.6)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED), "it came again"


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


@pytest.mark.parametrize("guard", ["off", "enforce"])
@pytest.mark.parametrize("condition", ['media.kind == "audio" and not emergency', 'media.codec == "g729"'])
def test_what_another_call_negotiates_silences_no_emergency_call_that_has_the_same_port(
    condition: str, guard: str
) -> None:
    """A gateway may have one port for the media of all its calls."""
    scene = MediaScene(policy(f"  - {{name: no, when: '{condition}', action: drop}}\n{ALL}", guard=guard))
    scene.call()
    other = invite(sdp(CALLER[0], "audio 49170 RTP/AVP 18"), uri=ORDINARY, call_id="other")
    scene.carrier(other, at_s=2)
    scene.psap(answer(other, sdp(CALLED[0], "audio 40000 RTP/AVP 18")), at_s=3)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=4)
    scene.tell(DeadlineReached(), at_s=5)
    scene.carrier(invite(OFFER, uri=ORDINARY, call_id="third"), at_s=6)
    again = invite(sdp(CALLER[0], "audio 49170 RTP/AVP 8 18"), uri=ORDINARY, call_id="other", to_tag="psap", cseq=2)
    scene.carrier(again, at_s=7)
    scene.psap(answer(again, sdp(CALLED[0], "audio 40000 RTP/AVP 8 18")), at_s=8)
    assert scene.to(CALLED) == [(CALLER[0], "drop")]  # no emergency call has it any more


def test_what_passes_by_the_address_of_an_emergency_caller_is_taken_for_that_as_the_kernel_does() -> None:
    """Called by a gateway whose other calls are told apart by their ports, at a port that all calls have."""
    scene = MediaScene(policy(ALL, guard="enforce", more="media: {source: port}"))
    scene.call(uri=ORDINARY)
    first = invite(sdp(CALLER[0], "audio 49180 RTP/AVP 0"), call_id="emergency")
    scene.carrier(first, at_s=2)
    scene.psap(answer(first), at_s=3)
    facts = scene.engine.media_facts(Datagram(*CALLER, *CALLED, rtp()))
    assert facts is not None
    assert facts.emergency is not None


def test_a_packet_of_another_call_on_the_same_port_silences_no_emergency_call() -> None:
    scene = MediaScene(policy(f"  - {{name: no-99, when: 'rtp.p_type == 99', action: drop}}\n{ALL}"))
    scene.call()
    source = CALLER[0], 51000
    other = invite(sdp(CALLER[0], "audio 51000 RTP/AVP 99"), uri=ORDINARY, call_id="other")
    scene.carrier(other, at_s=2)
    scene.psap(answer(other, sdp(CALLED[0], "audio 40000 RTP/AVP 99")), at_s=3)
    assert reasons(scene.packet(source, CALLED, rtp(payload_type=99), at_s=4)) == []
    assert scene.to(CALLED) == FROM_CALLER
    told = scene.packet(CALLER, CALLED, rtp(payload_type=99), at_s=5)
    assert scene.to(CALLED) == [(CALLER[0], "drop")]
    assert "emergency_media_blocked" in [alarm.alarm.code for alarm in told.alarms]


@pytest.mark.parametrize("again", ["answer", "ack"])
def test_messages_of_an_earlier_late_offer_that_come_again_answer_no_later_one(again: str) -> None:
    """RFC 3261 §13.2.2.4: the 200 comes again until its ACK does, and is answered by that ACK each time."""
    scene, moved = MediaScene(), (CALLED[0], 41000)
    first = invite("")
    scene.carrier(first)
    scene.psap(answer(first), at_s=1)
    acknowledged = request("ACK", to_tag="psap", headers=HEADERS, body=OFFER)
    scene.carrier(acknowledged, at_s=1.1)
    second = request(
        "INVITE", to="<sip:6175550123@192.0.2.10>;tag=caller", from_uri="sip:911@198.51.100.10", from_tag="psap",
        branch="z9hG4bK-psap", via_host="198.51.100.10:5060",
    )  # fmt: skip
    scene.psap(second, at_s=2)
    scene.carrier(answer(second, OFFER), at_s=2.1)
    if again == "answer":
        scene.psap(answer(first), at_s=2.2)
    scene.carrier(acknowledged, at_s=2.3)
    answered = sdp(CALLED[0], "audio 41000 RTP/AVP 0")
    scene.psap(second.replace(b"CSeq: 1 INVITE", b"CSeq: 1 ACK").replace(b"INVITE", b"ACK", 1).replace(
        b"Content-Length: 0\r\n\r\n", b"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n" % len(answered)
    ) + answered.encode(), at_s=2.4)  # fmt: skip
    assert scene.to(moved) == FROM_CALLER
