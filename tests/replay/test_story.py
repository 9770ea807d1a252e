"""One call's story from the decision log."""

import json

import pytest

from firewall.engine.events import ConnectionRefused, DeadlineReached, Started
from firewall.engine.recording import printable
from firewall.net.datagram import Datagram
from firewall.replay.story import call_records, tell
from tests.messages import CARRIER, PSAP, request, response
from tests.replay.told import CALL_ID, log_of, story_of
from tests.scene import ALL, Scene, policy


def test_a_completed_call_has_its_ladder_and_no_cause() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    story = story_of(
        scene.carrier(invite),
        scene.psap(response(invite, 200), at_s=1),
        scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=2),
    )
    assert [step.message for step in story.steps] == [
        "INVITE sip:911@198.51.100.10",
        "200 OK",
        "BYE sip:911@198.51.100.10",
    ]
    assert (story.outcome, story.problem, story.cause, story.mend) == ("completed", None, None, None)


def test_a_blocked_call_names_rule_file_line_and_mend() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}"))
    story = story_of(scene.carrier(request()))
    assert (story.outcome, story.problem) == ("blocked", "InitialTrafficBlocked")
    assert story.cause == (
        'sosgate did not let INVITE sip:911@198.51.100.10 pass: drop by rule "wrong" (policy.yaml:9)'
    )
    assert story.mend is not None
    assert '"wrong"' in story.mend


def test_a_call_that_the_guard_saved_says_so() -> None:
    scene = Scene(policy("  - {name: wrong, action: drop}", guard="enforce"))
    story = story_of(scene.carrier(request()))
    assert story.steps[0].verdict == "drop, but passed (guard)"
    assert story.cause is not None
    assert "the guard let it pass" in story.cause


def test_what_the_called_side_did_is_not_put_on_us() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    sent = scene.carrier(invite)
    assert story_of(sent).cause == "sosgate let every message pass; the log has no answer of the called side"
    rings = scene.psap(response(invite, 180), at_s=0.5)
    assert (story_of(sent, rings).cause or "").endswith("; it rang, and the log has no answer of the called side")
    refused = scene.psap(response(invite, 486, phrase="Busy Here"), at_s=1)
    assert story_of(sent, refused).cause == "sosgate let every message pass; the called side answered 486 Busy Here"


def test_an_ordinary_blocked_call_has_a_cause_too() -> None:
    scene = Scene(policy("  - {name: none, when: 'sip.Method == \"X\"', action: allow}"))
    story = story_of(scene.carrier(request(uri="sip:6175550199@h")))
    assert story.outcome is None
    assert story.cause == "sosgate did not let INVITE sip:6175550199@h pass: drop by the policy's default (test:10)"
    assert story.mend is None


def test_other_calls_and_torn_lines_are_left_out_and_counted() -> None:
    scene = Scene(policy(ALL))
    log = log_of(scene.carrier(request()), scene.carrier(request(call_id="other")))
    found = call_records([*log, b"\n", log[0][:40]], CALL_ID)
    assert (len(found.records), found.unreadable_lines) == (1, 1)
    assert tell("unknown", call_records(log, "unknown")) is None


def test_a_dropped_ack_names_its_consequence() -> None:
    scene = Scene(policy("  - {name: no-ack, when: 'sip.Method == \"ACK\"', action: drop}\n" + ALL))
    invite = request()
    story = story_of(
        scene.carrier(invite),
        scene.psap(response(invite), at_s=1),
        scene.carrier(request("ACK", to_tag="psap"), at_s=1.1),
        scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=33),
    )
    assert (story.outcome, story.problem, story.attribution) == ("impaired", "MidTrafficBlocked", "policy")
    assert story.cause is not None
    assert story.cause.endswith(
        'rule "no-ack" (policy.yaml:9); without it the called side ends the call after 32 seconds'
    )


def test_a_caller_who_hung_up_is_not_put_on_the_called_side() -> None:
    scene = Scene(policy(ALL))
    invite = request(branch="z9hG4bK-x")
    story = story_of(
        scene.carrier(invite),
        scene.carrier(request("CANCEL", branch="z9hG4bK-x"), at_s=5),
        scene.psap(response(invite, 487, phrase="Request Terminated"), at_s=5.1),
    )
    assert (story.outcome, story.attribution) == ("abandoned", "caller")
    assert story.cause == "sosgate let every message pass; the caller hung up before an answer"


