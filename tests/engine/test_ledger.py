"""The emergency-call ledger: one story for each attempt."""

import pytest

from firewall.engine.events import DeadlineReached
from tests.messages import request, response
from tests.scene import ALL, Scene, drop, policy

NO_SECOND = "  - {name: no-second, when: 'sip.CSeq.seq == 2', action: drop}\n"


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


@pytest.mark.parametrize("status", [401, 407, 422, 494])
def test_a_challenge_is_not_the_end(status: int) -> None:
    """Nor is a session that the called side wants longer (RFC 4028 §7.3), or security to agree on (RFC 3329)."""
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    assert scene.psap(response(invite, status), at_s=0.1).calls == []
    again = request(cseq=2)
    scene.carrier(again, at_s=0.2)
    scene.psap(response(again, 200, to_tag="p2"), at_s=1)
    (call,) = scene.carrier(request("BYE", to_tag="p2", cseq=3), at_s=5).calls
    assert (call.outcome, scene.engine.stats().emergency_calls) == ("completed", 1)


def test_a_call_that_is_sent_back_and_not_tried_again_has_failed() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 422), at_s=0.1)
    (alarm,) = scene.tell(DeadlineReached(), at_s=100).alarms
    assert "sent back with status 422 by the called side, and not tried again" in alarm.alarm.message


def test_a_copy_of_a_refused_try_that_passes_is_no_second_try_and_no_second_failure() -> None:
    """The refusal was lost behind the firewall, so that the INVITE comes again (RFC 3261 §17.1.1.2)."""
    scene, invite = Scene(policy(ALL)), request()
    told = [scene.carrier(invite), scene.psap(response(invite, 486), at_s=1)]
    told += [scene.carrier(invite, at_s=1.5), scene.psap(response(invite, 486), at_s=1.6)]
    told.append(scene.tell(DeadlineReached(), at_s=200))
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream"]
    assert len([alarm for each in told for alarm in each.alarms]) == 1


@pytest.mark.parametrize(("rule", "outcomes"), [(ALL, ["completed"]), (NO_SECOND + ALL, ["blocked"])])
def test_a_late_copy_of_a_text_is_no_other_text_and_takes_no_part_in_one(rule: str, outcomes: list[str]) -> None:
    scene, first, second = Scene(policy(rule)), request("MESSAGE"), request("MESSAGE", cseq=2)
    told = [scene.carrier(first), scene.psap(response(first), at_s=1), scene.carrier(second, at_s=2)]
    told += [scene.psap(response(second), at_s=3)] if rule == ALL else []
    told += [scene.carrier(first, at_s=4), scene.tell(DeadlineReached(), at_s=200)]
    assert [call.outcome for each in told for call in each.calls] == ["completed", *outcomes]


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


def test_a_blocked_bye_that_crosses_the_other_sides_hurts_nobody() -> None:
    rule = '  - {name: no-bye, when: \'sip.Method == "BYE" and zone.src == "psap"\', action: drop}\n'
    scene, invite = Scene(policy(rule + ALL)), request()
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=30).calls
    crossing = scene.psap(request("BYE", from_tag="psap", to_tag="caller", cseq=7), at_s=30.01)
    assert (crossing.verdict, crossing.calls, crossing.alarms) == ("drop", [], [])
    assert call.outcome == "completed"


def test_a_bye_that_is_blocked_when_it_comes_again_with_credentials_hurts_the_call() -> None:
    scene = Scene(policy("  - {name: late, when: sip.Authorization, action: drop}\n" + ALL))
    scene.carrier(invite := request())
    scene.psap(response(invite), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=2)
    bye = request("BYE", to_tag="psap", cseq=2)
    scene.carrier(bye, at_s=30)
    scene.psap(response(bye, 401), at_s=30.1)
    told = scene.carrier(request("BYE", to_tag="psap", cseq=3, headers=("Authorization: Digest x",)), at_s=30.2)
    assert [(call.outcome, call.hurt_by and call.hurt_by.rule) for call in told.calls] == [("impaired", "late")]


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


