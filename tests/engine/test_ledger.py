"""The emergency-call ledger: one story for each attempt."""

import pytest

from firewall.engine.events import DeadlineReached, ForwardFailed
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, request, response
from tests.scene import SECOND, START, Scene, Told, policy

ALL = "  - {name: all, action: allow}"


def drop(method: str) -> str:
    return f"  - {{name: no-{method.lower()}, when: 'sip.Method == \"{method}\"', action: drop}}\n" + ALL


def test_a_call_that_is_answered_and_ended_is_completed() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=0.5)
    scene.psap(response(invite, 200), at_s=2)
    scene.carrier(request("ACK", to_tag="psap"), at_s=2.1)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=62).calls
    assert (call.outcome, call.problem, call.attribution, call.hurt_by) == ("completed", None, None, None)
    assert (call.ringing_s, call.answered_s, call.ended_s, call.final_status) == (0.5, 2.0, 62.0, 200)
    assert call.started == "2026-03-01T10:15:02.000000+0000"


def test_a_call_whose_ack_we_dropped_is_impaired_at_once() -> None:
    scene = Scene(policy(drop("ACK")))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=2)
    told = scene.carrier(request("ACK", to_tag="psap"), at_s=2.1)
    (call,) = told.calls
    assert (call.outcome, call.problem) == ("impaired", "MidTrafficBlocked")
    assert call.hurt_by is not None
    assert (call.hurt_by.rule, call.hurt_by.message) == ("no-ack", "ACK sip:911@198.51.100.10")
    assert [alarm.alarm.rule for alarm in told.alarms] == ["no-ack"]
    (ended,) = scene.psap(request("BYE", from_tag="psap", to_tag="caller", cseq=2), at_s=34).calls
    assert ended.outcome == "impaired", "what was hurt does not become whole"


def test_a_limit_is_named_as_the_cause() -> None:
    rules = "  - {name: cap, limit: {rate: 1/1h}, action: reject, status: 503}\n" + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="other"))
    (call,) = scene.carrier(request(), at_s=1).calls
    assert (call.outcome, call.attribution) == ("blocked", "limit")


def test_a_blocked_call_whose_retry_passes_is_impaired_in_the_end() -> None:
    rules = "  - {name: cap, limit: {rate: 1/1s}, action: drop}\n" + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="other"))
    assert [c.outcome for c in scene.carrier(request(), at_s=0.1).calls] == ["blocked"]
    assert scene.carrier(request(), at_s=1.1).verdict == "allow"
    scene.psap(response(request(), 200), at_s=3)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=9).calls
    assert call.outcome == "impaired"


@pytest.mark.parametrize(
    ("status", "outcome", "attribution"), [(486, "failed_downstream", "downstream"), (487, "abandoned", "caller")]
)
def test_a_call_that_is_refused_or_given_up(status: int, outcome: str, attribution: str) -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    (call,) = scene.psap(response(invite, status), at_s=1).calls
    assert (call.outcome, call.attribution, call.final_status) == (outcome, attribution, status)


def test_a_challenge_is_not_the_end() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    assert scene.psap(response(invite, 407), at_s=0.1).calls == []
    again = request(cseq=2)
    scene.carrier(again, at_s=0.2)
    scene.psap(response(again, 200, to_tag="p2"), at_s=1)
    (call,) = scene.carrier(request("BYE", to_tag="p2", cseq=3), at_s=5).calls
    assert (call.outcome, scene.engine.stats().emergency_calls) == ("completed", 1)


def test_a_call_that_nobody_answers_fails_downstream_after_its_timer() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request())
    told = scene.carrier(request("OPTIONS", "sip:h", call_id="later"), at_s=40)
    (call,) = told.calls
    assert (call.outcome, call.attribution, call.timestamp) == (
        "failed_downstream", "downstream", "2026-03-01T10:15:34.000000+0000",
    )  # fmt: skip
    (alarm,) = told.alarms
    assert alarm.alarm.code == "emergency_failed_downstream"
    assert "left without an answer" in alarm.alarm.message


