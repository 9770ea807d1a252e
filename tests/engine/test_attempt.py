"""How an attempt stands after each message, and the words of its alarms."""

import pytest

from firewall.engine.events import DeadlineReached, PolicyReplaced
from tests.messages import request, response
from tests.replay.told import log_of, story_of
from tests.scene import ALL, Scene, Told, policy


def answered_call(scene: Scene) -> bytes:
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=1)
    return invite


def test_a_bye_of_no_dialog_ends_nothing() -> None:
    scene = Scene(policy(ALL))
    answered_call(scene)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    forged = request("BYE", from_tag="guess", to_tag="guess-too", cseq=9)
    assert scene.carrier(forged, at_s=10, src=("192.0.2.66", 5060)).calls == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=20).calls
    assert (call.outcome, call.ended_s) == ("completed", 20.0)


def test_a_fork_that_is_given_up_does_not_end_the_call() -> None:
    scene = Scene(policy(ALL))
    invite = answered_call(scene)
    scene.psap(response(invite, 200, to_tag="other"), at_s=1.1)
    for tag in ("psap", "other"):
        scene.carrier(request("ACK", to_tag=tag), at_s=1.2)
    assert scene.carrier(request("BYE", to_tag="other", cseq=2), at_s=1.3).calls == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=20).calls
    assert (call.outcome, call.ended_s) == ("completed", 20.0)


@pytest.mark.parametrize(
    ("end_s", "outcome", "alarms"),
    [(10, "in_progress", []), (31.5, "failed_downstream", ["emergency_failed_downstream"])],
)
def test_a_capture_that_ends_with_the_callers_last_try_tells_that_nobody_answered(
    end_s: float, outcome: str, alarms: list[str]
) -> None:
    scene = Scene(policy(ALL))
    for at_s in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):  # RFC 3261 §17.1.1.2, timer A
        if at_s <= end_s:
            scene.carrier(request(), at_s=at_s)
    told = scene.stops(at_s=end_s)
    assert [call.outcome for call in told.calls] == [outcome]
    assert [alarm.alarm.code for alarm in told.alarms] == alarms


def test_a_capture_that_ends_while_it_may_still_ring_tells_of_a_call_in_progress() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 100), at_s=0.1)
    assert [call.outcome for call in scene.stops(at_s=35).calls] == ["in_progress"]


@pytest.mark.parametrize("is_challenged", [False, True])
def test_an_answer_that_nobody_acknowledged_is_alarmed(is_challenged: bool) -> None:
    scene = Scene(policy(ALL))
    if is_challenged:  # the ACK of a refusal acknowledges no answer
        first = request(cseq=7, branch="z9hG4bK-first")
        scene.carrier(first)
        scene.psap(response(first, 407, to_tag="x"), at_s=0.1)
        scene.carrier(request("ACK", to_tag="x", cseq=7, branch="z9hG4bK-first"), at_s=0.2)
    answered_call(scene)
    told = scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=33)
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", None, "downstream")
    (alarm,) = told.alarms
    assert "emergency call answered, but nobody acknowledged that for 32 s" in alarm.alarm.message


def test_an_unreadable_emergency_message_that_is_dropped_is_an_attempt() -> None:
    scene = Scene(policy(ALL.replace("action", "when: sip, action"), more="exceptions: {malformed: drop}"))
    told = scene.carrier(b"INVITE sip:911@h SIP/2.0\r\n" + b"X: y\r\n" * 600 + b"\r\n")
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution, call.call_id) == (
        "blocked",
        "InitialTrafficBlocked",
        "exception",
        "",
    )
    assert scene.engine.stats().emergency_calls_hurt == 1


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (request(), "emergency call blocked: INVITE"),
        (request("INFO", to_tag="psap", cseq=5), "emergency call impaired, a message of it blocked: INFO"),
        (request("CANCEL"), "emergency call impaired, a message of it blocked: CANCEL"),
        (request(uri="sip:933@h"), "emergency test call blocked: INVITE"),
        (request("SUBSCRIBE", "urn:service:sos"), "emergency call blocked: SUBSCRIBE"),
        (request("REGISTER", "sip:h", headers=("Contact: <sip:a@192.0.2.10;sos>",)), "emergency registration blocked"),
    ],
)
def test_the_alarm_says_what_was_blocked(message: bytes, words: str) -> None:
    scene = Scene(policy("  - {name: first, when: 'sip.CSeq.seq == 77', action: allow}\n  - {name: no, action: drop}"))
    if b"933" not in message and b"REGISTER" not in message:
        scene.carrier(request(cseq=77))  # the call is known, and an emergency
    (alarm,) = scene.carrier(message, at_s=1).alarms
    assert alarm.alarm.message.startswith(words)


