"""What others did to a call: who refused it, who never answered, and how far it had come when the log ended."""

import pytest

from firewall.engine.events import DeadlineReached
from firewall.engine.outputs import Write
from firewall.engine.record import EmergencyCall
from tests.messages import request, response
from tests.replay.told import dropping, story_of
from tests.scene import ALL, Scene, Told, policy

BRANCH = "z9hG4bK-i"


def test_a_call_that_was_hurt_and_then_refused_tells_both() -> None:
    scene = Scene(policy(dropping("sip.Status-Code == 180")))
    invite = request()
    answers = [response(invite, 180, phrase="Ringing"), response(invite, 503, phrase="Overloaded")]
    story = story_of(scene.carrier(invite), *(scene.psap(each, at_s=each is answers[1]) for each in answers))
    assert (story.outcome, story.attribution) == ("impaired", "policy")
    assert (story.cause or "").endswith("; in the end the called side answered 503 Overloaded")


def test_a_call_that_was_hurt_and_then_never_answered_tells_both() -> None:
    scene = Scene(policy(dropping("sip.Status-Code == 100")))
    invite = request()
    told = [
        scene.carrier(invite),
        scene.psap(response(invite, 100, to_tag=None)),
        scene.tell(DeadlineReached(), at_s=300),
    ]
    assert (story_of(*told).cause or "").endswith("; in the end the called side never answered")
    lost = Scene(policy(dropping("sip.Status-Code == 486")))
    told = [lost.carrier(invite), lost.psap(response(invite, 486), at_s=1), lost.tell(DeadlineReached(), at_s=300)]
    assert "never answered" not in (story_of(*told).cause or ""), "an answer came, and was blocked"


@pytest.mark.parametrize(
    ("status", "how"), [(200, "a later try passed and was answered"), (503, "the called side answered 503 OK")]
)
def test_a_call_whose_first_try_was_blocked_tells_what_became_of_the_next(status: int, how: str) -> None:
    scene = Scene(
        policy("  - {name: cap, when: 'sip.Method == \"INVITE\"', limit: {rate: 1/1s}, action: drop}\n" + ALL)
    )
    invite = request()
    scene.carrier(request(uri="sip:6175550199@h", call_id="other"))
    told = [
        scene.carrier(invite, at_s=0.1),
        scene.carrier(invite, at_s=1.1),
        scene.psap(response(invite, status), at_s=2),
    ]
    if status == 200:
        told += [scene.carrier(request(method, to_tag="psap", cseq=2), at_s=3) for method in ("ACK", "BYE")]
    story = story_of(*told)
    assert (story.outcome, story.problem) == ("impaired", "InitialTrafficBlocked")
    assert (story.cause or "").endswith(how)


@pytest.mark.parametrize(
    ("stops_s", "how"),
    [
        (10, "; it was ringing, not yet answered, when the log ended"),
        (150, "; it was ringing, not yet answered, when the log ended"),
        (202, "; in the end the called side never answered"),
    ],
)
def test_a_log_that_ends_while_a_hurt_call_rings_does_not_say_that_nobody_answered(stops_s: float, how: str) -> None:
    scene = Scene(policy(dropping("sip.Status-Code == 183")))
    invite = request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in (180, 183))]
    assert (story_of(*told, scene.stops(at_s=stops_s)).cause or "").endswith(how)


@pytest.mark.parametrize("refused", [False, True])
def test_a_call_whose_answer_is_in_no_log_was_answered_if_it_went_on(refused: bool) -> None:
    """It was answered before the log began, or while no daemon ran."""
    scene = Scene(policy(dropping('sip.Method == "INFO"')))
    reinvite = request("INVITE", to_tag="psap", cseq=3)
    told = [scene.carrier(request("INFO", to_tag="psap", cseq=2))]
    if refused:
        told += [scene.carrier(reinvite, at_s=5), scene.psap(response(reinvite, 488), at_s=5)]
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=4), at_s=60))
    story = story_of(*told)
    assert (story.outcome, story.attribution) == ("impaired", "policy")
    assert (story.cause or "").endswith("the call goes on")


@pytest.mark.parametrize("status", [302, 407])
def test_who_did_not_answer_is_who_was_tried_last(status: int) -> None:
    scene = Scene(policy(ALL))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite, status), at_s=1)]
    told += [scene.carrier(request(cseq=2), at_s=2)]
    ended = scene.tell(DeadlineReached(), at_s=100)
    story = story_of(*told, ended)
    assert story.cause == "sosgate let every message pass; the called side never answered"
    assert story.mend == "nothing in the policy: ask who runs 198.51.100.10 why it did not answer"
    assert "left without an answer" in ended.alarms[0].alarm.message
    assert ended.calls[0].final_status is None


def test_a_branch_that_is_blocked_beside_one_that_passed_is_no_earlier_try() -> None:
    scene = Scene(policy(dropping('sip.Via.branch == "z9hG4bK-2"')))
    invite = request(branch=BRANCH)
    told = [
        scene.carrier(invite),
        scene.carrier(request(branch="z9hG4bK-2")),
        scene.psap(response(invite, 503), at_s=3),
    ]
    assert (story_of(*told).cause or "").endswith("; another try had passed, and the called side answered 503 OK")


def test_a_text_that_is_never_answered_says_so_though_an_earlier_one_is() -> None:
    scene = Scene(policy(ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    told = [scene.carrier(first), scene.carrier(second, at_s=1), scene.psap(response(first), at_s=2)]
    story = story_of(*told, scene.tell(DeadlineReached(), at_s=40))
    assert story.cause == "sosgate let every message pass; the called side never answered"


def test_a_refusal_that_only_the_ledger_knows_is_told() -> None:
    """The part of a rotated log that begins with the end of a call."""
    scene, invite = Scene(policy(ALL)), request(branch=BRANCH)
    scene.carrier(invite)
    refused = scene.psap(response(invite, 486), at_s=1)
    end = Told([o for o in refused.outputs if isinstance(o, Write) and isinstance(o.record, EmergencyCall)])
    story = story_of(end, scene.carrier(request("ACK", to_tag="psap", branch=BRANCH), at_s=1.1))
    assert story.cause == "sosgate let every message pass; the called side answered 486"
    assert story.mend == "nothing in the policy: ask who runs 198.51.100.10 why it answered 486"


def test_a_log_that_ends_with_a_challenge_says_so() -> None:
    scene, invite = Scene(policy(ALL)), request()
    cause = story_of(scene.carrier(invite), scene.psap(response(invite, 407), at_s=1)).cause or ""
    assert cause.endswith("the caller did not try again with them before the log ended")


def test_a_refusal_that_comes_again_is_not_the_answer_to_the_next_try() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite, 407), at_s=1), scene.carrier(request(cseq=2), at_s=2)]
    told += [scene.psap(response(invite, 407), at_s=2.5), scene.tell(DeadlineReached(), at_s=100)]
    assert story_of(*told).cause == "sosgate let every message pass; the called side never answered"


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "OPTIONS"])
def test_who_tries_again_with_credentials_and_is_let_in_has_not_failed(method: str) -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    first, again = (request(method, uri="sip:registrar.example", to="<sip:a@h>", cseq=cseq) for cseq in (1, 2))
    told = [scene.carrier(first), scene.psap(response(first, 401), at_s=1)]
    assert "did not try again" in (story_of(*told).cause or "")
    told += [scene.carrier(again, at_s=2), scene.psap(response(again), at_s=3)]
    assert story_of(*told).cause is None