def test_a_ringing_call_is_given_longer_than_timer_c() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=1)
    scene.carrier(request("OPTIONS", "sip:h", call_id="later"), at_s=190)
    assert [c.outcome for c in scene.psap(response(invite, 200), at_s=195).calls] == []
    assert [c.outcome for c in scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=196).calls] == ["completed"]


def test_a_text_message_is_completed_by_its_answer() -> None:
    scene = Scene(policy(ALL))
    message = request("MESSAGE", "urn:service:sos")
    scene.carrier(message)
    (call,) = scene.psap(response(message, 200), at_s=1).calls
    assert (call.outcome, call.emergency.emergency_class) == ("completed", "text")


def test_a_blocked_emergency_registration_is_alarmed_without_being_a_call() -> None:
    scene = Scene(policy("  - {name: no-register, when: 'sip.Method == \"REGISTER\"', action: drop}"))
    told = scene.carrier(request("REGISTER", "sip:ims.example", headers=("Contact: <sip:a@b;sos>",)))
    assert [a.alarm.rule for a in told.alarms] == ["no-register"]
    assert told.calls == []


def test_in_dialog_messages_with_other_uris_stay_part_of_the_emergency_call() -> None:
    scene = Scene(policy(ALL))
    invite = request("INVITE", "urn:service:sos", to="<sip:6175550100@h>")
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=1)
    info = request("INFO", "sip:agent7@198.51.100.10", to="<sip:6175550100@h>", to_tag="psap", cseq=2)
    told = scene.carrier(info, at_s=2)
    assert told.decision.emergency is not None
    assert told.decision.emergency.evidence[0].startswith("same call: request_uri urn:service:sos")


def test_an_invented_call_id_inherits_nothing() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request("INVITE", "urn:service:sos"))
    stranger = request("INVITE", "sip:6175550199@h", from_tag="stranger", cseq=9)
    assert scene.carrier(stranger, at_s=1).decision.emergency is None


def test_giving_up_a_blocked_call_is_no_second_alarm() -> None:
    scene = Scene(policy("  - {name: wrong, when: 'sip.Method == \"INVITE\"', action: drop}"))
    assert len(scene.carrier(request(branch="z9hG4bK-x")).alarms) == 1
    told = scene.carrier(request("CANCEL", branch="z9hG4bK-x"), at_s=5)
    assert (told.verdict, told.alarms) == ("drop", [])


@pytest.mark.parametrize(("status", "outcome"), [(503, "failed_downstream"), (487, "abandoned")])
def test_the_lost_ack_of_a_refusal_does_not_make_the_failure_ours(status: int, outcome: str) -> None:
    """It only ends the repeating of the refusal (RFC 3261 §17.2.1)."""
    scene = Scene(policy(drop("ACK")))
    invite = request()
    scene.carrier(invite)
    assert [c.outcome for c in scene.psap(response(invite, status), at_s=1).calls] == [outcome]
    branch = "z9hG4bK-call-1@192.0.2.10-INVITE-1"
    told = scene.carrier(request("ACK", to_tag="psap", branch=branch), at_s=1.1)
    assert (told.verdict, told.calls, told.alarms) == ("drop", [], [])


def test_a_call_that_was_challenged_first_is_hurt_by_the_lost_ack_of_its_answer_only() -> None:
    scene = Scene(policy(drop("ACK")))
    invite, again = request(), request(cseq=2)
    scene.carrier(invite)
    scene.psap(response(invite, 407), at_s=1)
    branch = "z9hG4bK-call-1@192.0.2.10-INVITE-1"
    assert scene.carrier(request("ACK", to_tag="psap", branch=branch), at_s=1.1).calls == []
    scene.carrier(again, at_s=1.2)
    scene.psap(response(again, 200), at_s=2)
    told = scene.carrier(request("ACK", to_tag="psap", cseq=2), at_s=2.1)
    assert ([c.outcome for c in told.calls], len(told.alarms)) == (["impaired"], 1)


