"""What the loss of each kind of message means for the two ends."""

import pytest

from tests.messages import request, response
from tests.replay.told import story_of
from tests.scene import ALL, Scene, policy


@pytest.mark.parametrize(
    ("condition", "consequence"),
    [
        ('sip.Method == "CANCEL"', "the called side goes on ringing for nobody"),
        ('sip.Method == "INFO"', "does not learn what it says (a dialled digit, a location); the call goes on"),
        ('sip.Method == "UPDATE"', "a session timer may end the call"),
        ('sip.Method == "INVITE" and sip.to.tag', "a hold, a change of media or a session refresh did not happen"),
        ('sip.Method == "REFER"', "the call is not transferred"),
        ('sip.Method == "NOTIFY"', "does not learn what it asked to be told, as how a transfer goes on"),
        ("sip.Status-Code == 100", "goes on sending the INVITE"),
        ("sip.Status-Code == 180", "the caller hears no ringing and may hang up"),
        ("sip.Status-Code == 183", "hears nothing before the answer"),
        ('sip.Status-Code == 200 and sip.CSeq.method == "INVITE"', "the called side ends the call after 32 seconds"),
        ('sip.Status-Code == 200 and sip.CSeq.method == "BYE"', "sends it again and gives up"),
        ("sip.Status-Code == 302", "where else to try"),
        ("sip.Status-Code == 486", "does not learn that the call was refused"),
    ],
)
@pytest.mark.parametrize("uri", ["sip:911@198.51.100.10", "sip:6175550199@198.51.100.10"])
def test_each_lost_message_names_what_the_two_ends_then_experience(condition: str, consequence: str, uri: str) -> None:
    scene = Scene(policy(f"  - {{name: lossy, when: '{condition}', action: drop}}\n{ALL}"))
    invite, again = request(uri=uri, branch="z9hG4bK-i"), request(uri=uri, to_tag="psap", cseq=2)
    bye = request("BYE", to_tag="psap", cseq=9)
    inside = ("INFO", "UPDATE", "REFER", "NOTIFY")
    answers = {status: response(invite, status, to_tag="psap") for status in (100, 180, 183, 200, 302, 486)}
    told = [
        *(scene.carrier(invite), *(scene.psap(answers[status], at_s=1) for status in (100, 180, 183))),
        scene.carrier(request("CANCEL", uri, branch="z9hG4bK-i"), at_s=1.5),
        *(scene.psap(answers[status], at_s=2) for status in (200, 302, 486)),
        *(scene.carrier(request(method, uri, to_tag="psap", cseq=5), at_s=3) for method in inside),
        *(scene.carrier(again, at_s=4), scene.carrier(bye, at_s=5), scene.psap(response(bye), at_s=6)),
    ]
    story = story_of(*told)
    assert story.cause is not None
    assert story.cause.startswith("sosgate did not let ")
    assert "lossy" in story.cause
    assert consequence in story.cause.partition("; ")[2]


@pytest.mark.parametrize(
    ("condition", "consequence"),
    [
        ("sip.Status-Code == 180", "a call that insists on PRACK (100rel) fails after 32 seconds"),
        ("sip.Status-Code == 401", "does not learn that credentials are asked for"),
        ("sip.Status-Code == 487", "does not learn that the call is given up"),
    ],
)
def test_each_answer_to_the_invite_of_a_call_is_missed_in_its_own_way(condition: str, consequence: str) -> None:
    scene = Scene(policy(f"  - {{name: lossy, when: '{condition}', action: drop}}\n{ALL}"))
    invite = request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in (180, 401, 487))]
    assert consequence in (story_of(*told).cause or "")


@pytest.mark.parametrize(
    ("status", "consequence"),
    [
        (200, "does not know that the other agreed, which ends the call after 32 seconds"),
        (488, "gets no answer, and may end the call after 32 seconds"),
        (491, "gets no answer, and may end the call after 32 seconds"),
    ],
)
def test_a_lost_answer_to_a_reinvite_is_not_told_as_one_to_the_call(status: int, consequence: str) -> None:
    scene = Scene(policy(f"  - {{name: lossy, when: 'sip.CSeq.seq == 2 and sip.Status-Code', action: drop}}\n{ALL}"))
    invite, again = request(), request(to_tag="psap", cseq=2)
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1), scene.carrier(again, at_s=5)]
    assert consequence in (story_of(*told, scene.psap(response(again, status), at_s=6)).cause or "")


