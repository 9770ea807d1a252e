"""Calls in progress, read back from the decision log of an earlier run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.call_table import CallTable
from firewall.engine.engine import Engine
from firewall.engine.events import DeadlineReached, Started
from firewall.engine.outputs import Write
from firewall.engine.record import Alarm
from firewall.engine.recovery import recall
from tests.engine.restart import (
    CALLER,
    INVITES_ONLY,
    RULES,
    a_911_call,
    an_answered_call,
    log_of,
    restarted,
    restarted_with,
)
from tests.messages import request, response
from tests.scene import SECOND, START, Scene, Told, drop, policy


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


def test_what_a_start_says_of_before_a_kill_makes_nothing_older_at_the_next_start() -> None:
    rules = policy(drop("INVITE"))
    engine, log = Engine(rules), log_of(Scene(rules).carrier(request()))[:1]
    recall(engine, log)
    log += log_of(Told(engine.handle(Started(takeover=True), START + 1200 * SECOND)))
    assert [b'"event_type":"alarm"' in line for line in log] == [False, False, True, False]
    callback = request("INVITE", CALLER, call_id="back", from_tag="p")
    assert restarted(log, at_s=1400).psap(callback, at_s=1500).decision.emergency is not None


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
    assert restarted(log, at_s=2).engine.calls() == []


def test_torn_and_foreign_lines_are_left_out() -> None:
    log = an_answered_call()
    noisy = [b"", b"{", log[0][:50], b'{"event_type":"dns","timestamp":"x"}', b"[1]", *log]
    assert [call.call_id for call in restarted(noisy, at_s=60).engine.calls()] == ["call-1@192.0.2.10"]


@given(st.lists(st.binary(max_size=80), max_size=5))
def test_any_bytes_are_read(lines: list[bytes]) -> None:
    assert restarted(lines, at_s=0).engine.calls() == []


def test_a_defect_in_what_is_due_meanwhile_costs_no_start_and_is_told_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, log = Engine(policy(RULES), strict=False), an_answered_call()

    def fail(*_: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(CallTable, "expire", fail)
    monkeypatch.setattr("firewall.engine.tracking.Tracking.resume", fail)
    recall(engine, log)
    monkeypatch.undo()
    told = [each.record for each in engine.handle(Started(takeover=True), 0) if isinstance(each, Write)]
    assert [record.alarm.code for record in told if isinstance(record, Alarm)] == ["internal_error"]


def test_where_an_emergency_call_was_redirected_to_before_a_restart_is_known_after_it() -> None:
    """The call there has another Call-ID where a session border controller makes it (RFC 3261 §8.1.3.4)."""
    moved = response(request(), 302).replace(b"\r\n", b"\r\nContact: <sip:psap@198.51.100.20>\r\n", 1)
    before, log = a_911_call()
    log += log_of(before.psap(moved, at_s=1))
    leg = request(uri="sip:psap@198.51.100.20", call_id="leg")
    for at_s, expected in ((60, True), (300, False)):
        told = restarted_with(log, at_s=at_s).carrier(leg, at_s=at_s + 1)
        assert (told.decision.emergency is not None) == expected


def test_where_a_caller_can_be_asked_for_is_known_after_a_restart() -> None:
    scene = Scene(policy(RULES))
    log = log_of(scene.carrier(request(headers=("Geolocation: <sip:at-7@192.0.2.10>", "Geolocation: <cid:x@h>"))))
    asked = request("SUBSCRIBE", "sip:at-7@192.0.2.10", call_id="where", from_tag="p")
    assert restarted_with(log, at_s=60).psap(asked, at_s=61).decision.emergency is not None


@pytest.mark.parametrize("hung_up", [("one",), ("one", "other")])
def test_an_ordinary_call_is_over_when_each_of_its_forks_was_hung_up(hung_up: tuple[str, ...]) -> None:
    scene, invite = Scene(policy(INVITES_ONLY)), request(uri="sip:6175550199@h")
    told = [scene.carrier(invite), *(scene.psap(response(invite, to_tag=fork)) for fork in ("one", "other"))]
    for number, fork in enumerate(hung_up, 2):
        bye = request("BYE", to_tag=fork, cseq=number)
        told += [scene.carrier(bye, at_s=2), scene.psap(response(bye), at_s=2)]
    known = restarted(log_of(*told), at_s=3).engine.calls()
    assert [call.call_id for call in known] == ["call-1@192.0.2.10"] * (len(hung_up) == 1)


def test_calls_go_on_where_the_clock_was_set_in_the_earlier_run() -> None:
    scene, far_s = Scene(policy(INVITES_ONLY)), 40 * 86400
    log = an_answered_call("urn:service:sos")
    scene.engine.clock_was_set(far_s * 10**9)
    log += log_of(scene.carrier(request("OPTIONS", call_id="keep-alive"), at_s=far_s + 3))
    for at_s in (10, far_s + 10):  # set back meanwhile, or not
        dialogs = [call.dialogs for call in restarted(log, at_s=at_s).engine.calls()]
        assert dialogs == [("confirmed",), ()], at_s


def test_no_call_goes_on_after_a_firewall_was_away_for_long() -> None:
    scene = Scene(policy(INVITES_ONLY), at_s=40 * 86400)
    log = an_answered_call() + log_of(scene.tell(Started(takeover=True), at_s=40 * 86400))
    assert restarted(log, at_s=40 * 86400 + 1).engine.calls() == []


def test_a_call_that_goes_on_under_the_call_id_of_one_that_was_hung_up_is_known_again() -> None:
    scene, invite = Scene(policy(INVITES_ONLY)), request(uri="sip:6175550199@h")
    bye, again = (
        request("BYE", "sip:h", to_tag="psap", cseq=2),
        request(uri="sip:6175550199@h", cseq=3, branch="z9hG4bK-again"),
    )
    told = [scene.carrier(invite), scene.psap(response(invite)), scene.carrier(bye), scene.psap(response(bye))]
    scene = restarted(log_of(*told, scene.carrier(again, at_s=9)), at_s=10)
    assert scene.carrier(request("CANCEL", cseq=3, branch="z9hG4bK-again"), at_s=11).reason == "cancel"


def test_nobody_ends_a_call_by_what_was_blocked() -> None:
    forged = response(request("BYE", "sip:h", to_tag="psap", cseq=2))
    log = [*an_answered_call(), *log_of(Scene(policy(INVITES_ONLY)).psap(forged, at_s=3))]
    assert restarted(log, at_s=4).carrier(request("INFO", to_tag="psap", cseq=2), at_s=5).reason == "in_dialog"
