"""What the ledger says of emergency calls over a restart: nothing is lost, told twice, or told of others."""

import pytest

from firewall.engine.events import DatagramReceived, DeadlineReached, ForwardFailed
from firewall.net.datagram import Datagram
from tests.engine.restart import a_911_call, log_of, restarted_with
from tests.messages import CARRIER, PSAP, request, response
from tests.scene import ALL, Scene, Told, policy


def test_the_ledger_of_a_call_across_a_restart_goes_on() -> None:
    _, log = a_911_call(180, 200)
    scene = restarted_with(log, at_s=60)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=100).calls
    assert (call.outcome, call.ringing_s, call.answered_s, call.ended_s) == ("completed", 1.0, 1.0, 100.0)
    assert (call.src_ip, call.dest_ip, call.emergency.evidence[0].split()[0]) == (
        "192.0.2.10",
        "198.51.100.10",
        "request_uri",
    )


def test_what_hurt_a_call_before_or_after_the_restart_stays_told() -> None:
    before, log = a_911_call(180, 200)
    hurt = before.carrier(request("INFO", to_tag="psap", cseq=2), at_s=2)
    for past, message in ((log + log_of(hurt), None), (log, request("INFO", to_tag="psap", cseq=2))):
        scene = restarted_with(past, at_s=60)
        if message is not None:
            (at_once,) = scene.carrier(message, at_s=61).calls
            assert at_once.outcome == "impaired"
        (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=100).calls
        assert (call.outcome, call.problem) == ("impaired", "MidTrafficBlocked")
        assert call.hurt_by is not None
        assert call.hurt_by.rule == "no-info"


@pytest.mark.parametrize(("status", "outcomes"), [(302, []), (180, ["impaired"])])
def test_a_call_whose_next_try_was_blocked_stays_blocked_after_a_restart(status: int, outcomes: list[str]) -> None:
    before, invite = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL)), request()
    log = log_of(
        before.carrier(invite), before.psap(response(invite, status), at_s=1), before.carrier(request(cseq=2), at_s=2)
    )
    assert [call.outcome for call in restarted_with(log, at_s=5).stops(at_s=20).calls] == outcomes