def test_who_calls_back_is_not_told_as_the_caller_of_the_emergency_call() -> None:
    scene = Scene(policy(ALL))
    back = request("INVITE", "sip:6175550123@192.0.2.10", call_id="back", from_tag="op", branch="z9hG4bK-b")
    told = [scene.carrier(request()), scene.psap(back, at_s=60), scene.carrier(response(back, 180), at_s=61)]
    log = log_of(*told, scene.carrier(response(back, 487), at_s=70))
    story = tell("back", call_records(log, "back"))
    assert story is not None
    assert (story.kind, story.outcome) == ("emergency callback", "abandoned")
    assert story.cause == "sosgate let every message pass; who called back hung up before an answer"


def test_an_answer_that_nobody_acknowledged_is_told_as_that() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    story = story_of(
        scene.carrier(invite),
        scene.psap(response(invite), at_s=1),
        scene.psap(response(invite), at_s=1.5),
        scene.psap(request("BYE", from_tag="psap", to_tag="caller"), at_s=33),
    )
    assert story.steps[2].message == "200 OK (again)"
    assert story.cause is not None
    assert "nobody acknowledged the answer" in story.cause


def test_a_banned_stranger_is_told_as_an_attack() -> None:
    scene = Scene(policy("  - {name: scan, when: 'sip.Method == \"REGISTER\"', action: drop, ban: 1h}\n" + ALL))
    scene.carrier(request("REGISTER", "sip:h", call_id="r"))
    story = story_of(scene.carrier(request(), at_s=1))
    assert story.attribution == "attack"
    assert story.cause is not None
    assert story.cause.endswith("taken for an attack")
    assert 'by the ban of rule "scan" (policy.yaml:9)' in story.cause
    assert story.mend is not None
    assert story.mend.startswith("nothing, if 192.0.2.10 is no peer of yours; if it is one, remove")


def test_what_to_change_about_a_banned_trunk_is_the_ban_not_the_condition() -> None:
    scene = Scene(policy("  - {name: scan, when: 'sip.Method == \"REGISTER\"', action: drop, ban: 1h}\n" + ALL))
    scene.carrier(request(call_id="before"))
    scene.carrier(request("REGISTER", "sip:h", call_id="r"), at_s=1)
    story = story_of(scene.carrier(request(), at_s=2))
    assert (story.outcome, story.attribution) == ("blocked", "policy")
    assert story.steps[0].because == 'ban by rule "scan", line 9'
    assert story.mend is not None
    assert story.mend.startswith('remove "ban" from rule "scan" at policy.yaml:9, or keep the rule off peers')
    assert "not emergency" not in story.mend


def test_a_call_that_fails_on_a_trunk_we_took_down_is_put_on_the_policy() -> None:
    rules = "  - {name: no-options, when: 'sip.Method == \"OPTIONS\"', action: drop}\n" + ALL
    scene = Scene(policy(rules))
    invite = request()
    told = [
        scene.carrier(request(uri="sip:6175550199@h", call_id="before")),
        scene.psap(request("OPTIONS", "sip:192.0.2.10", call_id="keep-alive"), at_s=20),
        scene.carrier(invite, at_s=70),
        scene.psap(response(invite, 503, phrase="Trunk down"), at_s=70.1),
    ]
    found = call_records(log_of(*told), CALL_ID)
    story = tell(CALL_ID, found)
    assert story is not None
    assert story.attribution == "policy"
    assert story.cause is not None
    assert "503 Trunk down; before it" in story.cause
    assert 'rule "no-options" (policy.yaml:9)' in story.cause


def test_a_call_that_nobody_answered_is_told_at_its_timer_and_its_late_answer_too() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    sent = [scene.carrier(invite), scene.tell(DeadlineReached(), at_s=32)]
    silent = story_of(*sent)
    assert (silent.outcome, silent.attribution) == ("failed_downstream", "downstream")
    assert silent.cause == "sosgate let every message pass; the called side never answered"
    late = story_of(*sent, scene.psap(response(invite, 200), at_s=40))
    assert late.outcome == "in_progress"
    assert late.cause == "sosgate let every message pass; it was answered, and had not ended when the log did"


