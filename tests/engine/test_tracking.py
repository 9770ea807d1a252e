"""What a decision means for the calls is the same whether a message is told of now or by an earlier run's log."""

import pytest

from firewall.engine.engine import Engine
from firewall.engine.events import DeadlineReached, ForwardFailed, Started
from firewall.engine.outputs import Write
from firewall.engine.record import Alarm, SipDecision, encode
from firewall.engine.recovery import recall
from tests.engine.restart import log_of
from tests.messages import request, response
from tests.replay.told import story_of
from tests.scene import ALL, START, Scene, Told, drop, policy


def test_a_keep_alive_that_an_earlier_run_blocked_is_named_as_the_cause_of_a_call_that_fails() -> None:
    before = Scene(policy(drop("OPTIONS")))
    log = log_of(
        before.carrier(request(uri="sip:6175550199@h", call_id="before")),
        before.psap(request("OPTIONS", "sip:192.0.2.10", call_id="keep-alive"), at_s=20),
    )
    after = Scene(before.engine.policy, takeover=True, past=log, at_s=40)
    after.carrier(request(), at_s=50)
    (call,) = after.psap(response(request(), 503), at_s=51).calls
    assert (call.outcome, call.attribution) == ("failed_downstream", "policy")
    assert call.hurt_by is not None
    assert (call.hurt_by.rule, call.hurt_by.line) == ("no-options", 9)


def test_an_alarm_that_an_earlier_run_raised_is_not_raised_again_until_ten_minutes_later() -> None:
    before = Scene(policy(drop("INFO")))
    before.carrier(request())
    info = request("INFO", to_tag="psap", cseq=2)
    log = log_of(before.carrier(request()), before.psap(response(request()), at_s=1), before.carrier(info, at_s=2))
    after = Scene(before.engine.policy, takeover=True, past=log, at_s=3)
    later = request("INFO", to_tag="psap", cseq=3)
    assert [len(after.carrier(later, at_s=at_s).alarms) for at_s in (4, 605)] == [0, 1]


def said_at_a_start_after(log: list[bytes], rules: str) -> list[bytes]:
    engine = Engine(policy(rules))
    recall(engine, log)
    outputs = engine.handle(Started(takeover=True), START + 3_000_000_000)
    return [encode(each.record) for each in outputs if isinstance(each, Write)][1:]


@pytest.mark.parametrize("written", [1, 2, 3])
def test_what_a_kill_kept_out_of_the_log_is_said_at_the_next_start(written: int) -> None:
    rules = drop("INVITE")
    log = log_of(Scene(policy(rules)).carrier(request()))
    assert said_at_a_start_after(log[:written], rules) == log[written:]


def test_nothing_is_said_at_a_start_that_was_said_before_or_that_no_kill_kept_out() -> None:
    rules, scene = drop("INFO"), Scene(policy(drop("INFO")))
    info = request("INFO", to_tag="psap", cseq=2)
    log = log_of(scene.carrier(request()), scene.psap(response(request()), at_s=1), scene.carrier(info, at_s=2))
    assert said_at_a_start_after(log, rules) == []
    log += log_of(scene.carrier(request("INFO", to_tag="psap", cseq=3), at_s=2.5))
    assert said_at_a_start_after(log, rules) == []
    assert said_at_a_start_after([*log[:-2], *log_of(scene.stops(at_s=2.5))], rules) == []


def test_what_was_counted_before_the_start_is_not_counted_again() -> None:
    before = Scene(policy(drop("INVITE")))
    after = Scene(policy(ALL), past=log_of(before.carrier(request())), at_s=3)
    stats = after.engine.stats()
    assert (stats.messages, stats.emergency_calls, stats.emergency_calls_hurt, stats.calls_tracked) == (0, 0, 0, 1)


