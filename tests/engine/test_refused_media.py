"""Refused packets: told once a flow, counted exactly, bounded."""

from firewall.engine.events import DeadlineReached, Started
from firewall.engine.refused_media import MAX_FLOWS
from firewall.net.datagram import Datagram
from tests.media import ALL, CALLED, CALLER, MediaScene, flows, invite, reasons, rtp, sdp
from tests.messages import request, response
from tests.scene import policy


def test_a_refused_flow_ends_after_half_a_minute_of_silence_with_its_exact_count() -> None:
    scene = MediaScene()
    for n in range(50):
        scene.packet(CALLER, CALLED, at_s=n)
    assert scene.engine.next_deadline() is not None
    (ended,) = flows(scene.tell(DeadlineReached(), at_s=79))
    assert (ended.state, ended.rtp.packets, ended.rtp.octets) == ("ended", 50, 50 * 172)
    assert scene.engine.next_deadline() is None


def test_a_flow_whose_reason_changes_is_told_again() -> None:
    scene = MediaScene()
    scene.call()
    stranger = ("192.0.2.66", 49170)
    (before,) = flows(scene.packet(stranger, CALLED, at_s=2))
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=3)
    scene.tell(DeadlineReached(), at_s=4)
    (after,) = flows(scene.packet(stranger, CALLED, at_s=5))
    assert (before.decision.reason, after.decision.reason) == ("media_wrong_source", "media_closed")


def test_a_flow_that_passes_by_now_is_not_counted_as_refused_any_more() -> None:
    """What goes to where a NAT has its receiver, before and after that sends something."""
    scene = MediaScene(policy(ALL, guard="enforce"))
    scene.call(answered=sdp("10.9.9.9", "audio 40000 RTP/AVP 0"))
    mapped = (CALLED[0], 62000)
    scene.packet(CALLER, mapped, at_s=2)
    assert scene.engine.media_flow(Datagram(*CALLER, *mapped, rtp())) is not None
    scene.packet(mapped, CALLER, at_s=2.01)
    scene.packet(CALLER, mapped, rtp(1), at_s=2.02)
    assert scene.engine.media_flow(Datagram(*CALLER, *mapped, rtp(2))) is None, "rules look at its first packets"


def test_a_party_that_sends_to_another_port_is_known() -> None:
    scene = MediaScene()
    scene.call()
    (refused,) = flows(scene.packet(CALLED, (CALLER[0], 50000), at_s=2))
    assert (refused.decision.reason, refused.call_id) == ("media_not_negotiated", "call-1@192.0.2.10")
    assert refused.emergency is not None
    assert refused.emergency.emergency_class == "media"


def test_a_flood_of_flows_fills_nothing() -> None:
    scene = MediaScene()
    for n in range(MAX_FLOWS + 500):
        scene.packet((CALLER[0], 1024 + n), CALLED, at_s=1)
    ended = flows(scene.stops(at_s=2))
    assert len(ended) == MAX_FLOWS


def test_a_refused_re_invite_takes_no_media_from_a_call_that_was_set_up_while_no_daemon_ran() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    hold = invite(to_tag="psap", cseq=2)
    scene.carrier(hold, at_s=5)
    scene.psap(response(hold, 488), at_s=5.1)
    assert scene.open == {}
    assert reasons(scene.packet(CALLED, CALLER, at_s=20)) == [("opened", "media_takeover")]
    assert reasons(scene.packet(CALLER, CALLED, at_s=20)) == [("opened", "media_takeover")]


def test_who_was_silent_for_long_in_a_call_that_nobody_knew_is_heard_again() -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 30s}"))
    scene.tell(Started(takeover=True), at_s=0)
    scene.packet(CALLER, CALLED, at_s=1)
    scene.tell(DeadlineReached(), at_s=40)
    assert scene.open == {}
    assert reasons(scene.packet(CALLER, CALLED, at_s=50)) == [("opened", "media_takeover")]


def test_what_a_party_of_a_known_call_sends_to_a_port_whose_offer_was_refused_is_refused_after_a_restart_too() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    scene.call()
    other = invite(call_id="other", from_tag="other").replace(b"49170", b"49180")
    scene.carrier(other, at_s=2)
    scene.psap(response(other, 486), at_s=3)
    assert reasons(scene.packet(CALLED, (CALLER[0], 49180), at_s=4)) == [("refused", "media_closed")]