def test_a_redirection_is_told_as_one() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    moved = [scene.carrier(invite), scene.psap(response(invite, 302, phrase="Moved Temporarily"), at_s=1)]
    ended = scene.tell(DeadlineReached(), at_s=100)
    story = story_of(*moved, ended)
    assert (
        story.cause == "sosgate let every message pass; the called side redirected the call with 302 Moved Temporarily"
    )
    (alarm,) = ended.alarms
    assert "redirected with status 302" in alarm.alarm.message


def test_the_policys_file_is_named_for_an_ordinary_call_too() -> None:
    scene = Scene(policy("  - {name: none, action: drop}"))
    loaded = scene.tell(Started(takeover=False), at_s=0)
    story = story_of(loaded, scene.carrier(request(uri="sip:6175550199@h")))
    assert story.cause == 'sosgate did not let INVITE sip:6175550199@h pass: drop by rule "none" (policy.yaml:9)'


def test_a_strangers_options_are_no_trunk() -> None:
    scene = Scene(policy("  - {name: none, action: drop}"))
    story = story_of(scene.carrier(request("OPTIONS", "sip:h")))
    assert story.cause == 'sosgate did not let OPTIONS sip:h pass: drop by rule "none" (test:9)'


def test_whom_to_ask_about_a_call_that_others_failed() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    refused = story_of(scene.carrier(invite), scene.psap(response(invite, 404, phrase="Not Found"), at_s=1))
    assert refused.mend == "nothing in the policy: ask who runs 198.51.100.10 why it answered 404"
    again = Scene(policy(ALL))
    silent = story_of(again.carrier(invite), again.tell(DeadlineReached(), at_s=32))
    assert silent.mend == "nothing in the policy: ask who runs 198.51.100.10 why it did not answer"


def test_a_challenge_that_nobody_met_is_told_as_one() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    asked = [scene.carrier(invite), scene.psap(response(invite, 407, phrase="Proxy Authentication Required"), at_s=1)]
    ended = scene.tell(DeadlineReached(), at_s=100)
    cause = story_of(*asked, ended).cause
    assert cause is not None
    assert cause.endswith(
        "asked for credentials (407 Proxy Authentication Required), and the caller did not try again with them"
    )
    assert "challenged with status 407" in ended.alarms[0].alarm.message


@pytest.mark.parametrize(
    ("statuses", "how_far"),
    [
        ((), "no answer had come when the log ended, 10.0 s after its first message"),
        ((100, 180), "it was ringing, not yet answered, when the log ended"),
        ((180, 200), "it was answered, and had not ended when the log did"),
        ((180, 302), "the called side redirected the call with 302 OK before the log ended"),
        (
            (407,),
            "the called side asked for credentials (407 OK), and the caller did not try again with them before the log "
            "ended",
        ),
        (
            (422,),
            "the called side sent it back to be amended (422 OK), and the caller did not try again before the log "
            "ended",
        ),
    ],
)
def test_a_log_that_ends_before_the_call_says_how_far_it_came(statuses: tuple[int, ...], how_far: str) -> None:
    scene = Scene(policy(ALL))
    invite = request()
    told = [scene.carrier(invite), *(scene.psap(response(invite, status), at_s=1) for status in statuses)]
    told += [scene.carrier(invite, at_s=3.5), scene.stops(at_s=10)]
    story = story_of(*told)
    assert (story.outcome, story.attribution) == ("in_progress", None)
    assert story.cause == f"sosgate let every message pass; {how_far}"


def test_a_message_of_no_dialog_and_the_answer_of_another_fork_are_told_apart() -> None:
    scene = Scene(policy(ALL))
    invite = request()
    forged = request("BYE", from_tag="guess", to_tag="guess-too", cseq=9)
    story = story_of(
        scene.carrier(invite),
        scene.psap(response(invite, 200, to_tag="one"), at_s=1),
        scene.psap(response(invite, 200, to_tag="two"), at_s=1.1),
        scene.psap(response(invite, 200, to_tag="one"), at_s=1.5),
        scene.carrier(forged, at_s=2),
    )
    assert [step.message for step in story.steps[1:]] == [
        "200 OK",
        "200 OK",
        "200 OK (again)",
        "BYE sip:911@198.51.100.10 (of no dialog that is known)",
    ]


