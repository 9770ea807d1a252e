"""Emergency calls that nobody answers: when they have failed, and what a late answer changes."""

import pytest

from firewall.engine.events import DatagramReceived, DeadlineReached
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, request, response
from tests.replay.told import story_of
from tests.scene import ALL, SECOND, START, Scene, Told, drop, policy


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


def test_a_call_that_a_proxy_takes_to_another_psap_where_nobody_answers_is_no_abandoned_one() -> None:
    """RFC 3261 §16.6: a proxy that hunts cancels one branch, and goes on with the next."""
    scene, first, second = Scene(policy(ALL)), request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    told = [scene.carrier(first), scene.psap(response(first, 180), at_s=1)]
    told += [scene.carrier(request("CANCEL", branch="z9hG4bK-a"), at_s=20), scene.carrier(second, at_s=20.1)]
    told += [scene.psap(response(first, 487), at_s=20.2), scene.tell(DeadlineReached(), at_s=53)]
    assert [(call.outcome, call.final_status) for each in told for call in each.calls] == [("failed_downstream", None)]
    (alarm,) = told[-1].alarms
    assert "left without an answer" in alarm.alarm.message
    story = story_of(*told)
    assert story.cause == "sosgate let every message pass; the called side never answered"


@pytest.mark.parametrize(("status", "outcome"), [(200, "completed"), (486, "failed_downstream")])
def test_a_call_that_a_proxy_takes_to_another_psap_after_the_first_is_cancelled_goes_on(
    status: int, outcome: str
) -> None:
    """Also where the proxy waits for the 487 before it goes on; whom the alarm names is who was asked last."""
    scene, first, second = Scene(policy(ALL)), request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    told = [scene.carrier(first), scene.psap(response(first, 180), at_s=1)]
    told += [scene.carrier(request("CANCEL", branch="z9hG4bK-a"), at_s=20), scene.psap(response(first, 487), at_s=20.1)]
    other = Datagram(*CARRIER, "198.51.100.11", 5060, second)
    told += [scene.tell(DatagramReceived(other), at_s=20.2), scene.psap(response(second, status), at_s=25)]
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=50))
    assert [call.outcome for each in told for call in each.calls] == ["abandoned", outcome]
    alarms = [alarm for each in told for alarm in each.alarms]
    assert [alarm.dest_ip for alarm in alarms] == ([] if status == 200 else ["198.51.100.11"])
    assert all("to 198.51.100.11:5060;" in alarm.alarm.message for alarm in alarms)


@pytest.mark.parametrize("cseq", [1, 2])
def test_a_hurt_call_that_goes_to_another_psap_is_told_to_its_end(cseq: int) -> None:
    """By a proxy, or by a caller who counts on (RFC 3261 §8.1.3.5)."""
    lossy = "  - {name: no-100, when: 'sip.Status-Code == 100', action: drop}\n"
    scene, first = Scene(policy(lossy + ALL)), request(branch="z9hG4bK-a")
    second = request(branch="z9hG4bK-b", cseq=cseq)
    told = [scene.carrier(first), *(scene.psap(response(first, status), at_s=1) for status in (100, 503))]
    told += [scene.carrier(second, at_s=2), scene.psap(response(second), at_s=5)]
    told += [scene.carrier(request(method, to_tag="psap"), at_s=at_s) for method, at_s in (("ACK", 5), ("BYE", 50))]
    calls = [(call.outcome, call.answered_s, call.ended_s) for each in told for call in each.calls]
    assert calls == [("impaired", None, None), ("impaired", None, 1), ("impaired", 5, 50)]
    assert scene.engine.stats().emergency_calls == 1


def test_a_blocked_call_that_goes_to_another_psap_when_its_timer_has_run_is_one_call() -> None:
    """RFC 3263 §4.3: who gets no answer for 64*T1 asks the next server."""
    scene = Scene(policy("  - {name: wrong, when: 'ip.dst == 198.51.100.10', action: drop}\n" + ALL))
    other = Datagram(*CARRIER, "198.51.100.11", 5060, request(branch="z9hG4bK-b", cseq=2))
    told = [scene.carrier(request(), at_s=0), scene.tell(DatagramReceived(other), at_s=32.1)]
    told.append(scene.tell(DeadlineReached(), at_s=65))
    assert [(call.outcome, call.started) for each in told for call in each.calls] == [
        ("blocked", "2026-03-01T10:15:02.000000+0000"),
        ("impaired", "2026-03-01T10:15:02.000000+0000"),
    ]


def test_an_answer_that_nobody_acknowledges_is_alarmed_also_where_nobody_hangs_up() -> None:
    """RFC 3261 §13.3.1.4: who answered SHOULD send a BYE after 32 s. What comes later all the same changes it."""
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    for at_s in (5, 5.5, 6.5):
        scene.psap(response(invite), at_s=at_s)
    told = scene.tell(DeadlineReached(), at_s=39)
    assert [(call.outcome, call.attribution) for call in told.calls] == [("impaired", "downstream")]
    assert ["answered, but nobody acknowledged that for 32 s" in each.alarm.message for each in told.alarms] == [True]
    assert outcomes(scene.carrier(request("ACK", to_tag="psap"), at_s=40)) == ["in_progress"]
    assert outcomes(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=50)) == ["completed"]


def test_an_answer_that_comes_only_once_was_acknowledged_on_another_way() -> None:
    """RFC 3261 §13.3.1.4: it is repeated until the ACK comes, which a proxy without Record-Route does not see."""
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    scene.psap(response(invite), at_s=5)
    assert scene.tell(DeadlineReached(), at_s=4000).outputs == []