def test_a_text_that_waits_for_its_answer_over_a_restart_is_told_as_one_of_its_own() -> None:
    before = Scene(policy(ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    log = log_of(before.carrier(first), before.psap(response(first), at_s=1), before.carrier(second, at_s=9))
    (call,) = restarted_with(log, at_s=10).psap(response(second), at_s=11).calls
    assert (call.outcome, call.answered_s) == ("completed", 2)
    again = restarted_with(log, at_s=10)
    again.carrier(second, at_s=10.5)
    told = again.tell(DeadlineReached(), at_s=100)
    assert [alarm.alarm.code for alarm in told.alarms] == ["emergency_failed_downstream"]


def test_a_text_that_was_answered_in_a_restart_has_not_failed() -> None:
    before, text = Scene(policy(ALL)), request("MESSAGE")
    after, later = restarted_with(log_of(before.carrier(text)), at_s=1), request("MESSAGE", cseq=2)
    told = [after.tell(DeadlineReached(), at_s=30), after.carrier(later, at_s=30), after.psap(response(later), at_s=31)]
    assert [alarm for each in told for alarm in each.alarms] == []
    assert [(call.outcome, call.answered_s) for each in told for call in each.calls] == [("completed", 1)]


@pytest.mark.parametrize("lost", ["request", "answer", "copy"])
def test_a_text_that_was_hurt_before_a_restart_has_nothing_of_the_next_one(lost: str) -> None:
    before = Scene(policy("  - {name: no, when: 'sip.header[\"X-Drop\"]', action: drop}\n" + ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    told = [before.carrier(_marked(first) if lost != "answer" else first)]
    if lost == "copy":
        told.append(before.carrier(first, at_s=0.5))
    if lost != "request":
        told.append(before.psap(_marked(response(first)) if lost == "answer" else response(first), at_s=1))
    told.append(before.tell(DeadlineReached(), at_s=40))
    after = restarted_with(log_of(*told), at_s=50)
    calls = [*after.carrier(second, at_s=51).calls, *after.psap(response(second), at_s=52).calls]
    assert [(call.outcome, call.hurt_by) for call in calls] == [("completed", None)]


def _marked(message: bytes) -> bytes:
    return message.replace(b"\r\n", b"\r\nX-Drop: 1\r\n", 1)


@pytest.mark.parametrize("later_s", [0.5, 3600])
def test_a_call_whose_first_try_was_blocked_is_hurt_after_a_restart_too(later_s: float) -> None:
    """Also where the daemon was killed, so that no record tells how the call stood."""
    before, invite = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 1', action: drop}\n" + ALL)), request()
    log = log_of(before.carrier(invite), before.carrier(request(cseq=2), at_s=later_s))
    after = restarted_with(log, at_s=later_s + 5)
    after.psap(response(request(cseq=2)), at_s=later_s + 6)
    (call,) = after.carrier(request("BYE", to_tag="psap", cseq=3), at_s=later_s + 30).calls
    assert (call.outcome, call.ended_s) == (("impaired", later_s + 30) if later_s < 32 else ("completed", 30))


def test_what_may_have_happened_while_no_daemon_ran_raises_no_alarm() -> None:
    for statuses in ((), (180,)):
        _, log = a_911_call(*statuses)
        quiet = restarted_with(log, at_s=5).tell(DeadlineReached(), at_s=1000)
        assert (quiet.calls, quiet.alarms) == ([], [])
        ended = restarted_with(log, at_s=5).carrier(request("BYE", to_tag="psap", cseq=2), at_s=60)
        assert ([call.outcome for call in ended.calls], ended.alarms) == (["completed"], [])
    _, answered = a_911_call(180, 200)  # its ACK may have passed
    told = restarted_with(answered, at_s=5).psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=60)
    assert ([call.outcome for call in told.calls], told.alarms) == (["completed"], [])


def test_what_was_blocked_of_another_one_with_the_same_call_id_hurts_no_call_after_a_restart_either() -> None:
    scene, invite = Scene(policy("  - {name: no, when: 'ip.src == 203.0.113.66', action: drop}\n" + ALL)), request()
    log = log_of(
        scene.carrier(invite),
        scene.psap(response(invite), at_s=1),
        scene.carrier(request(from_tag="forged", branch="z9hG4bK-forged"), at_s=2, src=("203.0.113.66", 5060)),
    )
    told = restarted_with(log, at_s=20).carrier(request("BYE", to_tag="psap", cseq=3), at_s=30)
    assert [call.outcome for call in told.calls] == ["completed"]


@pytest.mark.parametrize("statuses", [(), (180,)])
@pytest.mark.parametrize(("method", "status"), [("INVITE", 488), ("UPDATE", 200), ("OPTIONS", 200)])
def test_a_call_that_was_answered_while_no_daemon_ran_ends_well_whatever_it_asked_meanwhile(
    statuses: tuple[int, ...], method: str, status: int
) -> None:
    _, log = a_911_call(*statuses)
    scene = restarted_with(log, at_s=5)
    inside = request(method, to_tag="psap", cseq=2)
    told = [scene.carrier(inside, at_s=10), scene.psap(response(inside, status), at_s=11)]
    if method == "INVITE":
        told.append(scene.carrier(request("ACK", to_tag="psap", cseq=2), at_s=11))
    scene = restarted_with(log + log_of(*told), at_s=20) if statuses else scene
    told += [scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=30), scene.tell(DeadlineReached(), at_s=4000)]
    assert [call.outcome for each in told for call in each.calls] == ["completed"]
    assert [call.final_status for each in told for call in each.calls] == [None]
    assert [alarm for each in told for alarm in each.alarms] == []


def test_a_call_that_goes_on_ringing_after_a_restart_is_waited_for() -> None:
    _, log = a_911_call(180)
    scene = restarted_with(log, at_s=5)
    prack = request("PRACK", to_tag="psap", cseq=2)
    told = [scene.carrier(prack, at_s=6), scene.psap(response(prack), at_s=6), scene.tell(DeadlineReached(), at_s=4000)]
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream"]


def test_a_caller_who_still_tries_after_the_restart_is_waited_for() -> None:
    _, log = a_911_call()
    scene = restarted_with(log, at_s=5)
    scene.carrier(request(), at_s=7.5)
    told = scene.tell(DeadlineReached(), at_s=40)
    assert [call.outcome for call in told.calls] == ["failed_downstream"]
    assert [alarm.alarm.code for alarm in told.alarms] == ["emergency_failed_downstream"]


def test_a_late_copy_of_an_earlier_try_does_not_change_who_is_waited_for_after_a_restart() -> None:
    scene, first, second = Scene(policy(ALL)), request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    told = [scene.carrier(first), scene.psap(response(first, 302), at_s=1), scene.carrier(second, at_s=1.1)]
    told += [scene.psap(response(second, 100, to_tag=None), at_s=1.2), scene.carrier(first, at_s=1.5)]
    scene = restarted_with(log_of(*told), at_s=2)
    assert scene.tell(DeadlineReached(), at_s=200).alarms == []
    assert len(scene.tell(DeadlineReached(), at_s=202).alarms) == 1


@pytest.mark.parametrize(
    ("statuses", "silent_s", "words"),
    [
        ((), 32, "pass that the call needs, of those that it saw: it was restarted meanwhile; Call-ID"),
        ((180,), 201, "left without an answer by the called side"),
        ((401,), 66, "challenged with status 401 by the called side, and not tried again"),
    ],
)
def test_a_call_that_waits_over_a_short_restart_and_then_fails_is_told(
    statuses: tuple[int, ...], silent_s: float, words: str
) -> None:
    _, log = a_911_call(*statuses)
    scene = restarted_with(log, at_s=2)
    told = scene.tell(DeadlineReached(), at_s=silent_s)
    assert [call.outcome for call in told.calls] == ["failed_downstream"]
    assert [words in alarm.alarm.message for alarm in told.alarms] == [True]


@pytest.mark.parametrize("status", [180, 302, 401])
@pytest.mark.parametrize("inside", ["ACK", "BYE", "INFO", "INVITE"])
def test_a_call_that_was_answered_in_a_short_restart_has_not_failed(inside: str, status: int) -> None:
    """A call that was sent back or redirected was tried again in it, too."""
    _, log = a_911_call(status)
    scene = restarted_with(log, at_s=2)
    told = [scene.carrier(request(inside, to_tag="psap", cseq=2), at_s=10), scene.tell(DeadlineReached(), at_s=4000)]
    assert [call.outcome for each in told for call in each.calls if call.outcome == "failed_downstream"] == []
    assert [alarm.alarm.code for each in told for alarm in each.alarms if alarm.alarm.code != "emergency_blocked"] == []


def test_an_update_while_it_rings_is_no_sign_of_an_answer_before_a_short_restart() -> None:
    """Phones of mobile networks reserve resources with one (RFC 3312); then it is refused while no daemon runs."""
    before, log = a_911_call(183)
    update = request("UPDATE", to_tag="psap", cseq=2)
    log += log_of(before.carrier(update, at_s=1.1), before.psap(response(update), at_s=1.2))
    told = restarted_with(log, at_s=4).tell(DeadlineReached(), at_s=4000)
    assert [call.outcome for call in told.calls] == ["failed_downstream"]


def test_a_call_that_waited_before_a_long_absence_is_not_told_after_a_later_short_one() -> None:
    """It may have been answered in the long one, or the run between would have told that it failed."""
    _, log = a_911_call(180)
    between = restarted_with(log, at_s=700)
    other = between.carrier(request("OPTIONS", call_id="other"), at_s=800)
    after = restarted_with(log + log_of(other, between.stops(at_s=801)), at_s=802)
    assert after.tell(DeadlineReached(), at_s=1000).alarms == []


@pytest.mark.parametrize("statuses", [(), (180,), (302,), (401,)])
def test_the_ack_of_a_refusal_after_a_short_restart_is_no_sign_of_an_answer(statuses: tuple[int, ...]) -> None:
    """It is of the INVITE's own transaction (RFC 3261 §17.1.1.3); the refusal may have passed unseen."""
    _, log = a_911_call(*statuses)
    scene, invite = restarted_with(log, at_s=2), "z9hG4bK-call-1@192.0.2.10-INVITE-1"
    told = scene.carrier(request("ACK", to_tag="psap", branch=invite), at_s=3), scene.tell(DeadlineReached(), at_s=4000)
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream"]


def test_a_cancel_of_what_nobody_asked_does_not_make_the_caller_give_up_over_a_restart() -> None:
    """Whoever gets it answers 481 (RFC 3261 §9.2): the call is left without an answer, and that is alarmed."""
    before, log = a_911_call(100)
    log += log_of(before.carrier(request("CANCEL", branch="z9hG4bK-other"), at_s=1.5, src=("192.0.2.66", 5060)))
    told = restarted_with(log, at_s=3).tell(DeadlineReached(), at_s=300)
    assert [call.outcome for call in told.calls] == ["failed_downstream"]
    assert [alarm.alarm.code for alarm in told.alarms] == ["emergency_failed_downstream"]


def test_an_answer_that_is_acknowledged_late_after_a_restart_is_nobodys_doing() -> None:
    before, log = a_911_call(200)
    log += log_of(before.tell(DeadlineReached(), at_s=34))
    scene = restarted_with(log, at_s=36)
    scene.carrier(request("ACK", to_tag="psap"), at_s=37)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls
    assert (call.outcome, call.attribution) == ("completed", None)


def test_a_text_before_a_restart_has_not_the_answer_of_an_earlier_one() -> None:
    before, (first, second) = Scene(policy(ALL)), (request("MESSAGE", cseq=number) for number in (1, 2))

    def over_tcp(sender: tuple[str, int], receiver: tuple[str, int], message: bytes, at_s: float) -> Told:
        return before.tell(DatagramReceived(Datagram(*sender, *receiver, message, "TCP")), at_s=at_s)

    log = log_of(
        over_tcp(CARRIER, PSAP, first, 0),
        over_tcp(CARRIER, PSAP, second, 1),
        over_tcp(PSAP, CARRIER, response(first), 2),
    )
    told = restarted_with(log, at_s=3).tell(DeadlineReached(), at_s=40)
    assert [call.outcome for call in told.calls] == ["failed_downstream"]


def test_a_try_before_a_restart_has_not_the_refusal_of_an_earlier_one() -> None:
    scene, log = a_911_call(302)
    again = scene.carrier(request(cseq=2), at_s=2)
    told = restarted_with(log + log_of(again), at_s=3).tell(DeadlineReached(), at_s=40)
    assert [(call.outcome, call.final_status) for call in told.calls] == [("failed_downstream", None)]


def test_a_try_after_one_that_was_told_as_unanswered_goes_on_over_a_restart() -> None:
    """RFC 3263 §4.3: who got no answer for 32 s tries the next server."""
    before, log = a_911_call()
    again = request(cseq=2)
    told = [before.tell(DeadlineReached(), at_s=32), before.carrier(again, at_s=32)]
    scene = restarted_with(log + log_of(*told), at_s=33)
    scene.psap(response(again), at_s=34)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=60).calls
    assert (call.outcome, call.answered_s) == ("completed", 34)


def test_a_try_that_is_blocked_after_one_that_was_told_as_unanswered_is_told_once_over_a_restart() -> None:
    before, again = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL)), request(cseq=2)
    told = [before.carrier(request()), before.tell(DeadlineReached(), at_s=32), before.carrier(again, at_s=32)]
    after = Scene(before.engine.policy, takeover=True, past=log_of(*told), at_s=33)
    later = [after.carrier(again, at_s=33.5), after.tell(DeadlineReached(), at_s=500)]
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream", "blocked"]
    assert [call for each in later for call in each.calls] == []


