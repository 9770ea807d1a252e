"""A rule can match any anomaly by its code, and what is no SIP is decided with its own reason."""

import pytest

from tests.conformance.test_rfc4475 import VECTORS
from tests.conformance.vectors import Vector
from tests.messages import request
from tests.scene import Scene, policy

ODD = [vector for vector in VECTORS if vector.anomalies]


@pytest.mark.parametrize("vector", ODD, ids=lambda vector: vector.id)
def test_a_rule_that_names_the_anomaly_decides(vector: Vector) -> None:
    for code in vector.anomalies:
        scene = Scene(
            policy(
                f"""
  - {{name: odd, when: 'sip.anomaly == "{code}"', action: drop}}""",
                default="allow",
            )
        )
        told = scene.carrier(vector.raw)
        assert (told.verdict, told.reason) == ("drop", "rule")
        assert code in told.decision.anomalies
        assert scene.carrier(request(uri="sip:a@h", call_id="plain")).verdict == "allow"


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12), "stun"),
        (b"SIP/2.0 4294967301 better not break the receiver\r\n\r\n", "status_code_invalid"),
        (b"GET / HTTP/1.1\r\n\r\n", "not_sip"),
        (b"\r\n\r\n", "keep_alive"),
        (b"\0", "keep_alive"),
    ],
)
def test_what_is_no_message_is_decided_with_its_reason(payload: bytes, reason: str) -> None:
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    assert scene.carrier(payload).reason == reason


def test_a_conflicting_length_of_an_emergency_call_is_told_but_does_not_block_it() -> None:
    """The guard keeps an emergency call that a rule against attacks would drop."""
    scene = Scene(
        policy("  - {name: odd, when: 'sip.anomaly contains \"conflicting\"', action: drop}", guard="enforce")
    )
    raw = request(uri="urn:service:sos").replace(b"Content-Length: 0", b"Content-Length: 0\r\nContent-Length: 5")
    told = scene.carrier(raw)
    assert told.decision.anomalies == ("content_length_conflicting",)
    assert len(told.forwarded) == 1
