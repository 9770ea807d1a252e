"""The table of calls: bounded, and forgetting at the right time."""

import gc
import tracemalloc

from firewall.engine.call import TRANSACTION_NS, Call
from firewall.engine.call_table import CallTable
from firewall.engine.events import DeadlineReached
from firewall.engine.timestamp import NEVER_NS
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.message import parse_message
from tests.media import ALL, CALLED, CALLER, MediaScene, answer, invite, sdp
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


def emergency_call(table: CallTable, call_id: str, *statuses: int) -> Call:
    """A call that got these responses."""
    call, invite = table.add(call_id, 0, must=True), request(call_id=call_id)
    assert call is not None
    table.mark_emergency(call, MARK)
    for message in (invite, *(response(invite, status) for status in statuses)):
        table.forwarded(call, parse_message(message), 0)
    return call


def test_a_table_full_of_emergency_calls_that_go_on_takes_no_more() -> None:
    table = CallTable(max_calls=1)
    emergency_call(table, "a", 180, 200)
    assert table.add("b", 0, must=True) is None


def test_where_all_are_emergencies_those_that_nobody_answered_make_room_those_that_ring_last() -> None:
    table = CallTable(max_calls=5)
    rings, asked, goes_on, refused = (
        emergency_call(table, call_id, *statuses)
        for call_id, statuses in (("rings", (180,)), ("asked", ()), ("goes on", (180, 200)), ("refused", (180, 486)))
    )
    ended = emergency_call(table, "ended", 200)
    table.forwarded(ended, parse_message(request("BYE", call_id="ended", to_tag="psap", cseq=2)), 1)
    for call_id in "1234":
        emergency_call(table, call_id, 200)
    assert table.crowded_out == [asked, refused, ended, rings]
    assert table.add("5", 0, must=True) is None
    assert table.get("goes on") is goes_on
    table.forwarded(goes_on, parse_message(request("BYE", call_id="goes on", to_tag="psap", cseq=2)), 2)
    assert table.add("5", 0, must=True) is not None


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
    assert table.deadlines.due_ns == hour_ns + TRANSACTION_NS
    assert table.expire(hour_ns + TRANSACTION_NS, heard_never) == [(call, hour_ns + TRANSACTION_NS)]
    assert len(table) == 0


def test_a_full_table_follows_its_exception_policy() -> None:
    ordinary = "sip:6175550199@198.51.100.10"
    allow_invites = "  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"
    for exception, initial, answered in (("allow", "allow", "table_full"), ("drop", "drop", "default")):
        scene = Scene(policy(allow_invites, more=f"exceptions: {{table_full: {exception}}}"))
        scene.engine._observer.calls._max_calls = 1
        scene.carrier(request(uri=ordinary, call_id="first"))
        second = request(uri=ordinary, call_id="second")
        told = scene.carrier(second, at_s=1)
        assert told.verdict == initial
        assert [a.alarm.code for a in told.alarms] == (["table_full"] if initial == "allow" else [])
        assert scene.psap(response(second), at_s=2).reason == answered
        assert scene.carrier(request(call_id="emergency"), at_s=3).verdict == "allow"
        assert scene.psap(response(request(call_id="emergency")), at_s=4).reason == "response"


def test_room_is_made_at_once_however_many_emergency_calls_there_are() -> None:
    table = CallTable(max_calls=2_000)
    for number in range(2_000):
        emergency_call(table, str(number), 200)
    assert table.add("one more", 0, must=True) is None
    assert not table._ordinary, "nothing is looked through to find that there is no room"
    assert table._unanswered == ({}, {})


def test_a_flood_of_emergency_calls_takes_the_media_of_none_that_somebody_answers() -> None:
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}", guard="enforce"))
    scene.engine._observer.calls._max_calls = 4
    told = [scene.carrier(invite(call_id=f"forged-{number}"), at_s=number / 100) for number in range(8)]
    real = invite(call_id="real")
    scene.carrier(real, at_s=1)
    scene.psap(answer(real, status=183), at_s=1.1)
    told += [scene.carrier(invite(call_id=f"more-{number}"), at_s=1.2 + number / 100) for number in range(8)]
    assert scene.psap(answer(real), at_s=2).reason == "response"
    assert [key.src_ip for key in scene.open if (key.dst_ip, key.dst_port) == CALLED] == [CALLER[0]]
    alarms = [alarm.alarm for each in told for alarm in each.alarms]
    assert ["full of emergency calls" in alarm.message for alarm in alarms] == [True]
    assert [call.outcome for each in told for call in each.calls] == ["in_progress"] * 12
    scene.carrier(request("BYE", call_id="real", to_tag="psap", cseq=2), at_s=60)
    scene.tell(DeadlineReached(), at_s=7200)
    assert scene.open == {}, "what those held that are forgotten is closed"


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
    assert table.deadlines.due_ns == NEVER_NS


def test_the_garbage_collector_is_not_kept_busy_by_calls() -> None:
    """It would stop the firewall: 100 000 calls of some six objects each take it a third of a second and more."""
    scene, calls = Scene(policy(ALL)), 200
    gc.collect()
    before = len(gc.get_objects())
    for number in range(calls):
        audio = f"audio {20_000 + 2 * number} RTP/AVP 0"
        offer = invite(sdp(CALLER[0], audio), call_id=f"call-{number}", uri="urn:service:sos")
        scene.carrier(offer)
        scene.psap(answer(offer, sdp(CALLED[0], audio)))
    gc.collect()
    assert len(scene.engine.calls()) == calls
    assert scene.engine.stats().pinholes == 4 * calls
    assert len(gc.get_objects()) - before < calls // 4


def test_calls_with_names_of_50_kilobytes_take_no_more_memory_than_others() -> None:
    """100 000 of them would be 5 GB and more, and the daemon's end."""
    scene, calls, long = Scene(policy(ALL)), 40, 50_000 * "a"
    forms = (
        {"call_id": long},
        {"from_tag": long},
        {"branch": "z9hG4bK" + long},
        {"from_uri": f"sip:{long}@h"},
        {"to": f"<urn:service:sos.{long}>"},
        {"uri": f"urn:service:sos.{long[:8000]}"},
        {"headers": (f"Contact: <sip:{long}@h>", "Resource-Priority: esnet.1")},
        {"body": long},
    )
    tracemalloc.start()
    try:
        for form in forms:
            begin = tracemalloc.get_traced_memory()[0]
            for number in range(calls):
                named = {"call_id": "c", "branch": "z9hG4bK", "uri": "urn:service:sos"} | form
                named |= {key: f"{named[key]}{number}" for key in ("call_id", "branch")}
                scene.carrier(request(**named))
            assert tracemalloc.get_traced_memory()[0] - begin < calls * 12_000, form.keys()
    finally:
        tracemalloc.stop()


def test_a_call_with_a_long_call_id_and_tags_is_followed_in_both_directions() -> None:
    scene = Scene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    long = 2_000 * "a"
    call = request(uri="sip:a@h", call_id=long, from_tag=long)
    bye = request("BYE", "sip:a@h", call_id=long, from_tag=long, to_tag=long, cseq=2)
    assert scene.carrier(bye).verdict == "drop"
    assert scene.carrier(call).verdict == "allow"
    assert scene.psap(response(call, to_tag=long)).verdict == "allow"
    assert scene.carrier(bye).verdict == "allow"