def test_a_callback_that_is_blocked_is_told_once_over_a_restart() -> None:
    rules = "  - {name: no, when: 'emergency.class == \"callback\"', action: drop}\n" + ALL
    before = Scene(policy(rules))
    back = request(uri="sip:6175550123@192.0.2.10", call_id="back", from_uri="sip:psap@198.51.100.10")
    told = [before.carrier(request()), before.psap(response(request(), 486), at_s=1), before.psap(back, at_s=60)]
    after = Scene(before.engine.policy, takeover=True, past=log_of(*told), at_s=60.3)
    assert [call.outcome for each in told for call in each.calls] == ["failed_downstream", "blocked"]
    again = after.psap(back, at_s=60.5)
    assert (again.verdict, again.alarms, again.calls) == ("drop", [], [])
    assert after.stops(at_s=61).calls == []


def test_a_refused_call_whose_next_try_was_made_in_a_restart_is_told_as_answered() -> None:
    _, log = a_911_call(503)
    scene, again = restarted_with(log, at_s=3), request(cseq=2)
    scene.psap(response(again, 180), at_s=3.5)
    scene.psap(response(again), at_s=5)
    scene.carrier(request("ACK", to_tag="psap", cseq=2), at_s=5.1)
    stopped, ended = scene.stops(at_s=20), scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=60)
    told = [(call.outcome, call.answered_s, call.ended_s) for call in (*stopped.calls, *ended.calls)]
    assert told == [("in_progress", 5, None), ("completed", 5, 60)]