def test_an_unreadable_emergency_message_has_a_story_under_the_call_id_that_it_shows() -> None:
    lines = [b"INVITE sip:911@h SIP/2.0", b"Call-ID: " + CALL_ID.encode(), *[b"X: y"] * 600, b"", b""]
    scene = Scene(policy(ALL.replace("action", "when: sip, action"), more="exceptions: {malformed: drop}"))
    told = scene.carrier(b"\r\n".join(lines))
    assert told.reason == "too_many_headers"
    story = story_of(told)
    assert (story.outcome, story.problem, story.attribution) == ("blocked", "InitialTrafficBlocked", "exception")
    assert story.cause is not None
    assert "by the exception policy (policy.yaml), reason too_many_headers" in story.cause
    assert story.mend is not None
    assert story.mend.startswith('set "malformed: allow"')


def test_a_call_of_which_only_the_ledger_tells_has_a_story_all_the_same() -> None:
    """Its connection was refused, or its messages are in another part of the log."""
    scene = Scene(policy(ALL))
    told = scene.tell(ConnectionRefused(Datagram(*CARRIER, *PSAP, request(), "TCP"), "64 connections"), at_s=0)
    story = story_of(told)
    assert (story.steps, story.outcome, story.attribution) == ((), "blocked", "limit")
    assert story.evidence
    assert "pass: drop by the exception policy (policy.yaml), reason connection_limit" in (story.cause or "")
    failing = Scene(policy(ALL))
    failing.carrier(request())
    silent = story_of(failing.tell(DeadlineReached(), at_s=32))
    assert (silent.outcome, silent.cause) == ("failed_downstream", None)
    assert silent.mend == "nothing in the policy: ask who runs 198.51.100.10 why it did not answer"
    going_on = Scene(policy(ALL))
    going_on.carrier(request())
    assert story_of(going_on.stops(at_s=1)).cause is None


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"02.000000+0000", b"02.000Z"), (b'"code":"180"', b'"code":"ringing"')],
)
def test_a_record_that_another_program_wrote_anew_is_left_out_and_counted(old: bytes, new: bytes) -> None:
    scene, invite = Scene(policy(ALL)), request()
    log = log_of(scene.carrier(invite), scene.psap(response(invite, 180)))
    spoiled = log[-1].replace(old, new)
    assert spoiled != log[-1]
    found = call_records([*log[:-1], spoiled], CALL_ID)
    assert found.unreadable_lines == 1
    assert tell(CALL_ID, found) is not None
    Scene(policy(ALL), past=[*log[:-1], spoiled])


@pytest.mark.parametrize(
    "foreign",
    [
        {"event_type": "alarm"},
        {"event_type": "alarm", "alarm": "x"},
        {"event_type": "policy", "policy": "x"},
        {"event_type": "sip_decision", "dialog": "x"},
        {"event_type": "sip_decision", "dialog": {"call_id": CALL_ID}},
        {"event_type": "emergency_call", "call_id": CALL_ID},
        {"event_type": "rtp_decision", "call_id": CALL_ID},
        {"event_type": "sip", "call_id": CALL_ID},
        {"event_type": ["sip_decision"]},
        {"event_type": "stats", "stats": {"uptime": 1}},
    ],
)
def test_records_of_other_programs_and_incomplete_ones_are_left_out(foreign: dict[str, object]) -> None:
    log = log_of(Scene(policy(ALL)).carrier(request()))
    story = tell(CALL_ID, call_records([*log, json.dumps(foreign).encode() + b"\n"], CALL_ID))
    assert story is not None
    assert len(story.steps) == 1


@pytest.mark.parametrize("shown", ["tab\\x09x@h", "l" * 119 + "…"])
def test_a_call_is_found_by_its_call_id_as_the_reports_show_it(shown: str) -> None:
    written = shown.replace("\\x09", "\t") if "tab" in shown else "l" * 400
    scene = Scene(policy("  - {name: all, action: allow}"))
    log = log_of(scene.carrier(request(call_id=written)))
    assert printable(written) == shown
    assert tell(shown, call_records(log, shown)) is not None
    assert tell("tab\\x09", call_records(log, "tab\\x09")) is None
