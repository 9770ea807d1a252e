"""PSAP callbacks: RFC 7090, and the 30 minutes after an emergency call."""

import pytest

from tests.messages import request, response
from tests.scene import Scene, policy

ALL = "  - {name: all, action: allow}"
CALLER = "sip:+1-617-555-0123@192.0.2.10"


def after_an_emergency_call(**call: object) -> Scene:
    scene = Scene(policy(ALL))
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=CALLER, **call))  # type: ignore[arg-type]
    return scene


def callback(uri: str, call_id: str = "back") -> bytes:
    return request("INVITE", uri, from_uri="sip:psap@198.51.100.10", call_id=call_id, from_tag="p")


@pytest.mark.parametrize("uri", ["sip:6175550123@192.0.2.10", "tel:+16175550123", "sip:+16175550123@other.example"])
def test_a_call_back_to_the_callers_number_is_part_of_the_emergency(uri: str) -> None:
    scene = after_an_emergency_call()
    told = scene.psap(callback(uri), at_s=29 * 60)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "callback"
    ringing = scene.carrier(response(callback(uri), 180), at_s=29 * 60 + 1)
    assert ringing.decision.emergency is not None, "and so is the rest of it"


def test_the_contact_of_an_anonymous_caller_is_remembered_too() -> None:
    scene = Scene(policy(ALL))
    anonymous = "sip:anonymous@anonymous.invalid"
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=anonymous, headers=("Contact: <sip:u7@192.0.2.10>",)))
    assert scene.psap(callback("sip:u7@192.0.2.10"), at_s=60).decision.emergency is not None
    assert scene.psap(callback(anonymous, "x"), at_s=61).decision.emergency is None


def test_after_thirty_minutes_it_is_an_ordinary_call() -> None:
    assert after_an_emergency_call().psap(callback(CALLER), at_s=30 * 60 + 1).decision.emergency is None


def test_a_call_to_somebody_else_is_an_ordinary_call() -> None:
    assert after_an_emergency_call().psap(callback("sip:6175550124@192.0.2.10"), at_s=60).decision.emergency is None


def test_the_caller_calling_its_own_number_is_no_callback() -> None:
    scene = after_an_emergency_call()
    own = request("INVITE", CALLER, call_id="own", from_tag="o")
    assert scene.carrier(own, at_s=60).decision.emergency is None


def test_a_blocked_emergency_call_is_called_back_all_the_same() -> None:
    scene = Scene(policy("  - {name: wrong, when: 'zone.src == \"carrier\"', action: drop}\n" + ALL))
    scene.carrier(request("INVITE", "urn:service:sos", from_uri=CALLER))
    assert scene.psap(callback(CALLER), at_s=60).decision.emergency is not None