def test_a_branch_that_refused_before_a_restart_ends_no_call_that_rings_at_another() -> None:
    before, busy, ringing = Scene(policy(ALL)), request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    told = [before.carrier(busy), before.carrier(ringing), before.psap(response(ringing, 180, to_tag="b"), at_s=1)]
    told.append(before.psap(response(busy, 486, to_tag="a"), at_s=2))
    scene = restarted_with(log_of(*told), at_s=3)
    assert scene.tell(DeadlineReached(), at_s=60).alarms == []
    scene.psap(response(ringing, to_tag="b"), at_s=61)
    (call,) = scene.carrier(request("BYE", to_tag="b", cseq=2), at_s=90).calls
    assert (call.outcome, call.final_status) == ("completed", 200)


def test_a_challenge_that_only_comes_again_ends_no_later_try_in_the_log_either() -> None:
    scene, log = a_911_call(401)
    again = scene.carrier(request(cseq=2), at_s=2), scene.psap(response(request(), 401), at_s=2.5)
    told = restarted_with(log + log_of(*again), at_s=3).tell(DeadlineReached(), at_s=40)
    assert [(call.outcome, call.final_status) for call in told.calls] == [("failed_downstream", None)]


def test_a_refusal_after_a_restart_of_a_call_that_was_told_as_unanswered_is_told() -> None:
    scene, log = a_911_call()
    overdue = scene.tell(DeadlineReached(), at_s=33)
    told = restarted_with(log + log_of(overdue), at_s=34)
    assert told.tell(DeadlineReached(), at_s=39).calls == []
    (call,) = told.psap(response(request(), 486), at_s=40).calls
    assert (call.outcome, call.final_status) == ("failed_downstream", 486)


