"""What cannot be written, sent on or read whole, and what the engine makes of it."""

import pytest

from firewall.engine.events import (
    ConnectionRefused,
    DatagramReceived,
    DeadlineReached,
    ForwardFailed,
    LogFailed,
    LogRecovered,
    Started,
)
from firewall.engine.outputs import Write
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, request, response
from tests.scene import Scene, drop, policy

INVITES_ONLY = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
ORDINARY = "sip:6175550199@198.51.100.10"


def test_with_an_unwritable_log_only_emergency_calls_pass_when_the_policy_says_drop() -> None:
    scene = Scene(policy(INVITES_ONLY, more="exceptions: {log_unwritable: drop}"))
    assert [a.alarm.code for a in scene.tell(LogFailed("No space left"), at_s=1).alarms] == ["log_unwritable"]
    assert scene.carrier(request(uri=ORDINARY, call_id="a"), at_s=2).reason == "log_unwritable"
    assert scene.carrier(request(call_id="b"), at_s=2).verdict == "allow"
    told = scene.tell(LogRecovered(7), at_s=3)
    assert told.alarms[0].alarm.message.endswith("7 records were lost")
    assert scene.carrier(request(uri=ORDINARY, call_id="c"), at_s=4).verdict == "allow"


def test_with_an_unwritable_log_calls_go_on_by_default() -> None:
    scene = Scene(policy(INVITES_ONLY))
    scene.tell(LogFailed("No space left"), at_s=1)
    assert scene.carrier(request(uri=ORDINARY), at_s=2).verdict == "allow"


def test_a_message_that_could_not_be_sent_on_hurts_its_emergency_call() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request()
    scene.carrier(invite)
    told = scene.tell(ForwardFailed(Datagram(*CARRIER, *PSAP, invite), "Network is unreachable"), at_s=0.1)
    assert [(c.outcome, c.attribution) for c in told.calls] == [("blocked", "exception")]
    (alarm,) = told.alarms
    assert (alarm.alarm.code, alarm.alarm.call_id) == ("forward_failed", "call-1@192.0.2.10")
    assert alarm.alarm.message.endswith(": Network is unreachable; Call-ID call-1@192.0.2.10")
    assert alarm.emergency is not None
    assert (alarm.emergency.service, alarm.src_ip, alarm.dest_ip) == ("urn:service:sos", CARRIER[0], PSAP[0])


def test_what_could_not_be_sent_on_of_ordinary_calls_is_told_once_of_where_it_goes() -> None:
    scene = Scene(policy(INVITES_ONLY))
    alarms = []
    for call_id in ("c1", "c2"):
        invite = request(uri=ORDINARY, call_id=call_id)
        scene.carrier(invite)
        lost = ForwardFailed(Datagram(*CARRIER, *PSAP, invite), "Network is unreachable")
        alarms += scene.tell(lost, at_s=0.1).alarms
    (alarm,) = alarms
    assert (alarm.alarm.call_id, alarm.emergency, alarm.dest_ip) == (None, None, PSAP[0])


def test_a_call_that_could_not_be_sent_on_stays_blocked_when_the_firewall_stops() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request()
    scene.carrier(invite)
    scene.tell(ForwardFailed(Datagram(*CARRIER, *PSAP, invite), "Network is unreachable"), at_s=0.1)
    assert scene.stops(at_s=1).calls == []


def test_a_call_that_a_retransmission_brings_through_is_not_lost_with_the_first_try() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request()
    scene.carrier(invite)
    scene.carrier(invite, at_s=0.5)
    scene.tell(ForwardFailed(Datagram(*CARRIER, *PSAP, invite), "No buffer space available"), at_s=0.5)
    scene.psap(response(invite, 200), at_s=1)
    assert [call.outcome for call in scene.stops(at_s=2).calls] == ["impaired"]


def test_a_psap_that_refuses_the_connection_is_no_fault_of_ours() -> None:
    scene = Scene(policy(INVITES_ONLY))
    invite = request()
    scene.carrier(invite)
    lost = ForwardFailed(Datagram(*CARRIER, *PSAP, invite, "TCP"), "Connection refused", downstream=True)
    told = scene.tell(lost, at_s=0.1)
    assert [a.alarm.code for a in told.alarms] == ["forward_failed"]
    assert [(c.outcome, c.attribution, c.hurt_by) for c in told.calls] == [("failed_downstream", "downstream", None)]
    assert scene.stops(at_s=1).calls == []


