"""The table of calls: bounded, and forgetting at the right time."""

from firewall.engine.call import TRANSACTION_NS, Call
from firewall.engine.call_table import CallTable
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.message import parse_message
from tests.messages import request, response
from tests.scene import Scene, policy

MARK = EmergencyMark("call", "urn:service:sos", ("test",))


def heard_never(_: Call) -> int:
    return 0


def test_a_full_table_takes_no_ordinary_call_but_makes_room_for_an_emergency() -> None:
    table = CallTable(max_calls=2)
    first, second = table.add("a", 0, must=False), table.add("b", 0, must=False)
    assert first is not None
    assert second is not None
    table.mark_emergency(second, MARK)
    assert table.add("c", 0, must=False) is None
    assert table.add("c", 0, must=True) is not None
    assert (table.get("a"), table.get("b")) == (None, second)


def test_a_table_full_of_emergencies_takes_no_more() -> None:
    table = CallTable(max_calls=1)
    call = table.add("a", 0, must=True)
    assert call is not None
    table.mark_emergency(call, MARK)
    assert table.add("b", 0, must=True) is None


def test_a_call_ended_after_an_hour_is_forgotten_soon_not_after_a_day() -> None:
    table = CallTable()
    call = table.add("call-1@192.0.2.10", 0, must=False)
    assert call is not None
    invite = request()
    table.forwarded(call, parse_message(invite), 0)
    table.forwarded(call, parse_message(response(invite, 200)), 1)
    hour_ns = 3600 * 1_000_000_000
    assert table.expire(hour_ns, heard_never) == []
    table.forwarded(call, parse_message(request("BYE", to_tag="psap", cseq=2)), hour_ns)
    assert table.due_ns == hour_ns + TRANSACTION_NS
    assert table.expire(hour_ns + TRANSACTION_NS, heard_never) == [(call, hour_ns + TRANSACTION_NS)]
    assert len(table) == 0


def test_a_full_table_follows_its_exception_policy() -> None:
    ordinary = "sip:6175550199@198.51.100.10"
    allow_invites = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
    for exception, initial, answer in (("allow", "allow", "table_full"), ("drop", "drop", "default")):
        scene = Scene(policy(allow_invites, more=f"exceptions: {{table_full: {exception}}}"))
        scene.engine._observer.calls._max_calls = 1
        scene.carrier(request(uri=ordinary, call_id="first"))
        second = request(uri=ordinary, call_id="second")
        told = scene.carrier(second, at_s=1)
        assert told.verdict == initial
        assert [a.alarm.code for a in told.alarms] == (["table_full"] if initial == "allow" else [])
        assert scene.psap(response(second), at_s=2).reason == answer
        assert scene.carrier(request(call_id="emergency"), at_s=3).verdict == "allow"
        assert scene.psap(response(request(call_id="emergency")), at_s=4).reason == "response"


def test_room_is_made_at_once_however_many_emergency_calls_there_are() -> None:
    table = CallTable(max_calls=2_000)
    for number in range(2_000):
        call = table.add(str(number), 0, must=True)
        assert call is not None
        table.mark_emergency(call, MARK)
    assert table.add("one more", 0, must=True) is None
    assert not table._ordinary, "nothing is looked through to find that there is no room"


def test_ended_calls_leave_nothing_behind() -> None:
    table = CallTable()
    second_ns = 1_000_000_000
    for number in range(5_000):
        call_id, begin_ns = f"call-{number}", number * second_ns
        call = table.add(call_id, begin_ns, must=False)
        assert call is not None
        invite = request(call_id=call_id)
        table.forwarded(call, parse_message(invite), begin_ns)
        table.forwarded(call, parse_message(response(invite)), begin_ns)
        table.expire(begin_ns + 40 * second_ns, heard_never)
        table.forwarded(call, parse_message(request("BYE", call_id=call_id, to_tag="psap", cseq=2)), begin_ns)
    table.expire(6_000 * second_ns, heard_never)
    assert len(table) == 0
    assert len(table._deadlines) <= 1_001