@pytest.mark.parametrize("has_trunk_down", [True, False])
def test_a_late_answer_after_a_restart_is_that_of_a_call_which_nobody_hurt(has_trunk_down: bool) -> None:
    scene, log = Scene(policy("  - {name: no, when: 'sip.Method == \"OPTIONS\"', action: drop}\n" + ALL)), []
    if has_trunk_down:
        log = log_of(scene.carrier(request(uri="sip:1@h", call_id="x")), scene.carrier(request("OPTIONS", call_id="o")))
    log += log_of(scene.carrier(request(), at_s=1), scene.tell(DeadlineReached(), at_s=34))
    after = restarted_with(log, at_s=35)
    told = [after.psap(response(request()), at_s=36), after.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60)]
    calls = [call for each in told for call in each.calls]
    assert [(call.outcome, call.attribution, call.hurt_by) for call in calls] == [
        ("in_progress", None, None),
        ("completed", None, None),
    ]


@pytest.mark.parametrize(("method", "outcome"), [("BYE", "completed"), ("UPDATE", "in_progress")])
def test_a_call_that_was_told_as_failed_after_a_restart_and_goes_on_all_the_same_is_told_anew(
    method: str, outcome: str
) -> None:
    _, log = a_911_call()
    scene = restarted_with(log, at_s=2)
    overdue = scene.tell(DeadlineReached(), at_s=33)
    goes_on = scene.carrier(request(method, to_tag="psap", cseq=2), at_s=60)
    assert [call.outcome for told in (overdue, goes_on) for call in told.calls] == ["failed_downstream", outcome]


