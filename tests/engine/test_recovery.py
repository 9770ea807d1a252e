"""Calls in progress, read back from the decision log of an earlier run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.events import CallsRecovered, DeadlineReached
from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.engine.recovery import recovered_calls
from tests.messages import request, response
from tests.scene import ALL, Scene, Told, policy

INVITES_ONLY = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
CALLER = "sip:6175550123@192.0.2.10"


def log_of(*told: Told) -> list[bytes]:
    return [encode(o.record) for t in told for o in t.outputs if isinstance(o, Write)]


def restarted(log: list[bytes], *, at_s: float) -> Scene:
    scene = Scene(policy(INVITES_ONLY))
    scene.tell(CallsRecovered(tuple(recovered_calls(log))), at_s=at_s)
    return scene


def an_answered_call(uri: str = "sip:6175550199@h") -> list[bytes]:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri=uri)
    return log_of(
        scene.carrier(invite), scene.psap(response(invite, 180), at_s=1), scene.psap(response(invite), at_s=2)
    )


def test_a_call_that_outlived_the_daemon_is_known_again() -> None:
    scene = restarted(an_answered_call(), at_s=7200)
    bye = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=7201)
    assert (bye.reason, bye.decision.dialog.state if bye.decision.dialog else None) == ("in_dialog", "confirmed")
    assert scene.psap(response(request("BYE", to_tag="psap", cseq=2)), at_s=7202).reason == "response"


def test_an_emergency_call_stays_one_whatever_its_later_messages_say() -> None:
    scene = restarted(an_answered_call("urn:service:sos"), at_s=60)
    info = request("INFO", "sip:h", to="<sip:agent@h>", from_tag="psap", to_tag="caller", cseq=3)
    told = scene.psap(info, at_s=61)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "call"


def test_the_end_of_an_emergency_call_may_come_again_after_a_restart() -> None:
    log, scene = an_answered_call("urn:service:sos"), Scene(policy(INVITES_ONLY + "\n  - {name: all, action: allow}"))
    bye = request("BYE", "sip:u@192.0.2.10", to="<sip:u@192.0.2.10>", from_tag="psap", to_tag="caller", cseq=7)
    log += log_of(scene.psap(bye, at_s=10))
    assert restarted(log, at_s=11).psap(bye, at_s=12).decision.emergency is not None
    assert restarted(log, at_s=80).psap(bye, at_s=81).decision.emergency is None


def test_a_callback_is_known_after_a_restart_for_the_rest_of_its_time() -> None:
    log = an_answered_call("urn:service:sos")
    callback = request("INVITE", CALLER, call_id="back", from_tag="p")
    told = restarted(log, at_s=60).psap(callback, at_s=61)
    assert told.decision.emergency is not None
    assert told.decision.emergency.emergency_class == "callback"
    assert restarted(log, at_s=2000).psap(callback, at_s=2001).decision.emergency is None


def test_who_called_with_the_call_id_of_another_takes_not_its_place_in_the_log_either() -> None:
    scene = Scene(policy(INVITES_ONLY))
    first = request(uri="urn:service:sos")
    second = request(uri="urn:service:sos", from_uri="sip:5085550177@192.0.2.10", from_tag="other")
    log = log_of(scene.carrier(first), scene.carrier(second, at_s=1), scene.psap(response(first), at_s=2))
    log += log_of(scene.carrier(request("INFO", to_tag="psap", cseq=2), at_s=1500))
    back = {
        number: request("INVITE", f"tel:{number}", call_id="back", from_tag="p") for number in (6175550123, 5085550177)
    }
    for at_s, expected in ((1600, [True, True]), (2000, [True, False])):
        found = [
            restarted(log, at_s=at_s).psap(each, at_s=at_s).decision.emergency is not None for each in back.values()
        ]
        assert found == expected


def test_who_hides_its_number_is_called_back_after_a_restart_too_and_so_is_who_was_blocked() -> None:
    number = ("P-Asserted-Identity: <tel:+16175550123>",)
    invite = request(uri="urn:service:sos", from_uri="sip:anonymous@anonymous.invalid", headers=number)
    callback = request("INVITE", "sip:+16175550123@h", call_id="back", from_tag="p")
    for rules in (INVITES_ONLY, "  - {name: none, action: drop}"):
        log = log_of(Scene(policy(rules)).carrier(invite))
        assert restarted(log, at_s=60).psap(callback, at_s=61).decision.emergency is not None


@pytest.mark.parametrize("status", [None, 100, 180])
def test_who_gives_up_while_it_rings_is_heard_after_a_restart(status: int | None) -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h", branch="z9hG4bK-x")
    log = log_of(scene.carrier(invite))
    if status is not None:
        log += log_of(scene.psap(response(invite, status, to_tag="psap" if status > 100 else None), at_s=1))
    again = restarted(log, at_s=5)
    cancel = request("CANCEL", "sip:6175550199@h", branch="z9hG4bK-x")
    assert again.carrier(cancel, at_s=6).reason == "cancel"
    assert again.psap(response(cancel), at_s=6).reason == "response"
    assert again.psap(response(invite, 487), at_s=7).reason == "response"
    late = restarted(log, at_s=300)
    assert late.carrier(cancel, at_s=301).reason == "default"


def test_an_emergency_call_that_waits_in_a_queue_is_answered_after_a_restart() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="urn:service:sos", to="<sip:psap@h>")
    log = log_of(scene.carrier(invite), scene.psap(response(invite, 183), at_s=1))
    failed = log_of(scene.tell(DeadlineReached(), at_s=300))
    for lines in (log, log + failed):
        told = restarted(lines, at_s=900).psap(response(invite), at_s=901)
        assert (told.reason, told.decision.emergency is not None) == ("response", True)


def test_a_refused_call_is_not_known_again() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h", branch="z9hG4bK-x")
    log = log_of(
        scene.carrier(invite), scene.psap(response(invite, 180), at_s=1), scene.psap(response(invite, 486), at_s=2)
    )
    assert restarted(log, at_s=5).engine.calls() == []


def test_the_transfer_that_was_asked_for_before_a_restart_is_part_of_the_emergency() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    invite = request(uri="urn:service:sos")
    refer = request("REFER", "sip:h", to="<x>", from_tag="psap", to_tag="caller", cseq=9,
                    headers=("Refer-To: <sip:fire@198.51.100.20>",))  # fmt: skip
    log = log_of(scene.carrier(invite), scene.psap(response(invite), at_s=1), scene.psap(refer, at_s=30))
    transfer = request("INVITE", "sip:fire@198.51.100.20", call_id="transfer")
    assert restarted(log, at_s=40).carrier(transfer, at_s=41).decision.emergency is not None
    assert restarted(log, at_s=300).carrier(transfer, at_s=301).decision.emergency is None


def test_who_only_knows_the_call_id_has_transferred_no_call_before_a_restart() -> None:
    before, log = a_911_call(200)
    refer = request("REFER", "sip:h", from_tag="x", to_tag="y", cseq=9, headers=("Refer-To: <sip:x@h>",))
    scene = restarted_with(log + log_of(before.carrier(refer, at_s=3)), at_s=4)
    assert scene.carrier(request(uri="sip:x@h", call_id="leg"), at_s=5).decision.emergency is None


def test_the_time_for_a_callback_goes_on_with_a_call_that_outlived_the_daemon() -> None:
    scene = restarted(an_answered_call("urn:service:sos"), at_s=60)
    scene.carrier(request("BYE", "sip:h", to="<urn:service:sos>", to_tag="psap", cseq=2), at_s=7200)
    callback = request("INVITE", CALLER, call_id="back", from_tag="p")
    assert scene.psap(callback, at_s=7260).decision.emergency is not None


def test_the_dialog_of_a_caller_without_a_tag_is_known_again() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h", from_tag=None)
    again = restarted(log_of(scene.carrier(invite), scene.psap(response(invite), at_s=1)), at_s=60)
    bye = request("BYE", "sip:h", to="<sip:6175550199@h>", from_tag=None, to_tag="psap", cseq=2)
    assert again.carrier(bye, at_s=61).reason == "in_dialog"


def test_the_dialog_of_a_called_side_without_a_tag_is_known_again() -> None:
    """It has no To tag either, so that nothing takes its BYE for one of a call of before the restart."""
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h")
    again = restarted(log_of(scene.carrier(invite), scene.psap(response(invite, to_tag=None), at_s=1)), at_s=60)
    assert again.carrier(request("BYE", "sip:h", cseq=2), at_s=61).reason == "in_dialog"


def test_an_answer_that_lost_the_tag_of_its_caller_makes_no_dialog_after_a_restart() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="urn:service:sos")
    answer = response(invite)
    bye = request("BYE", "sip:h", to_tag="psap", cseq=2)
    log = log_of(
        scene.carrier(invite),
        scene.psap(response(invite, 180), at_s=1),
        scene.psap(answer.replace(b";tag=caller", b""), at_s=2),
        scene.carrier(bye, at_s=3),
    )
    assert restarted(log, at_s=60).engine.calls() == []


def test_an_ended_call_is_not_known_again() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request(uri="sip:6175550199@h")
    log = log_of(
        scene.carrier(invite),
        scene.psap(response(invite), at_s=1),
        scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=2),
    )
    assert restarted(log, at_s=100).carrier(request("BYE", to_tag="psap", cseq=3), at_s=101).reason == "default"


def test_what_was_blocked_gives_no_right_to_follow() -> None:
    scene = Scene(policy("  - {name: none, action: drop}"))
    invite = request(uri="sip:6175550199@h")
    log = log_of(scene.carrier(invite), scene.psap(response(invite), at_s=1))
    assert recovered_calls(log) == []


def test_torn_and_foreign_lines_are_left_out() -> None:
    log = an_answered_call()
    noisy = [b"", b"{", log[0][:50], b'{"event_type":"dns","timestamp":"x"}', b"[1]", *log]
    assert [call.call_id for call in recovered_calls(noisy)] == ["call-1@192.0.2.10"]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    recovered_calls(lines)


RULES = "  - {name: no-info, when: 'sip.Method == \"INFO\"', action: drop}\n  - {name: all, action: allow}"


def restarted_with(log: list[bytes], *, at_s: float) -> Scene:
    scene = Scene(policy(RULES), takeover=True)
    scene.tell(CallsRecovered(tuple(recovered_calls(log))), at_s=at_s)
    return scene


def a_911_call(*statuses: int) -> tuple[Scene, list[bytes]]:
    scene = Scene(policy(RULES))
    invite = request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in statuses)]
    return scene, log_of(*told)


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


@pytest.mark.parametrize(
    ("statuses", "silent_s", "words"),
    [
        ((), 32, "sosgate let every message of it pass that it saw, and was restarted meanwhile"),
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


def test_a_try_before_a_restart_has_not_the_refusal_of_an_earlier_one() -> None:
    scene, log = a_911_call(302)
    again = scene.carrier(request(cseq=2), at_s=2)
    told = restarted_with(log + log_of(again), at_s=3).tell(DeadlineReached(), at_s=40)
    assert [(call.outcome, call.final_status) for call in told.calls] == [("failed_downstream", None)]


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


def test_a_text_that_is_blocked_behind_another_one_is_told_once_over_a_restart() -> None:
    before = Scene(policy("  - {name: no, when: 'sip.CSeq.seq == 2', action: drop}\n" + ALL))
    first, second = request("MESSAGE", cseq=1), request("MESSAGE", cseq=2)
    log = log_of(before.carrier(first), before.psap(response(first), at_s=1), before.carrier(second, at_s=2))
    after = Scene(before.engine.policy, takeover=True)
    after.tell(CallsRecovered(tuple(recovered_calls(log))), at_s=3)
    assert [*after.carrier(second, at_s=3.5).calls, *after.stops(at_s=5).calls] == []
    third = request("MESSAGE", cseq=3)
    told = [after.carrier(third, at_s=6), after.psap(response(third), at_s=7)]
    assert [(call.outcome, call.hurt_by) for each in told for call in each.calls] == [("completed", None)]
