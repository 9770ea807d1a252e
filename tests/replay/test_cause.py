"""Causes and what to change: what was done here is told apart from what others did."""

import pytest

from firewall.engine.events import ForwardFailed
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, request, response
from tests.replay.told import dropping, story_of
from tests.scene import ALL, Scene, policy

BRANCH = "z9hG4bK-i"


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


def test_the_first_loss_of_a_call_is_told_with_the_others() -> None:
    """That of a 100 Trying alone would not explain why nobody was connected."""
    scene, invite = Scene(policy(dropping("sip.Status-Code"))), request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in (100, 180, 200))]
    told.append(scene.psap(response(invite), at_s=1.5))
    assert (story_of(*told).cause or "").endswith("; nor did it let 180 OK, 200 OK pass")


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


def test_a_ban_is_kept_off_who_is_banned_whichever_side_of_the_call_it_is() -> None:
    scanned = "  - {name: scan, when: 'sip.Method == \"OPTIONS\"', action: drop, ban: 10m}\n"
    scene, invite = Scene(policy(scanned + ALL)), request()
    scene.psap(request("OPTIONS", "sip:192.0.2.10", call_id="ping", from_tag="p"))
    story = story_of(scene.carrier(invite, at_s=1), scene.psap(response(invite, 180), at_s=2))
    assert 'add "and not net.src == 198.51.100.10"' in (story.mend or "")


def test_what_could_not_be_sent_on_is_told_with_what_that_means() -> None:
    scene = Scene(policy(ALL))
    bye = request("BYE", to_tag="psap", cseq=2)
    told = [scene.carrier(request()), scene.psap(response(request()), at_s=1), scene.carrier(bye, at_s=2)]
    told.append(scene.tell(ForwardFailed(Datagram(*CARRIER, *PSAP, bye), "Network is unreachable"), at_s=2))
    assert story_of(*told).cause == (
        "sosgate let BYE sip:911@198.51.100.10 pass, and it could not be sent on (reason forward_failed); without it "
        "the other side goes on with a call that is over"
    )


def test_of_what_could_not_be_sent_on_a_copy_is_told_and_whom_it_did_not_reach() -> None:
    """That may not have been the called side."""
    scene, invite = Scene(policy(ALL)), request()
    answer, ack = response(invite), request("ACK", to_tag="psap")
    told = [scene.carrier(invite), scene.psap(answer, at_s=1)]
    told.append(scene.tell(ForwardFailed(Datagram(*PSAP, *CARRIER, answer), "Network is unreachable"), at_s=1))
    told += [scene.psap(answer, at_s=1.5), scene.carrier(ack, at_s=1.5)]
    story = story_of(*told)
    assert (story.cause or "").endswith("ends the call after 32 seconds; a copy of it was let pass 0.5 s later")
    assert story.mend == "nothing in the policy: see whether 192.0.2.10 can be reached, and the alarm forward_failed"