@pytest.mark.parametrize(("status", "outcome"), [(200, "impaired"), (486, "failed_downstream")])
def test_a_cancel_that_is_blocked_behind_the_answer_makes_nothing_ours(status: int, outcome: str) -> None:
    """RFC 3261 §9.1: it has no effect then. The answer was lost on its way to the caller."""
    scene, invite = Scene(policy(drop("CANCEL"))), request(branch="z9hG4bK-i")
    told = [scene.carrier(invite), scene.psap(response(invite, status), at_s=1)]
    late = scene.carrier(request("CANCEL", branch="z9hG4bK-i"), at_s=20)
    told.append(scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=33))
    assert (late.verdict, late.calls, late.alarms) == ("drop", [], [])
    assert [(call.outcome, call.attribution) for each in told for call in each.calls] == [(outcome, "downstream")]


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


def test_a_try_that_is_blocked_after_an_unanswered_one_is_blocked_whatever_a_capture_shows() -> None:
    second = "  - {name: second, when: 'sip.Method == \"INVITE\" and sip.CSeq.seq == 2', action: drop}\n"
    scene, again = Scene(policy(second + ALL)), request(cseq=2)
    told = [scene.carrier(request()), scene.tell(DeadlineReached(), at_s=32), scene.carrier(again, at_s=32)]
    told += [scene.psap(response(again), at_s=33), scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=50)]
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream", "blocked"]


def test_a_caller_who_gave_up_is_known_even_when_nobody_confirms_it() -> None:
    scene = Scene(policy(ALL))
    invite = request(branch="z9hG4bK-x")
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=1)
    scene.carrier(request("CANCEL", branch="z9hG4bK-x"), at_s=5)
    told = scene.carrier(request("OPTIONS", "sip:h", call_id="later"), at_s=400)
    assert ([c.outcome for c in told.calls], told.alarms) == (["abandoned"], [])


@pytest.mark.parametrize("method", ["ACK", "BYE", "INFO"])
def test_a_hurt_call_is_still_hurt_when_the_firewall_stops(method: str) -> None:
    scene = Scene(policy(drop(method)))
    invite = request()
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=2)
    scene.carrier(request(method, to_tag="psap", cseq=2), at_s=10)
    (call,) = scene.stops(at_s=20).calls
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MidTrafficBlocked", "policy")


STRANGER = ("203.0.113.66", 5060)
NO_STRANGERS = "  - {name: no-strangers, when: 'ip.src == 203.0.113.66', action: drop}\n" + ALL


@pytest.mark.parametrize("status", [180, 200])
def test_who_is_blocked_with_the_call_id_of_an_emergency_call_is_another_call(status: int) -> None:
    scene = Scene(policy(NO_STRANGERS))
    invite, forged = request(), request(from_tag="forged", branch="z9hG4bK-forged")
    told = [scene.carrier(invite), scene.psap(response(invite, status), at_s=1)]
    told += [scene.carrier(forged, at_s=at_s, src=STRANGER) for at_s in (2, 2.5, 3.5)]
    told += [scene.psap(response(invite), at_s=20), scene.carrier(request("ACK", to_tag="psap"), at_s=20)]
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=90))
    assert [(call.src_ip, call.outcome) for each in told for call in each.calls] == [
        ("203.0.113.66", "blocked"),
        ("192.0.2.10", "completed"),
    ]
    assert [alarm.src_ip for each in told for alarm in each.alarms] == ["203.0.113.66"]


def test_a_call_that_the_called_side_passes_on_with_a_tag_of_its_own_is_the_same_one() -> None:
    scene = Scene(policy("  - {name: no, when: 'ip.src == 198.51.100.10 and sip.Method', action: drop}\n" + ALL))
    invite, onward = request(), request(from_tag="sbc", branch="z9hG4bK-sbc")
    told = [scene.carrier(invite), scene.psap(response(invite, 100, to_tag=None), at_s=0.1)]
    told += [scene.psap(onward, at_s=0.2), scene.psap(response(invite, 503), at_s=32)]
    assert [call.outcome for each in told for call in each.calls] == ["blocked", "impaired"]
    assert {call.attribution for each in told for call in each.calls} == {"policy"}