@pytest.mark.parametrize("strict", [False, True])
def test_a_defect_in_going_through_a_log_does_not_keep_the_firewall_from_starting(
    strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = 2 * log_of(Scene(policy(ALL)).carrier(request()))
    engine = Engine(policy(ALL), strict=strict)
    monkeypatch.setattr(engine._observer, "read_again", None)
    if strict:
        with pytest.raises(TypeError):
            recall(engine, log)
    else:
        recall(engine, log)
    _, *writes = engine.handle(Started(takeover=True), START + 1_000_000_000)
    alarms = [each.record for each in writes if isinstance(each, Write)]
    assert [each.alarm.code for each in alarms if isinstance(each, Alarm)] == ([] if strict else ["internal_error"])


def test_defects_in_going_through_a_log_are_told_as_one_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    scene, engine = Scene(policy(ALL)), Engine(policy(ALL), strict=False)
    log = log_of(*(scene.carrier(request(call_id=name)) for name in "abc"))

    def broken(record: SipDecision, _: object) -> None:
        raise KeyError(record.flow_id, record.dialog)

    monkeypatch.setattr(engine._observer, "read_again", broken)
    recall(engine, log)
    outputs = engine.handle(Started(takeover=True), START + 7_000_000_000)
    loaded, *alarms = [each.record for each in outputs if isinstance(each, Write)]
    assert [each.alarm.code for each in alarms if isinstance(each, Alarm)] == ["internal_error"]
    assert alarms[0].timestamp == loaded.timestamp


def redirected(*, rules: str = ALL) -> tuple[Scene, list[Told], bytes]:
    """A call that is redirected, and the leg that a session border controller then makes with its own Call-ID."""
    scene = Scene(policy(rules))
    moved = response(request(), 302).replace(b"\r\n", b"\r\nContact: <sip:psap@198.51.100.20>\r\n", 1)
    told = [scene.carrier(request()), scene.psap(moved, at_s=1)]
    return scene, told, request(uri="sip:psap@198.51.100.20", call_id="leg")


@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_redirected_call_that_goes_on_with_another_call_id_has_not_failed(is_restarted: bool) -> None:
    scene, told, leg = redirected()
    if is_restarted:
        scene = Scene(policy(ALL), takeover=True, past=log_of(*told), at_s=1.5)
    told += [scene.carrier(leg, at_s=2), scene.psap(response(leg), at_s=3), scene.tell(DeadlineReached(), at_s=100)]
    told.append(scene.carrier(request("BYE", call_id="leg", to_tag="psap", cseq=2), at_s=101))
    calls = [(call.call_id, call.outcome, call.final_status, call.ended_s) for each in told for call in each.calls]
    assert calls == [("call-1@192.0.2.10", "completed", 302, 2.0), ("leg", "completed", 200, 99.0)]
    cause = "sosgate let every message pass; the called side redirected the call with 302 OK, and it went on with"
    assert story_of(*told).cause == f"{cause} another Call-ID"
    assert [alarm for each in told for alarm in each.alarms] == []


def test_a_redirected_call_whose_next_leg_is_blocked_or_never_comes_has_failed() -> None:
    for rules in (ALL, drop("INVITE").replace("sip.Method ==", 'sip.r-uri.user == "psap" and sip.Method ==')):
        scene, told, leg = redirected(rules=rules)
        if rules != ALL:
            told.append(scene.carrier(leg, at_s=2))
        told.append(scene.tell(DeadlineReached(), at_s=100))
        of_first = [call for each in told for call in each.calls if call.call_id == "call-1@192.0.2.10"]
        assert [(call.outcome, call.final_status) for call in of_first] == [("failed_downstream", 302)]


@pytest.mark.parametrize(("from_ip", "caller", "is_leg"), [(0, 0, True), (0, 1, True), (1, 0, True), (1, 1, False)])
def test_a_stranger_who_calls_where_a_call_was_redirected_to_is_not_its_next_leg(
    from_ip: int, caller: int, is_leg: bool
) -> None:
    scene, _, leg = redirected()
    leg = leg.replace(b"6175550123@192.0.2.10", (b"6175550123@192.0.2.10", b"6175550188@192.0.2.99")[caller])
    told = [scene.carrier(leg, at_s=2, src=(("192.0.2.10", "192.0.2.99")[from_ip], 5060))]
    told.append(scene.tell(DeadlineReached(), at_s=100))
    outcomes = [call.outcome for each in told for call in each.calls if call.call_id == "call-1@192.0.2.10"]
    assert outcomes == ["completed" if is_leg else "failed_downstream"]


@pytest.mark.parametrize("method", ["INVITE", "MESSAGE"])
def test_a_request_that_could_not_be_sent_on_and_came_again_is_answered(method: str) -> None:
    """RFC 3261 §17.1.1.2: a route that is away for a moment loses one copy of it."""
    scene, asked = Scene(policy(ALL)), request(method)
    (sent,) = scene.carrier(asked).forwarded
    told = [scene.tell(ForwardFailed(sent, "Network is unreachable", downstream=True), at_s=0)]
    told += [scene.carrier(asked, at_s=0.5), scene.psap(response(asked), at_s=1)]
    if method == "INVITE":
        told.append(scene.carrier(request("ACK", to_tag="psap"), at_s=2))
        told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=30))
    told.append(scene.tell(DeadlineReached(), at_s=100))
    calls = [(call.outcome, call.answered_s) for each in told for call in each.calls]
    assert calls == [("failed_downstream", None), ("completed", 1)]
