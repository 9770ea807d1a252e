"""Whatever arrives, the engine decides once and never raises."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.outputs import Write
from firewall.engine.record import SipDecision, encode
from tests.media import CALLED, CALLER, OFFER, MediaScene, answer, invite, rtp
from tests.messages import SDP, request, response
from tests.scene import Scene, Told, policy

RULES = """
  - {name: shadow, when: 'sip.from.user contains "6"', action: reject, mode: shadow}
  - {name: refused, when: 'sip.Method == "SUBSCRIBE"', action: reject, status: 489}
  - {name: cap, when: 'sip.Method == "OPTIONS"', limit: {rate: 2/1s, per: net.src}, action: drop, ban: 1s}
  - {name: calls, when: 'zone.src == "carrier" and sip.r-uri matches "9|sos"', action: allow}
"""
CALL = [
    request(body=SDP, headers=("Content-Type: application/sdp", "Contact: <sip:u@192.0.2.10>")),
    response(request(), 180),
    response(request(), 200),
    request("ACK", to_tag="psap"),
    request("OPTIONS", "sip:h"),
    request("SUBSCRIBE", "sip:h", cseq=4),
    request("CANCEL"),
    request("BYE", to_tag="psap", cseq=2),
    request("MESSAGE", "urn:service:sos", call_id="text"),
    request("REGISTER", "sip:h", headers=("Contact: <sip:a@b;sos>",)),
]


def one_decision(told: Told) -> None:
    written = [output.record for output in told.outputs if isinstance(output, Write)]
    assert sum(isinstance(record, SipDecision) for record in written) == 1
    for record in written:
        assert b"\n" not in encode(record)
    passes = told.verdict == "allow" or told.decision.decision.override == "guard"
    assert len(told.forwarded) == int(passes)
    assert len(told.replies) <= int(told.verdict == "reject")


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_any_bytes(payloads: list[bytes]) -> None:
    scene = Scene(policy(RULES, guard="enforce"))
    for second, payload in enumerate(payloads):
        one_decision(scene.carrier(payload, at_s=second))


@given(st.data())
def test_any_order_of_messages_each_changed_or_cut_anywhere(data: st.DataObject) -> None:
    scene = Scene(policy(RULES, guard=data.draw(st.sampled_from(["enforce", "alert", "off"]))))
    at_s = 0.0
    for _ in range(data.draw(st.integers(1, 12))):
        raw = bytearray(data.draw(st.sampled_from(CALL)))
        for _ in range(data.draw(st.integers(0, 3))):
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
        payload = bytes(raw[: data.draw(st.sampled_from([None, None, None, 40, 200]))])
        at_s += data.draw(st.sampled_from([-5.0, 0.0, 0.1, 1.0, 40.0, 4000.0]))
        send = scene.carrier if data.draw(st.booleans()) else scene.psap
        one_decision(send(payload, at_s=at_s))
    scene.stops(at_s=at_s)


OFFERS = [
    invite(),
    invite(to_tag="psap", cseq=2),
    answer(invite()),
    answer(invite(), status=183),
    answer(invite(), to_tag="fork"),
    answer(invite(to_tag="psap", cseq=2)),
    response(invite(), 486),
    request("ACK", to_tag="psap", headers=("Content-Type: application/sdp",), body=OFFER),
    request("BYE", to_tag="psap", cseq=3),
    request("CANCEL"),
]
ENDPOINTS = st.sampled_from([CALLER, CALLED, ("192.0.2.66", 4000), ("198.51.100.10", 40001), ("192.0.2.10", 53)])
MEDIA_RULES = (
    "  - {name: no-dtmf, when: 'rtp.p_type == 101 and rtp.seq > 5', action: drop}\n  - {name: all, action: allow}"
)


@given(st.data())
def test_the_kernel_can_follow_any_order_of_offers_answers_and_packets(data: st.DataObject) -> None:
    """``MediaScene`` deletes what is closed, and would notice what is not there; every record can be written."""
    more = data.draw(
        st.sampled_from(["", "media: {timeout: 20s, nat: latch}", "media: {ports: 40000-40001, grace: 3s}"])
    )
    scene = MediaScene(policy(MEDIA_RULES, guard=data.draw(st.sampled_from(["enforce", "off"])), more=more))
    at_s = 0.0
    for _ in range(data.draw(st.integers(1, 20))):
        at_s += data.draw(st.sampled_from([-5.0, 0.0, 0.1, 1.0, 40.0, 4000.0]))
        if data.draw(st.booleans()):
            raw = bytearray(data.draw(st.sampled_from(OFFERS)))
            for _ in range(data.draw(st.integers(0, 2))):
                raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
            send = scene.psap if raw.startswith(b"SIP") else scene.carrier
            told = send(bytes(raw), at_s=at_s)
        else:
            payload = data.draw(
                st.one_of(st.binary(max_size=20), st.builds(rtp, st.integers(0, 9), payload_type=st.just(101)))
            )
            told = scene.packet(data.draw(ENDPOINTS), data.draw(ENDPOINTS), payload, at_s=at_s)
        for output in told.outputs:
            if isinstance(output, Write):
                assert b"\n" not in encode(output.record)
        assert set(scene.open) == {hole.pinhole.key for hole in scene.engine._media.table.holes.values()}
    scene.stops(at_s=at_s)
