"""Media of calls: which packets pass, which are refused and why, what is recorded of them."""

from dataclasses import replace

import pytest

from firewall.engine.events import (
    DeadlineReached,
    FlowsCounted,
    MediaReceived,
    PolicyReplaced,
)
from firewall.engine.pinhole import FlowCount
from firewall.net.datagram import Datagram
from tests.media import (
    ANY,
    AUDIO,
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    HEADERS,
    ORDINARY,
    MediaScene,
    answer,
    flows,
    invite,
    reasons,
    rtp,
    sdp,
)
from tests.messages import request, response
from tests.scene import ALL, policy


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


def test_an_answer_without_the_media_that_it_rejects_is_heard() -> None:
    """RFC 3264 §6 wants them named with port 0; who leaves them out means the audio all the same."""
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], "video 49180 RTP/AVP 31", AUDIO))
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)
    assert scene.to((CALLER[0], 49180)) == []


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


def test_no_rule_about_media_is_told_to_have_dropped_session_messages_which_pass_over_tcp() -> None:
    rules = '  - {name: no-msrp, when: \'media.protocol == "msrp" and media.kind == "message"\', action: drop}\n' + ALL
    scene = MediaScene(policy(rules))
    told = scene.carrier(invite(sdp(CALLER[0], "message 9 TCP/MSRP *, a=path:msrp://192.0.2.10:2855/s;tcp")))
    assert ([(r.state, r.decision.verdict) for r in flows(told)], told.alarms) == ([("opened", "allow")], [])


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


@pytest.mark.parametrize("more", ["", "media: {source: zone}"])
def test_a_new_policy_that_calls_its_zones_otherwise_hurts_no_call(more: str) -> None:
    scene = MediaScene(policy(ALL, more=more))
    media, offer = ("203.0.113.7", 49170), invite(sdp("203.0.113.7", AUDIO))  # a gateway of the carrier's zone
    scene.carrier(offer)
    new = policy(ALL, more=more)
    renamed = replace(new, zones=tuple(replace(zone, name=f"{zone.name}-2") for zone in new.zones))
    assert scene.tell(PolicyReplaced(renamed), at_s=1).alarms == []
    assert {key.src_zone for key in scene.open} == {"psap-2"}, "early media, which is let through from the other zone"
    assert reasons(scene.packet(("198.51.100.20", 40000), media, at_s=1.5)) == []
    scene.psap(answer(offer), at_s=2)
    assert scene.tell(PolicyReplaced(new), at_s=3).alarms == []
    scene.tell(DeadlineReached(), at_s=60)  # what it does not allow is closed by then
    for source, target in ((media, CALLED), (CALLED, media)):
        assert reasons(scene.packet(source, target, at_s=60)) == []


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


def test_when_no_pinhole_is_left_emergency_calls_get_theirs_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firewall.engine.call_pinholes.MAX_PINHOLES", 4)
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    moved = sdp(CALLER[0], "audio 50000 RTP/AVP 0")
    told = scene.carrier(invite(moved, uri=ORDINARY, call_id="second", from_tag="b"), at_s=5)
    assert {r.decision.reason for r in flows(told)} == {"media_table_full"}
    assert [alarm.alarm.code for alarm in told.alarms] == ["table_full"]
    assert scene.to((CALLER[0], 50000)) == []
    assert reasons(scene.packet(CALLED, (CALLER[0], 50000), at_s=5.5)) == [("refused", "media_table_full")]
    scene.carrier(invite(moved, call_id="third", from_tag="c"), at_s=6)
    assert scene.to((CALLER[0], 50000)) == ANY


def test_a_re_invite_that_is_refused_after_a_183_answered_it_leaves_the_call_as_it_was() -> None:
    scene = MediaScene()
    scene.call()
    before = (scene.to(CALLED), scene.to(CALLER))
    again = invite(sdp(CALLER[0], "audio 49190 RTP/AVP 0"), to_tag="psap", cseq=2)
    scene.carrier(again, at_s=10)
    scene.psap(answer(again, sdp(CALLED[0], "audio 40020 RTP/AVP 0"), status=183), at_s=11)
    scene.tell(DeadlineReached(), at_s=12)
    scene.psap(response(again, 488), at_s=13)
    assert (scene.to(CALLED), scene.to(CALLER)) == before
    scene.tell(DeadlineReached(), at_s=14)
    assert (scene.to((CALLED[0], 40020)), scene.to((CALLER[0], 49190))) == ([], [])


