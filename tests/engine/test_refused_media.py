"""Refused packets: told once a flow, counted exactly, bounded."""

from firewall.engine.events import DeadlineReached
from firewall.engine.refused_media import MAX_FLOWS
from tests.media import CALLED, CALLER, MediaScene, flows
from tests.messages import request


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
