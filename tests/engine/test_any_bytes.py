"""Whatever arrives, the engine decides once and never raises."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.outputs import Write
from firewall.engine.record import SipDecision, encode
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