@pytest.mark.parametrize(("method", "is_acknowledged"), [("INVITE", False), ("INVITE", True), ("UPDATE", False)])
def test_what_comes_again_behind_a_refusal_offers_and_answers_nothing(method: str, *, is_acknowledged: bool) -> None:
    """UDP may repeat a datagram, and bring it late."""
    scene = MediaScene()
    scene.call()
    before, moved = (scene.to(CALLED), scene.to(CALLER)), ((CALLED[0], 40020), (CALLER[0], 49190))
    body = sdp(CALLER[0], "audio 49190 RTP/AVP 0")
    again = request(method, to_tag="psap", cseq=2, headers=HEADERS, body=body)
    early = answer(again, sdp(CALLED[0], "audio 40020 RTP/AVP 0"), status=183, headers=("RSeq: 1",))
    for told in (scene.carrier(again, at_s=10), scene.psap(early, at_s=10), scene.psap(response(again, 491), at_s=11)):
        assert told.verdict == "allow"
    if is_acknowledged:
        scene.carrier(_acknowledged(again), at_s=11)
    for _ in range(2):
        scene.carrier(again, at_s=11.1)
        scene.psap(early, at_s=11.2)
    scene.tell(DeadlineReached(), at_s=14)
    assert (scene.to(CALLED), scene.to(CALLER)) == before
    # Whoever heard of the refusal may try again as it was, so that its offer is one.
    assert [scene.to(each) for each in moved] == [[], ANY if is_acknowledged else []]


def test_a_refused_re_invite_that_is_tried_again_as_it_was_moves_the_media() -> None:
    """Some phones send it with credentials, but with the number and branch of the one that was challenged."""
    scene = MediaScene()
    scene.call()
    again = request(to_tag="psap", cseq=2, headers=HEADERS, body=sdp(CALLER[0], "audio 49190 RTP/AVP 0"))
    scene.carrier(again, at_s=10)
    scene.psap(response(again, 407), at_s=10)
    scene.carrier(_acknowledged(again), at_s=10)
    scene.carrier(again, at_s=10)
    scene.psap(answer(again, sdp(CALLED[0], "audio 40020 RTP/AVP 0")), at_s=11)
    scene.tell(DeadlineReached(), at_s=14)
    assert (scene.to((CALLED[0], 40020)), scene.to((CALLER[0], 49190))) == (FROM_CALLER, FROM_CALLED)


def _acknowledged(invite: bytes) -> bytes:
    """The ACK of a refusal: of the INVITE's own transaction (RFC 3261 §17.1.1.3)."""
    return (
        invite.partition(b"\r\n\r\n")[0].replace(b"INVITE sip", b"ACK sip").replace(b"2 INVITE", b"2 ACK") + b"\r\n\r\n"
    )


def test_a_refused_invite_that_is_tried_again_as_it_was_is_a_call_with_media() -> None:
    """Where the refusal came from a server that keeps no state, it may be answered (RFC 3261 §8.2.7)."""
    scene, first = MediaScene(), invite()
    scene.carrier(first)
    scene.psap(response(first, 503), at_s=0.1)
    scene.carrier(request("ACK"), at_s=0.2)
    scene.call(at_s=0.5)
    scene.tell(DeadlineReached(), at_s=3)
    assert (scene.to(CALLED), scene.to(CALLER)) == (FROM_CALLER, FROM_CALLED)


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


def test_of_a_way_that_others_have_already_only_their_end_tells_their_streams() -> None:
    """A gateway may have thousands of flows on one port, and each of its calls is told of."""
    scene = MediaScene()
    scene.call(uri=ORDINARY)
    for ssrc in range(3):
        scene.packet(CALLER, CALLED, rtp(ssrc=ssrc), at_s=2)
    second = invite(uri=ORDINARY, call_id="second", from_tag="b")
    scene.carrier(second, at_s=3)
    told = scene.psap(answer(second), at_s=4)
    opened = [r.rtp for r in flows(told) if r.state == "opened"]
    assert ({r.streams for r in opened}, max(r.packets for r in opened)) == ({()}, 3)
    closed = flows(scene.stops(at_s=5))
    assert max(len(r.rtp.streams) for r in closed) == 3
