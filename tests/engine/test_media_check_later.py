"""Who is missed after the first check: after a hold, a session refresh, a move into another network."""

import pytest

from firewall.engine.events import DeadlineReached, MediaReceived
from firewall.engine.media_check import CHECK_NS
from firewall.net.datagram import Datagram
from tests.media import (
    ANSWER,
    AUDIO,
    CALLED,
    CALLER,
    OFFER,
    MediaScene,
    answer,
    checked,
    invite,
    rtp,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, SECOND, policy


def test_a_call_on_hold_is_not_expected_to_be_heard() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.2, 1.4)
    scene.talk(1.2, 1.4, CALLED, CALLER)
    assert checked(scene).alarms == []
    again = invite(OFFER + "a=inactive\r\n", to_tag="psap", cseq=2)
    scene.carrier(again, at_s=10)
    scene.psap(answer(again, sdp(CALLED[0], "audio 40000 RTP/AVP 0, a=inactive")), at_s=10.1)
    assert scene.tell(DeadlineReached(), at_s=20).alarms == []


@pytest.mark.parametrize(
    ("held", "answered"),
    [
        (f"{OFFER}a=sendonly\r\n", "a=recvonly\r\n"),
        (f"{OFFER}a=recvonly\r\n", "a=sendonly\r\n"),
        (OFFER.replace(f"c=IN IP4 {CALLER[0]}", "c=IN IP4 0.0.0.0"), ""),
    ],
)
def test_who_puts_the_call_on_hold_may_send_nothing(held: str, answered: str) -> None:
    """RFC 3264 §8.4: music on hold is a courtesy. After the resume both must be heard again."""
    scene = MediaScene()
    scene.call()
    for n in range(10):
        scene.packet(CALLER, CALLED, rtp(n), at_s=2 + n / 50)
        scene.packet(CALLED, CALLER, rtp(n), at_s=2 + n / 50)
    assert checked(scene).alarms == []
    hold = invite(held, to_tag="psap", cseq=2)
    scene.carrier(hold, at_s=10)
    scene.psap(answer(hold, ANSWER + answered), at_s=10.1)
    assert scene.tell(DeadlineReached(), at_s=20).alarms == []
    resume = invite(OFFER, to_tag="psap", cseq=3)
    scene.carrier(resume, at_s=21)
    scene.psap(answer(resume), at_s=21.1)
    assert [each.alarm.code for each in scene.tell(DeadlineReached(), at_s=26).alarms] == ["emergency_media_lost"]


def renewed(scene: MediaScene, at_s: float, description: str = OFFER) -> None:
    """A re-INVITE of the caller, and its answer."""
    again = invite(description, to_tag="psap", cseq=round(at_s))
    scene.carrier(again, at_s=at_s)
    scene.psap(answer(again), at_s=at_s)
    scene.carrier(request("ACK", to_tag="psap", cseq=round(at_s)), at_s=at_s)


@pytest.mark.parametrize(
    ("spoke_until_s", "moves", "lost"), [(3.0, False, False), (900.0, False, True), (3.0, True, True)]
)
def test_who_is_mute_may_be_so_after_a_session_refresh_too(spoke_until_s: float, *, moves: bool, lost: bool) -> None:
    """RFC 4028, every 15 minutes. Who fell silent with it, or moved and is not heard there, is lost."""
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 3.0)
    scene.talk(1.5, 3.0, CALLED, CALLER)
    assert checked(scene).alarms == []
    scene.packet(CALLER, CALLED, rtp(99), at_s=spoke_until_s - 0.02)
    renewed(scene, 900, sdp("192.0.2.77", AUDIO) if moves else OFFER)
    scene.packet(CALLED, ("192.0.2.77", CALLER[1]) if moves else CALLER, rtp(100), at_s=901)
    told = scene.tell(DeadlineReached(), at_s=910)
    assert [each.alarm.code for each in told.alarms] == ["emergency_media_lost"] * lost
    (ended,) = scene.carrier(request("BYE", to_tag="psap", cseq=999), at_s=960).calls
    assert ended.outcome == ("impaired" if lost else "completed")


