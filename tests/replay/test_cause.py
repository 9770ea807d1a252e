"""Causes and what to change: what was done here is told apart from what others did."""

import pytest

from firewall.engine.events import DeadlineReached, ForwardFailed
from firewall.engine.outputs import Write
from firewall.engine.record import EmergencyCall
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, request, response
from tests.replay.told import story_of
from tests.scene import ALL, Scene, Told, policy

BRANCH = "z9hG4bK-i"


def dropping(condition: str) -> str:
    return f"  - {{name: lossy, when: '{condition}', action: drop}}\n{ALL}"


def test_a_refusal_whose_ack_was_lost_here_stays_the_called_sides() -> None:
    scene = Scene(policy(dropping('sip.Method == "ACK"')))
    invite = request(branch=BRANCH)
    told = [scene.carrier(invite), scene.psap(response(invite, 503, phrase="Service Unavailable"), at_s=1)]
    story = story_of(*told, scene.carrier(request("ACK", to_tag="psap", branch=BRANCH), at_s=1.1))
    assert (story.outcome, story.attribution) == ("failed_downstream", "downstream")
    assert story.cause == (
        'sosgate let every message pass but ACK sip:911@198.51.100.10 (drop by rule "lossy" (test:9)), which harms '
        "nobody; the called side answered 503 Service Unavailable"
    )
    assert story.mend == "nothing in the policy: ask who runs 198.51.100.10 why it answered 503"


def test_a_strangers_bye_that_was_blocked_is_no_cause() -> None:
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1), scene.carrier(request("ACK", to_tag="psap"))]
    told.append(scene.carrier(request("BYE", from_tag="guess", to_tag="psap", cseq=9), at_s=2))
    story = story_of(*told, scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=5))
    assert [step.verdict for step in story.steps].count("drop") == 1
    assert (story.outcome, story.cause, story.mend) == ("completed", None, None)


@pytest.mark.parametrize(
    ("status", "how", "ask"),
    [
        (200, "", ""),
        (503, "; the called side answered 503 OK", "; and ask who runs 198.51.100.10 why it answered 503"),
        (487, "; the caller hung up before an answer", ""),
    ],
)
def test_what_the_guard_saved_is_told_with_the_message_and_with_what_became_of_the_call(
    status: int, how: str, ask: str
) -> None:
    scene = Scene(policy(dropping('sip.Method == "INVITE"'), guard="enforce"))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite, status), at_s=1)]
    if status == 200:
        told += [scene.carrier(request(method, to_tag="psap", cseq=2), at_s=2) for method in ("ACK", "BYE")]
    story = story_of(*told)
    assert story.cause == (
        'sosgate would have blocked INVITE sip:911@198.51.100.10 (drop by rule "lossy" (test:9)); '
        f"the guard let it pass{how}"
    )
    assert (story.mend or "").endswith(f"then run sosgate lint test{ask}")


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


def test_the_first_loss_of_a_call_is_told_with_the_others() -> None:
    """That of a 100 Trying alone would not explain why nobody was connected."""
    scene, invite = Scene(policy(dropping("sip.Status-Code"))), request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in (100, 180, 200))]
    told.append(scene.psap(response(invite), at_s=1.5))
    assert (story_of(*told).cause or "").endswith("; nor did it let 180 OK, 200 OK pass")


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


def test_of_several_attempts_the_one_that_was_hurt_is_told() -> None:
    """A text session: one Call-ID, a MESSAGE each minute."""
    scene = Scene(policy(dropping("sip.CSeq.seq == 2")))
    told = []
    for number in (1, 2, 3):
        text = request("MESSAGE", "urn:service:sos", cseq=number)
        told.append(scene.carrier(text, at_s=60 * number))
        if number != 2:
            told.append(scene.psap(response(text), at_s=60 * number + 1))
    story = story_of(*told)
    assert (story.outcome, story.problem) == ("blocked", "InitialTrafficBlocked")
    assert story.others == "other attempts have this Call-ID: 2 completed"
    assert "MESSAGE urn:service:sos pass: drop by rule" in (story.cause or "")


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


def test_a_ban_is_kept_off_who_is_banned_whichever_side_of_the_call_it_is() -> None:
    scanned = "  - {name: scan, when: 'sip.Method == \"OPTIONS\"', action: drop, ban: 10m}\n"
    scene, invite = Scene(policy(scanned + ALL)), request()
    scene.psap(request("OPTIONS", "sip:192.0.2.10", call_id="ping", from_tag="p"))
    story = story_of(scene.carrier(invite, at_s=1), scene.psap(response(invite, 180), at_s=2))
    assert 'add "and not net.src == 198.51.100.10"' in (story.mend or "")


def test_an_answer_is_told_with_what_it_answers() -> None:
    scene = Scene(policy(ALL))
    invite, bye = request(), request("BYE", to_tag="psap", cseq=2)
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1)]
    told += [scene.carrier(bye, at_s=2), scene.psap(response(bye), at_s=2.1)]
    assert [step.message for step in story_of(*told).steps][1::2] == ["200 OK", "200 OK (BYE)"]


def test_what_could_not_be_sent_on_is_told_with_what_that_means() -> None:
    scene = Scene(policy(ALL))
    bye = request("BYE", to_tag="psap", cseq=2)
    told = [scene.carrier(request()), scene.psap(response(request()), at_s=1), scene.carrier(bye, at_s=2)]
    told.append(scene.tell(ForwardFailed(Datagram(*CARRIER, *PSAP, bye), "Network is unreachable"), at_s=2.1))
    assert story_of(*told).cause == (
        "sosgate let BYE sip:911@198.51.100.10 pass, and it could not be sent on (reason forward_failed); without it "
        "the other side goes on with a call that is over"
    )


def test_a_call_with_an_unreadable_message_in_it_has_its_story_too() -> None:
    scene = Scene(policy(ALL.replace("action", "when: sip, action"), more="exceptions: {malformed: allow}"))
    junk = b"INFO sip:911@h SIP/2.0\r\nCall-ID: call-1@192.0.2.10\r\n" + b"X: y\r\n" * 600 + b"\r\n"
    told = [scene.carrier(request()), scene.carrier(junk, at_s=1), scene.stops(at_s=2)]
    assert (story_of(*told).cause or "").endswith(
        "no answer had come when the log ended, 2.0 s after its first message"
    )


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
