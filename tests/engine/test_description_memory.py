"""Who keeps long session descriptions fills no memory, and goes on being heard."""

import pytest

from firewall.engine.call import Call
from firewall.engine.call_media import CallMedia
from firewall.engine.description_memory import DescriptionMemory
from firewall.engine.negotiation import Party
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.message import parse_message
from tests.media import CALLED, CALLER, ORDINARY, MediaScene, answer, invite, sdp
from tests.messages import request
from tests.scene import policy

MARK = EmergencyMark("call", "sos", ("it says so",))


def call(call_id: str, octets: int, *, offers: int = 1, is_emergency: bool = False) -> Call:
    """A call that keeps descriptions of so many octets each, and some more."""
    media = CallMedia()
    for number in range(offers):
        offer = parse_message(invite(sdp(CALLER[0], f"audio {number} RTP/AVP 0, a={'x' * octets}"), cseq=number))
        media.negotiation.note(offer, Party(None, CALLER[0]), Party(None, CALLED[0]), None)
    return Call(call_id, 0, 0, 0, emergency=MARK if is_emergency else None, media=media)


def test_those_that_changed_theirs_the_longest_ago_make_room_and_emergency_calls_last() -> None:
    memory = DescriptionMemory(35_000)
    first, second, emergency = call("first", 10_000), call("second", 10_000), call("911", 10_000, is_emergency=True)
    assert [memory.note(each) for each in (emergency, first, second, first)] == [[], [], [], []]
    assert memory.note(call("third", 10_000)) == ["second"]
    assert memory.note(call("other", 30_000, is_emergency=True)) == ["first", "third", "911"]


def test_who_keeps_much_makes_room_for_others() -> None:
    memory = DescriptionMemory(300_000)
    assert memory.note(call("honest", 10_000)) == []
    assert memory.note(call("hog", 50_000, offers=6)) == ["hog"]
    assert memory.note(call("hog", 50_000, offers=5)) == []
    emergency = call("911", 50_000, offers=6, is_emergency=True)
    assert [memory.note(emergency), memory.note(emergency)] == [["honest", "hog", "911"], ["911"]]


def test_what_ended_takes_no_room() -> None:
    memory = DescriptionMemory(25_000)
    assert memory.note(call("first", 10_000)) == []
    memory.remove("first")
    assert [memory.note(call(each, 10_000)) for each in ("second", "third")] == [[], []]


@pytest.mark.parametrize("renews", [False, True])
def test_a_call_whose_descriptions_are_forgotten_is_heard_until_it_ends(renews: bool) -> None:
    scene = MediaScene(policy("  - {name: calls, when: 'sip.Method == \"INVITE\"', action: allow}"))
    scene.call(uri=ORDINARY)
    scene.engine._observer.calls.descriptions._most_octets = 1
    other = invite(sdp(CALLER[0], "audio 60000 RTP/AVP 0"), call_id="other", uri=ORDINARY)
    told = scene.carrier(other, at_s=2)
    assert [(alarm.alarm.code, "descriptions" in alarm.alarm.message) for alarm in told.alarms] == [
        ("table_full", True)
    ]
    scene.psap(answer(other, sdp(CALLED[0], "audio 60002 RTP/AVP 0")), at_s=3)
    if renews:
        again = invite(sdp(CALLER[0], "audio 49170 RTP/AVP 0"), to_tag="psap", cseq=2, uri=ORDINARY)
        scene.carrier(again, at_s=4)
        scene.psap(answer(again), at_s=5)
    assert (CALLER[0], "allow") in scene.to(CALLED)
    assert (CALLED[0], "allow") in scene.to(CALLER)
    for call_id in ("call-1@192.0.2.10", "other"):
        scene.carrier(request("BYE", ORDINARY, call_id=call_id, to_tag="psap", cseq=3), at_s=6)
    scene.carrier(request("OPTIONS", ORDINARY, call_id="later"), at_s=8)
    assert scene.open == {}