@pytest.mark.parametrize("to_tag", ["psap", "guess"])
def test_a_strangers_bye_that_is_blocked_hurts_nobody(to_tag: str) -> None:
    """Whoever is called would refuse it anyway (RFC 3261 §12.2.2)."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    forged = scene.carrier(request("BYE", from_tag="guess", to_tag=to_tag, cseq=9), at_s=5, src=("203.0.113.9", 5060))
    assert (forged.verdict, forged.calls, forged.alarms) == ("drop", [], [])
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=62).calls
    assert (call.outcome, call.attribution) == ("completed", None)


def test_a_strangers_cancel_that_is_blocked_hurts_nobody() -> None:
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    scene.carrier(request())
    forged = scene.carrier(request("CANCEL", from_tag="guess", branch="z9hG4bK-guess"), at_s=1)
    assert (forged.verdict, forged.calls, forged.alarms) == ("drop", [], [])
    assert scene.carrier(request("CANCEL", branch="z9hG4bK-other"), at_s=2).alarms, "the caller's own is another thing"


def test_an_answer_that_nobody_acknowledged_is_an_impaired_call_and_not_our_doing() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=2)
    (call,) = scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=34).calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", None, "downstream")


@pytest.mark.parametrize(("had_a_call_before", "attribution"), [(False, "attack"), (True, "policy")])
def test_an_emergency_call_from_a_banned_address(had_a_call_before: bool, attribution: str) -> None:
    rules = "  - {name: scan, when: 'sip.Method == \"REGISTER\"', action: drop, ban: 1h}\n" + ALL
    scene = Scene(policy(rules))
    if had_a_call_before:
        scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.carrier(request("REGISTER", "sip:h", call_id="r"), at_s=1)
    (call,) = scene.carrier(request(), at_s=2).calls
    assert (call.outcome, call.attribution) == ("blocked", attribution)
    assert call.hurt_by is not None
    assert call.hurt_by.rule == "scan"


def test_every_blocked_call_without_a_call_id_is_told() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}"))
    calls = [request("INVITE", "urn:service:sos", from_tag=f"t{n}").replace(b"Call-ID", b"X-Nothing") for n in range(3)]
    for number, raw in enumerate([*calls, calls[0]]):
        told = scene.carrier(raw, at_s=number)
        expected = 0 if number == 3 else 1
        assert (len(told.alarms), len(told.calls)) == (expected, expected), "the last is a retransmission"
    assert scene.engine.stats().emergency_calls_hurt == 3


def test_the_same_call_id_a_day_later_is_a_new_alarm() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}"))
    assert len(scene.carrier(request()).alarms) == 1
    told = scene.carrier(request(), at_s=86_400)
    assert (len(told.alarms), len(told.calls)) == (1, 1)


def test_what_we_dropped_of_a_call_is_the_cause_whatever_the_called_side_then_says() -> None:
    scene = Scene(policy(drop("PRACK")))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 183), at_s=1)
    scene.carrier(request("PRACK", to_tag="psap", cseq=2), at_s=1.1)
    told = scene.psap(response(invite, 500), at_s=33)
    assert told.alarms == [], "not the called side's fault"
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MidTrafficBlocked", "policy")


def test_a_capture_that_shows_more_of_a_call_we_would_have_blocked_leaves_it_blocked() -> None:
    """The traffic was recorded before the rule existed: its answers are in the capture all the same."""
    for status in (200, 503):
        scene = Scene(policy("  - {name: wrong, when: 'sip.Method == \"INVITE\"', action: drop}\n" + ALL))
        invite = request()
        assert [c.outcome for c in scene.carrier(invite).calls] == ["blocked"]
        answered = scene.psap(response(invite, status), at_s=1)
        ended = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=2)
        assert (answered.calls, answered.alarms, ended.calls) == ([], [], [])


def test_a_caller_who_gave_up_is_known_even_when_nobody_confirms_it() -> None:
    scene = Scene(policy(ALL))
    invite = request(branch="z9hG4bK-x")
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=1)
    scene.carrier(request("CANCEL", branch="z9hG4bK-x"), at_s=5)
    told = scene.carrier(request("OPTIONS", "sip:h", call_id="later"), at_s=400)
    assert ([c.outcome for c in told.calls], told.alarms) == (["abandoned"], [])


def outcomes(told: Told) -> list[str]:
    return [call.outcome for call in told.calls]


def test_retransmissions_do_not_put_off_the_alarm_and_the_deadline_leads_there() -> None:
    """RFC 3261 §17.1.1.2: timer B runs from the first INVITE, the last retransmission comes at 31.5 s."""
    scene = Scene(policy(ALL))
    for at_s in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        assert scene.carrier(request(), at_s=at_s).calls == []
    assert scene.engine.next_deadline() == START + 32 * SECOND
    told = scene.tell(DeadlineReached(), at_s=32)
    assert outcomes(told) == ["failed_downstream"]
    assert [alarm.timestamp for alarm in told.alarms] == ["2026-03-01T10:15:34.000000+0000"]
    assert scene.carrier(request(), at_s=33).calls == [], "it is told once"
    assert scene.tell(DeadlineReached(), at_s=300).calls == []


def test_an_answer_after_the_alarm_passes_and_changes_the_outcome() -> None:
    scene = Scene(policy("  - {name: in, when: 'zone.src == \"carrier\"', action: allow}"))
    invite = request()
    scene.carrier(invite)
    assert outcomes(scene.tell(DeadlineReached(), at_s=32)) == ["failed_downstream"]
    late = scene.psap(response(invite, 200), at_s=40)
    assert (late.verdict, late.reason) == ("allow", "response")
    assert [(call.outcome, call.answered_s) for call in late.calls] == [("in_progress", 40.0)]
    assert outcomes(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=50)) == ["completed"]


def test_a_refusal_after_the_alarm_is_told_with_its_status() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.tell(DeadlineReached(), at_s=32)
    (call,) = scene.psap(response(invite, 503), at_s=40).calls
    assert (call.outcome, call.final_status) == ("failed_downstream", 503)


def test_a_call_that_was_answered_in_time_is_not_overdue() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=31)
    assert scene.tell(DeadlineReached(), at_s=33).outputs == []


def test_a_call_that_rings_for_ever_is_told_after_timer_c_and_may_still_be_answered() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=1)
    assert scene.tell(DeadlineReached(), at_s=200).calls == []
    assert outcomes(scene.tell(DeadlineReached(), at_s=201)) == ["failed_downstream"]


def test_a_second_try_with_another_branch_waits_anew() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request())
    scene.tell(DeadlineReached(), at_s=32)
    scene.carrier(request(cseq=2), at_s=33)
    assert scene.tell(DeadlineReached(), at_s=64).calls == []
    assert outcomes(scene.tell(DeadlineReached(), at_s=65)) == ["failed_downstream"]


def test_a_blocked_call_is_never_overdue() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}"))
    assert outcomes(scene.carrier(request())) == ["blocked"]
    assert scene.tell(DeadlineReached(), at_s=100).calls == []


@pytest.mark.parametrize("method", ["ACK", "BYE", "INFO"])
def test_a_hurt_call_is_still_hurt_when_the_firewall_stops(method: str) -> None:
    scene = Scene(policy(drop(method)))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=2)
    scene.carrier(request(method, to_tag="psap", cseq=2), at_s=10)
    (call,) = scene.stops(at_s=20).calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MidTrafficBlocked", "policy")


NO_OPTIONS = drop("OPTIONS")


def failed_on_a_trunk(scene: Scene, *, at_s: float, status: int = 503) -> Told:
    invite = request(call_id="late")
    scene.carrier(invite, at_s=at_s)
    return scene.psap(response(invite, status), at_s=at_s + 0.1)


def keep_alive(number: int) -> bytes:
    return request("OPTIONS", "sip:192.0.2.10", call_id=f"keep-alive-{number}")


def test_a_call_that_fails_on_a_trunk_whose_keep_alive_we_blocked_is_the_policys() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    told = failed_on_a_trunk(scene, at_s=70)
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("failed_downstream", None, "policy")
    assert call.hurt_by is not None
    assert (call.hurt_by.rule, call.hurt_by.line, call.hurt_by.message) == (
        "no-options",
        9,
        "OPTIONS sip:192.0.2.10",
    )
    (alarm,) = told.alarms
    assert 'had blocked a keep-alive of its trunk before: OPTIONS sip:192.0.2.10; drop by rule "no-options"' in (
        alarm.alarm.message
    )


def test_a_keep_alive_that_passes_since_is_the_end_of_the_cause() -> None:
    rules = "  - {name: cap, when: 'sip.Method == \"OPTIONS\"', limit: {rate: 1/10s, burst: 1}, action: drop}\n" + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=1)
    assert scene.psap(keep_alive(2), at_s=2).verdict == "drop"
    scene.psap(keep_alive(3), at_s=40)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=70).calls] == ["downstream"]


def test_a_keep_alive_the_other_way_says_nothing_of_the_one_that_was_blocked() -> None:
    rules = '  - {name: no-options, when: \'sip.Method == "OPTIONS" and zone.src == "psap"\', action: drop}\n' + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    scene.carrier(response(keep_alive(1)), at_s=20.1)  # of a capture in which the question passed
    scene.carrier(keep_alive(2), at_s=21)
    scene.psap(response(keep_alive(2)), at_s=21.1)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=70).calls] == ["policy"]


@pytest.mark.parametrize("status", [486, 603])
def test_a_called_side_that_says_it_is_busy_was_reached(status: int) -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    told = failed_on_a_trunk(scene, at_s=70, status=status)
    assert [call.attribution for call in told.calls] == ["downstream"]
    assert "keep-alive" not in told.alarms[0].alarm.message


def test_a_keep_alive_that_was_blocked_long_ago_is_no_cause() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=3700).calls] == ["downstream"]


def lost_invite(branch: str) -> ForwardFailed:
    invite = request(branch=branch)
    return ForwardFailed(Datagram(*CARRIER, *PSAP, invite, "TCP"), "no answer within 5 s", downstream=True)


@pytest.mark.parametrize("answered_s", [2.0, 8.0])
def test_a_call_that_another_psap_answers_is_not_lost_with_the_try_at_a_dead_one(answered_s: float) -> None:
    """RFC 3263 §4.3: the caller has gone elsewhere long before a connection is given up."""
    scene = Scene(policy(ALL))
    again = request(branch="z9hG4bK-b")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(again, at_s=1.5)
    answers = response(again, 200)
    if answered_s < 5:
        scene.psap(answers, at_s=answered_s)
    told = scene.tell(lost_invite("z9hG4bK-a"), at_s=5)
    assert [a.alarm.code for a in told.alarms] == ["forward_failed"]
    assert told.calls == []
    if answered_s > 5:
        scene.psap(answers, at_s=answered_s)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=20).calls
    assert (call.outcome, call.problem, call.attribution) == ("completed", None, None)
    assert scene.tell(lost_invite("z9hG4bK-a"), at_s=21).calls == []


def test_a_call_of_which_no_try_reaches_a_psap_has_failed_with_the_last() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(request(branch="z9hG4bK-b"))
    assert scene.tell(lost_invite("z9hG4bK-a"), at_s=5).calls == []
    (call,) = scene.tell(lost_invite("z9hG4bK-b"), at_s=5.1).calls
    assert (call.outcome, call.attribution) == ("failed_downstream", "downstream")
    assert scene.stops(at_s=60).calls == []


def test_a_refusal_is_the_end_when_the_other_try_could_not_be_sent_on() -> None:
    scene = Scene(policy(ALL))
    refused = request(branch="z9hG4bK-b")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(refused)
    scene.tell(lost_invite("z9hG4bK-a"), at_s=5)
    (call,) = scene.psap(response(refused, 503), at_s=6).calls
    assert (call.outcome, call.final_status) == ("failed_downstream", 503)


def test_who_gives_up_a_call_that_could_not_be_sent_on_loses_nothing_more() -> None:
    scene = Scene(policy(ALL))
    cancel = request("CANCEL", branch="z9hG4bK-a")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(cancel, at_s=3)
    (call,) = scene.tell(lost_invite("z9hG4bK-a"), at_s=5).calls
    lost = ForwardFailed(Datagram(*CARRIER, *PSAP, cancel, "TCP"), "no answer within 5 s", downstream=True)
    assert (call.outcome, scene.tell(lost, at_s=5).calls) == ("failed_downstream", [])