@pytest.mark.parametrize("status", [200, 401])
def test_a_text_that_is_blocked_behind_another_one_is_told_once_over_a_restart(status: int) -> None:
    before = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    log = log_of(before.carrier(first), before.psap(response(first, status), at_s=1), before.carrier(second, at_s=2))
    after = Scene(before.engine.policy, takeover=True, past=log, at_s=3)
    assert [*after.carrier(second, at_s=3.5).calls, *after.stops(at_s=5).calls] == []
    third = request("MESSAGE", cseq=3)
    told = [after.carrier(third, at_s=6), after.psap(response(third), at_s=7)]
    assert [(call.outcome, call.hurt_by) for each in told for call in each.calls] == [("completed", None)]


def test_an_answer_that_comes_again_after_a_restart_was_not_acknowledged_in_it() -> None:
    _, log = a_911_call(200)
    scene = restarted_with(log, at_s=2)
    scene.psap(response(request()), at_s=5)
    told = scene.tell(DeadlineReached(), at_s=40)
    assert [(call.outcome, call.attribution) for call in told.calls] == [("impaired", "downstream")]


def test_a_text_that_was_challenged_before_a_restart_and_is_not_sent_again_has_failed() -> None:
    before, text = Scene(policy(ALL)), request("MESSAGE")
    log = log_of(before.carrier(text), before.psap(response(text, 407), at_s=1))
    told = restarted_with(log, at_s=2).tell(DeadlineReached(), at_s=40)
    assert [(call.outcome, call.final_status) for call in told.calls] == [("failed_downstream", 407)]


def test_an_answer_that_was_told_as_never_acknowledged_is_so_when_the_call_ends_after_a_restart() -> None:
    before, log = a_911_call(200)
    again, told = before.psap(response(request()), at_s=5), before.tell(DeadlineReached(), at_s=40)
    assert [call.outcome for call in told.calls] == ["impaired"]
    scene = restarted_with(log + log_of(again, told), at_s=50)
    assert scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls == []


def test_a_call_that_could_not_be_sent_on_is_told_as_blocked_once_over_a_restart() -> None:
    before = Scene(policy(ALL))
    passed = before.carrier(request())
    lost = before.tell(ForwardFailed(passed.forwarded[0], "No buffer space available"), at_s=0)
    assert [call.outcome for call in lost.calls] == ["blocked"]
    assert restarted_with(log_of(passed, lost), at_s=2).stops(at_s=60).calls == []


@pytest.mark.parametrize("is_restarted", [False, True])
def test_who_calls_again_after_a_call_whose_answer_nobody_acknowledged_begins_another(is_restarted: bool) -> None:
    scene, log = a_911_call(200)
    told = [scene.psap(response(request()), at_s=5), scene.tell(DeadlineReached(), at_s=40)]
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60))
    if is_restarted:
        scene = restarted_with(log + log_of(*told), at_s=61)
    again = request(from_tag="again", branch="z9hG4bK-again")
    scene.carrier(again, at_s=62)
    scene.psap(response(again), at_s=63)
    scene.carrier(request("ACK", from_tag="again", to_tag="psap"), at_s=64)
    (call,) = scene.carrier(request("BYE", from_tag="again", to_tag="psap", cseq=2), at_s=70).calls
    assert (call.outcome, call.answered_s, call.ended_s) == ("completed", 1, 8)