def test_the_answer_of_a_call_that_rang_is_waited_for_to_be_acknowledged_no_longer_than_that_of_another() -> None:
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    scene.psap(response(invite, 180), at_s=1)
    scene.tell(DeadlineReached(), at_s=33)
    for at_s in (40, 40.5):
        scene.psap(response(invite), at_s=at_s)
    assert scene.engine.next_deadline() == START + 73 * SECOND


def test_a_call_whose_acks_take_another_way_ends_well() -> None:
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    scene.psap(response(invite), at_s=5)
    assert outcomes(scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=100)) == ["completed"]


def test_what_is_said_in_a_call_long_after_its_answer_shows_that_it_was_acknowledged() -> None:
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    for at_s in (5, 5.5):
        scene.psap(response(invite), at_s=at_s)
    assert outcomes(scene.tell(DeadlineReached(), at_s=39)) == ["impaired"]
    assert outcomes(scene.carrier(request("INFO", to_tag="psap", cseq=2), at_s=40)) == ["in_progress"]
    assert outcomes(scene.carrier(request("BYE", to_tag="psap", cseq=3), at_s=50)) == ["completed"]


@pytest.mark.parametrize("statuses", [(), (180,), (401,)])
def test_an_ack_of_its_own_transaction_shows_an_answer_that_nobody_saw_and_that_of_a_refusal_none(
    statuses: tuple[int, ...],
) -> None:
    """RFC 3261 §13.2.2.4. It took another way, or the capture lacks it."""
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    for status in statuses:
        scene.psap(response(invite, status), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=5)
    told = [scene.tell(DeadlineReached(), at_s=300), scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=301)]
    expected = ["failed_downstream"] if 401 in statuses else ["completed"]
    assert [each for one in told for each in outcomes(one)] == expected


def test_an_answer_that_is_acknowledged_is_not_told_again() -> None:
    scene, invite = Scene(policy(ALL)), request()
    scene.carrier(invite)
    scene.psap(response(invite), at_s=5)
    scene.carrier(request("ACK", to_tag="psap"), at_s=5.1)
    assert scene.tell(DeadlineReached(), at_s=4000).outputs == []


def test_the_alarm_of_a_call_that_was_sent_back_and_whose_ack_was_blocked_says_nothing_untrue() -> None:
    scene, invite = Scene(policy(drop("ACK"))), request(branch="z9hG4bK-a")
    scene.carrier(invite)
    scene.psap(response(invite, 401), at_s=1)
    assert scene.carrier(request("ACK", to_tag="psap", branch="z9hG4bK-a"), at_s=1).verdict == "drop"
    (alarm,) = scene.tell(DeadlineReached(), at_s=34).alarms
    assert "; sosgate let every message pass that the call needs; Call-ID" in alarm.alarm.message
    assert alarm.in_iface == "f0", "it names the try that it is about"


def test_copies_of_several_branches_do_not_put_off_the_alarm() -> None:
    scene, branches = Scene(policy(ALL)), (request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b"))
    for at_s in (0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5):
        for branch in branches:
            scene.carrier(branch, at_s=at_s)
    assert len(scene.tell(DeadlineReached(), at_s=32).alarms) == 1


@pytest.mark.parametrize(("status", "told_s"), [(None, 32), (180, 202)])
def test_who_is_silent_beside_one_who_refuses_is_waited_for_as_long_as_alone(status: int | None, told_s: int) -> None:
    scene, refusing, silent = Scene(policy(ALL)), request(branch="z9hG4bK-a"), request(branch="z9hG4bK-b")
    told = [scene.carrier(refusing), scene.carrier(silent), scene.psap(response(refusing, 100, to_tag=None), at_s=1)]
    told += [scene.psap(response(silent, status), at_s=2)] if status is not None else []
    told += [scene.psap(response(refusing, 503), at_s=2.5), scene.tell(DeadlineReached(), at_s=told_s - 1)]
    assert [alarm for each in told for alarm in each.alarms] == []
    assert outcomes(scene.tell(DeadlineReached(), at_s=told_s)) == ["failed_downstream"]


def test_a_blocked_call_is_never_overdue() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}"))
    assert outcomes(scene.carrier(request())) == ["blocked"]
    assert scene.tell(DeadlineReached(), at_s=100).calls == []


def test_a_re_invite_with_the_name_of_its_invite_is_no_other_try() -> None:
    """Some write one branch in every request of a call, and begin with the CSeq that they had."""
    scene, branch = Scene(policy(ALL)), "z9hG4bK-one"
    scene.carrier(request(branch=branch))
    scene.psap(response(request(branch=branch), 486), at_s=1)
    scene.carrier(request(branch=branch, to_tag="psap"), at_s=2)
    assert scene.tell(DeadlineReached(), at_s=100).alarms == []


@pytest.mark.parametrize(("status", "outcome", "alarms"), [(408, "failed_downstream", 1), (200, "in_progress", 0)])
def test_one_refusal_after_the_alarm_is_no_news_where_another_psap_is_still_silent(
    status: int, outcome: str, alarms: int
) -> None:
    """A proxy behind both gives up at Timer B, too, and says so of one branch after the other."""
    scene, branches = Scene(policy(ALL)), [request(branch=f"z9hG4bK-{branch}") for branch in "ab"]
    for branch in branches:
        scene.carrier(branch)
    assert [call.outcome for call in scene.tell(DeadlineReached(), at_s=32).calls] == ["failed_downstream"]
    first = scene.psap(response(branches[0], 408, to_tag="a"), at_s=32.1)
    assert (first.calls, first.alarms, scene.tell(DeadlineReached(), at_s=32.2).calls) == ([], [], [])
    last = scene.psap(response(branches[1], status, to_tag="b"), at_s=32.3)
    assert ([call.outcome for call in last.calls], len(last.alarms)) == ([outcome], alarms)