def test_a_call_of_which_only_the_middle_is_seen_is_told_when_it_is_hurt() -> None:
    """It began before the firewall, or the capture, did."""
    rules = "  - {name: no-info, when: 'sip.Method == \"INFO\"', action: drop}\n" + ALL
    scene = Scene(policy(rules))
    (call,) = scene.carrier(request("INFO", to_tag="psap", cseq=5)).calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MidTrafficBlocked", "policy")
    (ended,) = scene.carrier(request("BYE", to_tag="psap", cseq=6), at_s=9).calls
    assert (ended.outcome, ended.ended_s) == ("impaired", 9.0)


def test_what_is_no_call_opens_no_attempt() -> None:
    scene = Scene(policy("  - {name: none, action: drop}"))
    assert scene.carrier(request("SUBSCRIBE", "urn:service:sos", to_tag="x")).calls == []


@pytest.mark.parametrize("action", ["drop", "reject"])
def test_a_blocked_copy_of_an_invite_that_passed_is_no_blocked_call(action: str) -> None:
    scene = Scene(policy(f"  - {{name: cap, limit: {{rate: 1/1s}}, action: {action}}}\n{ALL}"))
    invite = request()
    assert scene.carrier(invite).verdict == "allow"
    told = scene.carrier(invite, at_s=0.5)
    assert told.verdict == action
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MidTrafficBlocked", "limit")
    assert told.alarms[0].alarm.message.startswith("emergency call impaired, a message of it blocked: INVITE")


def test_a_copy_of_a_rejected_invite_that_another_rule_blocks_is_a_blocked_call_all_the_same() -> None:
    rules = "  - {name: cap, limit: {rate: 1/1s}, action: drop}\n  - {name: no, action: reject}"
    scene = Scene(policy(rules))
    assert scene.carrier(request()).verdict == "reject"
    told = scene.carrier(request(), at_s=0.1)
    assert (told.verdict, told.decision.dialog and told.decision.dialog.retransmission) == ("drop", False)
    assert told.alarms[0].alarm.message.startswith("emergency call blocked: INVITE")


@pytest.mark.parametrize("status", [302, 407])
def test_a_call_whose_next_try_is_blocked_stays_blocked(status: int) -> None:
    scene = Scene(policy("  - {name: second, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, status), at_s=1)
    assert [c.outcome for c in scene.carrier(request(cseq=2), at_s=2).calls] == ["blocked"]
    assert scene.tell(DeadlineReached(), at_s=100).calls == []
    assert scene.stops(at_s=101).calls == []


def test_a_branch_that_is_blocked_beside_one_that_rings_leaves_the_call_open() -> None:
    scene = Scene(policy("  - {name: second, when: 'sip.r-uri.host == \"h2\"', action: drop}\n" + ALL))
    invite = request()
    scene.carrier(invite)
    other = scene.carrier(request(uri="sip:911@h2", branch="z9hG4bK-2"), at_s=0.1)
    assert [c.outcome for c in other.calls] == ["blocked"]
    scene.psap(response(invite, 200), at_s=1)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=9).calls
    assert call.outcome == "impaired"


def test_a_call_that_passed_after_all_is_alarmed_for_what_else_is_lost_of_it() -> None:
    rules = (
        "  - {name: cap, when: 'sip.Method == \"INVITE\"', limit: {rate: 1/1s}, action: drop}\n"
        + "  - {name: no-ack, when: 'sip.Method == \"ACK\"', action: drop}\n"
        + ALL
    )
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="other"))
    assert len(scene.carrier(request(), at_s=0.1).alarms) == 1
    assert scene.carrier(request(), at_s=1.1).verdict == "allow"
    scene.psap(response(request(), 200), at_s=3)
    (alarm,) = scene.carrier(request("ACK", to_tag="psap"), at_s=3.1).alarms
    assert alarm.alarm.rule == "no-ack"


@pytest.mark.parametrize("status", [302, 407, 503])
def test_a_repeated_refusal_of_an_earlier_try_says_nothing_of_the_next(status: int) -> None:
    """The ACK was lost on its way, so that the refusal comes again (RFC 3261 §17.2.1)."""
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, status), at_s=1)
    scene.carrier(request(cseq=2), at_s=2)
    assert scene.psap(response(invite, status), at_s=2.5).calls == []
    told = scene.tell(DeadlineReached(), at_s=34)
    assert [(c.outcome, c.final_status) for c in told.calls] == [("failed_downstream", None)]
    assert "left without an answer" in told.alarms[0].alarm.message