def test_a_second_call_with_the_call_id_of_one_that_goes_on_is_another_also_from_the_same_proxy() -> None:
    scene = Scene(policy("  - {name: no, when: 'sip.Via.branch == \"z9hG4bK-2\"', action: drop}\n" + ALL))
    invite = request()
    told = [scene.carrier(invite), scene.psap(response(invite), at_s=1), scene.carrier(request("ACK", to_tag="psap"))]
    told.append(scene.carrier(request(from_tag="other", branch="z9hG4bK-2"), at_s=2))
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=9))
    assert [call.outcome for each in told for call in each.calls] == ["blocked", "completed"]
    assert [call.hurt_by is None for each in told for call in each.calls] == [False, True]


def test_a_call_whose_call_id_another_one_was_blocked_with_before_is_a_call_like_any_other() -> None:
    scene = Scene(policy(NO_STRANGERS))
    invite = request()
    told = [scene.carrier(request(from_tag="forged", branch="z9hG4bK-forged"), src=STRANGER)]
    told += [scene.carrier(invite, at_s=1), scene.psap(response(invite, 503), at_s=2)]
    assert [(call.src_ip, call.outcome) for each in told for call in each.calls] == [
        ("203.0.113.66", "blocked"),
        ("192.0.2.10", "failed_downstream"),
    ]


def test_who_cancels_what_nobody_asked_gives_no_call_up() -> None:
    scene = Scene(policy(ALL))
    told = [scene.carrier(request()), scene.psap(response(request(), 180), at_s=1)]
    told.append(scene.carrier(request("CANCEL", from_tag="forged", branch="z9hG4bK-forged"), at_s=2))
    told.append(scene.tell(DeadlineReached(), at_s=300))
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream"]
    assert [alarm.alarm.code for each in told for alarm in each.alarms] == ["emergency_failed_downstream"]


def test_the_answer_to_an_earlier_text_is_none_to_the_one_that_is_waited_for() -> None:
    scene = Scene(policy(ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    told = [scene.carrier(first), scene.carrier(second, at_s=1), scene.psap(response(first), at_s=2)]
    told.append(scene.tell(DeadlineReached(), at_s=40))
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream"]


@pytest.mark.parametrize("lost", ["INVITE", "ACK"])
def test_a_call_that_is_tried_again_has_not_ended_with_the_refusal(lost: str) -> None:
    scene = Scene(
        policy(f"  - {{name: no, when: 'sip.Method == \"{lost}\" and sip.CSeq.seq == 2', action: drop}}\n{ALL}")
    )
    scene.carrier(request())
    (refused,) = scene.psap(response(request(), 503), at_s=8).calls
    told = [scene.carrier(request(cseq=2), at_s=12), scene.psap(response(request(cseq=2)), at_s=13)]
    told.append(scene.carrier(request("ACK", to_tag="psap", cseq=2), at_s=14))
    (hurt,) = [call for each in told for call in each.calls]
    assert (refused.ended_s, hurt.ended_s) == (8, None)


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
def test_what_is_blocked_behind_something_older_is_told_once_however_long_its_copies_come(method: str) -> None:
    scene = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL))
    scene.carrier(request(method))
    scene.psap(response(request(method), 200 if method == "MESSAGE" else 503), at_s=0.1)
    told = [scene.carrier(request(method, cseq=2), at_s=3 + later) for later in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5)]
    assert [call.outcome for each in told for call in each.calls] == ["blocked"]


@pytest.mark.parametrize("step_s", [86400, -86400])
def test_a_call_has_begun_when_the_clock_says_so_also_after_it_was_set(step_s: int) -> None:
    scene = Scene(policy(drop("INVITE")))
    scene.carrier(request("OPTIONS", call_id="keep-alive"))
    scene.engine.clock_was_set(step_s * 10**9)
    told = scene.carrier(request(), at_s=step_s + 1)
    assert [call.started for call in told.calls] == [told.decision.timestamp]
    assert [call.began for call in scene.engine.calls() if call.hurt] == [told.decision.timestamp]