def test_who_never_came_is_missed_also_where_the_call_is_renewed_at_once() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 4.0)
    renewed(scene, 4)
    scene.talk(4.0, 5.0)
    (alarm,) = scene.tell(DeadlineReached(), at_s=9).alarms
    assert alarm.alarm.code == "emergency_media_lost"


MOVED = ("192.0.2.99", 49170)
STUN = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(12)


def talked(rules: str = ALL) -> MediaScene:
    """A call in which both sides were heard, and that has gone on for a minute."""
    scene = MediaScene(policy(rules))
    scene.call()
    scene.talk(1.5, 3.0)
    scene.talk(1.5, 3.0, CALLED, CALLER)
    assert checked(scene).alarms == []
    return scene


def test_who_sends_from_another_address_in_the_middle_of_a_call_is_missed_within_five_seconds() -> None:
    """A phone that goes into another network, and does not say so: RFC 3264 wants a re-INVITE, or it is not heard."""
    scene = talked()
    told = scene.talk(60, 66, MOVED)
    ((at_s, alarm),) = [(60 + number / 50, alarm) for number, each in enumerate(told) for alarm in each.alarms]
    assert at_s == 60 + CHECK_NS / SECOND
    assert "nothing of carrier reaches 198.51.100.10:40000: its packets came from 192.0.2.99" in alarm.alarm.message
    (ended,) = scene.carrier(request("BYE", to_tag="psap", cseq=9), at_s=90).calls
    assert (ended.outcome, ended.problem, ended.attribution) == ("impaired", "MediaLoss", "policy")


def test_a_daemon_that_sees_few_of_the_refused_packets_misses_who_moved_too() -> None:
    scene = talked()
    for number in range(3):
        moved = Datagram(*MOVED, *CALLED, rtp(number))
        assert scene.tell(MediaReceived(moved, "refused"), at_s=60 + number / 50).alarms == []
    assert [each.alarm.code for each in scene.tell(DeadlineReached(), at_s=64.1).alarms] == ["emergency_media_lost"]


@pytest.mark.parametrize(
    ("payloads", "talks"), [([rtp(n) for n in range(300)], True), ([rtp()], False), ([STUN] * 300, False)]
)
def test_what_strangers_send_alarms_nobody_while_the_call_is_heard_or_where_it_is_no_media(
    payloads: list[bytes], *, talks: bool
) -> None:
    scene = talked()
    told = []
    for number, payload in enumerate(payloads):
        if talks:
            scene.packet(CALLER, CALLED, rtp(100 + number), at_s=60 + number / 50)
        told.append(scene.packet(MOVED, CALLED, payload, at_s=60 + number / 50))
    told.append(scene.tell(DeadlineReached(), at_s=80))
    assert [alarm.alarm.code for each in told for alarm in each.alarms] == []
    (ended,) = scene.carrier(request("BYE", to_tag="psap", cseq=9), at_s=90).calls
    assert ended.outcome == "completed"


def test_strangers_packets_do_not_hide_who_moved() -> None:
    scene = talked()
    for number in range(100):
        scene.packet((f"192.0.2.{100 + number}", 4000), CALLED, at_s=60 + number / 100)
    told = scene.talk(61, 71, MOVED)
    assert [alarm.alarm.code for each in told for alarm in each.alarms] == ["emergency_media_lost"]


def test_a_call_on_hold_that_the_guard_saved_before_is_not_expected_to_be_heard() -> None:
    rule = "  - {name: talk, when: 'media.direction == \"sendrecv\"', action: drop}\n"
    scene = MediaScene(policy(rule + ALL, guard="enforce"))
    scene.call()
    scene.talk(1.2, 1.4)
    scene.talk(1.4, 1.6, CALLED, CALLER)
    assert checked(scene).alarms == []
    again = invite(OFFER + "a=inactive\r\n", to_tag="psap", cseq=2)
    scene.carrier(again, at_s=10)
    scene.psap(answer(again, ANSWER + "a=inactive\r\n"), at_s=10.1)
    assert scene.tell(DeadlineReached(), at_s=20).alarms == []
