"""Calls in progress, read back from the decision log of an earlier run."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.events import CallsRecovered
from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.engine.recovery import recovered_calls
from tests.messages import request, response
from tests.scene import Scene, Told, policy

INVITES_ONLY = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
CALLER = "sip:6175550123@192.0.2.10"


def log_of(*told: Told) -> list[bytes]:
    return [encode(o.record) for t in told for o in t.outputs if isinstance(o, Write)]


def restarted(log: list[bytes], *, at_s: float) -> Scene:
    scene = Scene(policy(INVITES_ONLY))
    scene.tell(CallsRecovered(tuple(recovered_calls(log))), at_s=at_s)
    return scene


def an_answered_call(uri: str = "sip:6175550199@h") -> list[bytes]:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=uri)
    return log_of(
        scene.carrier(invite), scene.psap(response(invite, 180), at_s=1), scene.psap(response(invite), at_s=2)
    )


def test_a_call_that_outlived_the_daemon_is_known_again() -> None:
    scene = restarted(an_answered_call(), at_s=7200)
    bye = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=7201)
    assert (bye.reason, bye.decision.dialog.state if bye.decision.dialog else None) == ("in_dialog", "confirmed")
    assert scene.psap(response(request("BYE", to_tag="psap", cseq=2)), at_s=7202).reason == "response"


def test_an_emergency_call_stays_one_whatever_its_later_messages_say() -> None:
    scene = restarted(an_answered_call("urn:service:sos"), at_s=60)
    info = request("INFO", "sip:h", to="<sip:agent@h>", from_tag="psap", to_tag="caller", cseq=3)
    told = scene.psap(info, at_s=61)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "call"


def test_a_callback_is_known_after_a_restart_for_the_rest_of_its_time() -> None:
    log = an_answered_call("urn:service:sos")
    callback = request("INVITE", CALLER, call_id="back", from_tag="p")
    told = restarted(log, at_s=60).psap(callback, at_s=61)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "callback"
    assert restarted(log, at_s=2000).psap(callback, at_s=2001).decision.emergency is None


def test_an_ended_call_is_not_known_again() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h")
    log = log_of(
        scene.carrier(invite),
        scene.psap(response(invite), at_s=1),
        scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=2),
    )
    assert restarted(log, at_s=100).carrier(request("BYE", to_tag="psap", cseq=3), at_s=101).reason == "default"


def test_what_was_blocked_gives_no_right_to_follow() -> None:
    scene = Scene(policy("  - {name: none, action: drop}"))
    invite = request(uri="sip:6175550199@h")
    log = log_of(scene.carrier(invite), scene.psap(response(invite), at_s=1))
    assert recovered_calls(log) == []


def test_torn_and_foreign_lines_are_left_out() -> None:
    log = an_answered_call()
    noisy = [b"", b"{", log[0][:50], b'{"event_type":"dns","timestamp":"x"}', b"[1]", *log]
    assert [call.call_id for call in recovered_calls(noisy)] == ["call-1@192.0.2.10"]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    recovered_calls(lines)