def test_each_message_of_a_text_session_is_an_attempt_of_its_own() -> None:
    scene = Scene(policy(ALL))
    texts = [request("MESSAGE", "urn:service:sos", cseq=number) for number in (1, 2, 3)]
    scene.carrier(texts[0])
    assert [c.outcome for c in scene.psap(response(texts[0]), at_s=0.1).calls] == ["completed"]
    scene.carrier(texts[1], at_s=5)
    assert [c.outcome for c in scene.psap(response(texts[1], 503), at_s=5.1).calls] == ["failed_downstream"]
    scene.carrier(texts[2], at_s=10)
    scene.carrier(texts[2], at_s=10.5)
    assert scene.psap(response(texts[0]), at_s=11).calls == [], "an answer that comes again"
    unanswered = scene.tell(DeadlineReached(), at_s=43)
    assert [(c.outcome, c.started[17:19]) for c in unanswered.calls] == [("failed_downstream", "12")]
    assert scene.engine.stats().emergency_calls == 3


def test_a_call_that_the_guard_saved_is_alarmed_anew_when_it_is_hurt_without_it() -> None:
    """The guard is switched off while the call is up."""
    rules = '  - {name: no, when: \'sip.Method in {"ACK", "BYE"}\', action: drop}\n' + ALL
    scene = Scene(policy(rules, guard="enforce"))
    answered_call(scene)
    assert [a.alarm.code for a in scene.carrier(request("ACK", to_tag="psap"), at_s=2).alarms] == ["emergency_guarded"]
    scene.tell(PolicyReplaced(policy(rules, guard="off")), at_s=3)
    told = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=4)
    assert ([a.alarm.code for a in told.alarms], [c.outcome for c in told.calls]) == (
        ["emergency_blocked"],
        ["impaired"],
    )


def an_ended_call(scene: Scene, *, answered: bool) -> list[Told]:
    invite, cancel = request(branch="z9hG4bK-1"), request("CANCEL", branch="z9hG4bK-1")
    told = [scene.carrier(invite), scene.psap(response(invite, 200 if answered else 180), at_s=1)]
    if answered:
        return [*told, *(scene.carrier(request(name, to_tag="psap", cseq=2), at_s=5) for name in ("ACK", "BYE"))]
    return [*told, scene.carrier(cancel, at_s=5), scene.psap(response(invite, 487), at_s=5)]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("answered", [True, False])
@pytest.mark.parametrize(("from_tag", "cseq"), [("anew", 1), ("caller", 9)])
def test_who_calls_again_with_the_call_id_of_a_call_that_has_ended_is_told_of(
    from_tag: str, cseq: int, answered: bool, restart: bool
) -> None:
    scene = Scene(policy(ALL))
    told = an_ended_call(scene, answered=answered)
    if restart:
        scene = Scene(policy(ALL), takeover=True, past=log_of(*told), at_s=8)
    told += [scene.carrier(request(from_tag=from_tag, cseq=cseq, branch="z9hG4bK-2"), at_s=10)]
    told.append(scene.tell(DeadlineReached(), at_s=100))
    expected = ["completed" if answered else "abandoned", "failed_downstream"]
    assert [call.outcome for each in told for call in each.calls] == expected
    assert [alarm.alarm.code for each in told for alarm in each.alarms] == ["emergency_failed_downstream"]
    assert (story_of(*told).cause or "").endswith("the called side never answered")


@pytest.mark.parametrize(("first", "then"), [("MESSAGE", "INVITE"), ("INVITE", "MESSAGE")])
def test_a_call_after_a_text_and_a_text_after_a_call_are_told_of_also_with_one_call_id(first: str, then: str) -> None:
    scene = Scene(policy(ALL))
    told = an_ended_call(scene, answered=True) if first == "INVITE" else []
    if first == "MESSAGE":
        text = request("MESSAGE")
        told += [scene.carrier(text), scene.psap(response(text), at_s=1)]
    told += [scene.carrier(request(then, cseq=9), at_s=10), scene.tell(DeadlineReached(), at_s=100)]
    assert [call.outcome for each in told for call in each.calls] == ["completed", "failed_downstream"]


def test_a_copy_or_branch_of_an_invite_that_comes_after_the_end_is_no_other_call() -> None:
    scene = Scene(policy(ALL))
    told = an_ended_call(scene, answered=True)
    told += [scene.carrier(request(branch=f"z9hG4bK-{number}"), at_s=5 + number) for number in (1, 2)]
    told.append(scene.tell(DeadlineReached(), at_s=100))
    assert [call.outcome for each in told for call in each.calls] == ["completed"]
