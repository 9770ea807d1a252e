"""What a call's records say, in a person's words."""

from tests.messages import request, response
from tests.replay.told import story_of
from tests.scene import ALL, Scene, policy


def test_an_answer_is_told_with_what_it_answers() -> None:
    scene = Scene(policy(ALL))
    invite, bye = request(), request("BYE", to_tag="psap", cseq=2)
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1)]
    told += [scene.carrier(bye, at_s=2), scene.psap(response(bye), at_s=2.1)]
    assert [step.message for step in story_of(*told).steps][1::2] == ["200 OK", "200 OK (BYE)"]


def test_a_call_with_an_unreadable_message_in_it_has_its_story_too() -> None:
    scene = Scene(policy(ALL.replace("action", "when: sip, action"), more="exceptions: {malformed: allow}"))
    junk = b"INFO sip:911@h SIP/2.0\r\nCall-ID: call-1@192.0.2.10\r\n" + b"X: y\r\n" * 600 + b"\r\n"
    told = [scene.carrier(request()), scene.carrier(junk, at_s=1), scene.stops(at_s=2)]
    assert (story_of(*told).cause or "").endswith(
        "no answer had come when the log ended, 2.0 s after its first message"
    )