@pytest.mark.parametrize(
    ("action", "means"), [("drop", "missed only if that one was lost"), ("reject", "that it failed")]
)
def test_a_lost_copy_is_told_as_one(action: str, means: str) -> None:
    scene = Scene(policy(f"  - {{name: cap, limit: {{rate: 1/1s}}, action: {action}}}\n{ALL}"))
    told = [scene.carrier(request()), scene.carrier(request(), at_s=0.5)]
    cause = story_of(*told).cause or ""
    assert "a copy of it had passed before" in cause
    assert means in cause


def test_a_copy_that_passes_after_the_loss_is_told() -> None:
    """What a limit drops is sent again, and the call goes on."""
    lossy = "  - {name: cap, when: sip.Status-Code, limit: {rate: 1/1s}, action: drop}\n"
    scene, invite = Scene(policy(lossy + ALL)), request()
    told = [scene.carrier(invite), scene.psap(response(invite, 180), at_s=1), scene.psap(response(invite), at_s=1.1)]
    cause = story_of(*told, scene.psap(response(invite), at_s=2.6)).cause or ""
    assert cause.endswith("the called side ends the call after 32 seconds; a copy of it passed 1.5 s later")


def test_the_lost_answer_to_a_cancel_is_no_copy_of_the_answer_that_crossed_it() -> None:
    """RFC 5407 §3.1.2: both are a 200 with the branch and the CSeq number of the INVITE."""
    lossy = "  - {name: lossy, when: 'sip.CSeq.method == \"CANCEL\" and sip.Status-Code', action: drop}\n"
    scene = Scene(policy(lossy + ALL))
    invite, cancel = request(branch="z9hG4bK-i"), request("CANCEL", branch="z9hG4bK-i")
    told = [scene.carrier(invite), scene.carrier(cancel, at_s=1), scene.psap(response(invite), at_s=1.1)]
    cause = story_of(*told, scene.psap(response(cancel), at_s=1.2)).cause or ""
    assert cause.endswith("the side that sent the CANCEL sends it again and gives up after 32 seconds")


def test_the_lost_ack_of_an_ordinary_refusal_is_no_great_matter() -> None:
    scene = Scene(policy("  - {name: no-ack, when: 'sip.Method == \"ACK\"', action: drop}\n" + ALL))
    uri, branch = "sip:6175550199@h", "z9hG4bK-i"
    invite = request(uri=uri, branch=branch)
    told = [scene.carrier(invite), scene.psap(response(invite, 486), at_s=1)]
    told.append(scene.carrier(request("ACK", uri, to_tag="psap", branch=branch), at_s=1.1))
    assert (story_of(*told).cause or "").endswith("repeats its refusal for 32 seconds; nothing else is lost")


def test_a_lost_answer_to_nobody_knows_what_is_told_without_its_meaning() -> None:
    scene = Scene(policy("  - {name: lossy, when: sip.Status-Code, action: drop}\n" + ALL))
    invite = request(uri="sip:6175550199@h")
    answer = response(invite, 180).replace(b"CSeq: ", b"X-CSeq: ")
    cause = story_of(scene.carrier(invite), scene.psap(answer, at_s=1)).cause or ""
    assert "180" in cause
    assert "without it" not in cause


def test_the_answer_of_a_second_fork_is_missed_by_that_fork_alone() -> None:
    """RFC 3261 §13.2.2.4: the caller takes the first answer and releases the others."""
    scene = Scene(policy("  - {name: lossy, when: 'sip.to.tag == \"second\"', action: drop}\n" + ALL))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite, to_tag="first"), at_s=1)]
    told += [scene.carrier(request("ACK", to_tag="first"), at_s=1.1)]
    cause = story_of(*told, scene.psap(response(invite, to_tag="second"), at_s=1.2)).cause or ""
    assert "another had answered before, and that call goes on" in cause
    assert "the caller goes on waiting" not in cause


def test_the_cancel_of_a_reinvite_is_not_told_as_a_caller_who_hung_up() -> None:
    """RFC 3261 §9.1: it has the To tag of the re-INVITE."""
    scene = Scene(policy(f"  - {{name: lossy, when: 'sip.Method == \"CANCEL\"', action: drop}}\n{ALL}"))
    invite, again = request(), request(to_tag="psap", cseq=2, branch="z9hG4bK-r")
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1), scene.carrier(again, at_s=5)]
    cancel = request("CANCEL", to_tag="psap", cseq=2, branch="z9hG4bK-r")
    cause = story_of(*told, scene.carrier(cancel, at_s=6)).cause or ""
    assert "goes on with a change of the session that was given up" in cause