def test_a_tcp_connection_that_cannot_be_made_is_no_unreadable_datagram() -> None:
    scene = Scene(policy(INVITES_ONLY))
    nothing = Datagram(*CARRIER, *PSAP, b"", "TCP")
    (alarm,) = scene.tell(ForwardFailed(nothing, "Address already in use"), at_s=0).alarms
    assert (alarm.alarm.code, alarm.alarm.message) == (
        "forward_failed",
        "a TCP connection from 192.0.2.10:5060 to 198.51.100.10:5060 could not be made: Address already in use; "
        "its client had sent nothing yet",
    )


def test_a_defect_of_ours_lets_the_message_pass_and_raises_in_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("defect")

    scene = Scene(policy(INVITES_ONLY))
    monkeypatch.setattr(scene.engine._observer, "read", broken)
    with pytest.raises(RuntimeError):
        scene.carrier(request(uri=ORDINARY))
    monkeypatch.setattr(scene.engine, "_strict", False)
    told = scene.carrier(request(uri=ORDINARY))
    assert (told.verdict, told.reason) == ("allow", "internal_error")
    assert [a.alarm.code for a in told.alarms] == ["internal_error"]
    assert len(told.forwarded) == 1


def test_a_defect_in_what_is_due_is_told_and_decides_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("defect")

    scene = Scene(policy(drop("INFO")))
    scene.carrier(request())
    monkeypatch.setattr(scene.engine._ledger, "expired", broken)
    monkeypatch.setattr(scene.engine, "_strict", False)
    told = scene.carrier(request("INFO", ORDINARY, call_id="other"), at_s=40)
    assert (told.verdict, told.reason) == ("drop", "rule")
    assert [each.alarm.message for each in told.alarms] == ["defect of sosgate in what was due: RuntimeError: defect"]
    told = scene.carrier(request(call_id="next"), at_s=41)
    assert told.alarms == []
    assert len(scene.tell(Started(takeover=True), at_s=80).outputs) == 1
    scene.carrier(request(call_id="last"), at_s=81)
    with pytest.raises(RuntimeError):  # a replay must not go on as if nothing were
        scene.tell(DeadlineReached(), at_s=120)


def refused(said: bytes, *, limit: str = "this source has 9 TCP connections already") -> ConnectionRefused:
    return ConnectionRefused(Datagram(*CARRIER, *PSAP, said, "TCP"), limit)


def test_a_refused_connection_is_alarmed_once_for_each_source_and_limit() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    told = scene.tell(refused(b""), at_s=1)
    (alarm,) = told.alarms
    assert (alarm.alarm.code, alarm.alarm.reason) == ("connection_refused", "connection_limit")
    assert alarm.alarm.message == (
        f"TCP connection refused from {CARRIER[0]}:{CARRIER[1]} to {PSAP[0]}:{PSAP[1]}: "
        "this source has 9 TCP connections already"
    )
    assert [output.urgent for output in told.outputs if isinstance(output, Write)] == [True]
    assert scene.tell(refused(b""), at_s=2).outputs == []
    assert len(scene.tell(refused(b"", limit="there are 99"), at_s=3).alarms) == 1


def test_an_emergency_call_on_a_refused_connection_is_in_the_ledger() -> None:
    scene = Scene(policy("  - {name: all, action: allow}"))
    scene.tell(refused(b""), at_s=1)
    told = scene.tell(refused(request()), at_s=2)
    (alarm,) = told.alarms
    assert alarm.alarm.message.startswith("TCP connection with an emergency call refused from ")
    assert alarm.alarm.message.endswith("it had sent INVITE sip:911@198.51.100.10")
    (call,) = told.calls
    assert call.hurt_by is not None
    assert (call.outcome, call.attribution, call.hurt_by.reason) == ("blocked", "limit", "connection_limit")
    assert scene.engine.stats().emergency_calls_hurt == 1


def test_the_head_of_a_message_that_is_too_large_is_told_and_not_passed_on_alone() -> None:
    """A photograph in an emergency call over TCP: what follows on the connection are messages of other calls."""
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}", guard="enforce"))
    head = request(uri="urn:service:sos").replace(b"Content-Length: 0", b"Content-Length: 99999")
    told = scene.tell(DatagramReceived(Datagram(*CARRIER, *PSAP, head, "TCP", in_iface="f0")), at_s=1)
    assert (told.verdict, told.reason, told.forwarded) == ("drop", "message_too_large", [])
    assert [alarm.alarm.code for alarm in told.alarms] == ["emergency_blocked"]
    assert [(call.outcome, call.attribution) for call in told.calls] == [("blocked", "exception")]
