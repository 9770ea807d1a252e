"""Alarms about the firewall itself: each at once, and again when it goes on, by a clock that nobody sets."""

from firewall.engine.events import DatagramsLost, HandoverLost, InterceptionLost, PinholesRefused
from tests.messages import request
from tests.scene import ALL, Scene, policy


def test_datagrams_that_the_kernel_dropped_are_told_at_once_and_at_each_tenfold() -> None:
    scene = Scene(policy(ALL))
    (alarm,) = scene.tell(DatagramsLost(7, "64 of 64 read at the time are from 203.0.113.66"), at_s=1).alarms
    assert alarm.alarm.code == "datagrams_lost"
    assert alarm.alarm.message.startswith("7 datagrams were lost since the start, perhaps of emergency calls: ")
    assert alarm.alarm.message.endswith("64 of 64 read at the time are from 203.0.113.66")
    assert [bool(scene.tell(DatagramsLost(lost, ""), at_s=2).alarms) for lost in (9, 10, 99, 100)] == [0, 1, 0, 1]


def test_a_piece_of_the_interception_that_is_gone_is_told_once_and_its_return_too() -> None:
    scene = Scene(policy(ALL))
    gone, back = InterceptionLost("the route", "lost", "Network is down"), InterceptionLost("the route", "lost")
    told = [scene.tell(event, at_s=number).alarms for number, event in enumerate((gone, gone, back))]
    assert [len(alarms) for alarms in told] == [1, 0, 1]
    assert "are lost, for it cannot be put back: Network is down" in told[0][0].alarm.message
    assert "were lost until it was put back" in told[2][0].alarm.message


def test_messages_that_were_not_handed_over_are_told_at_once_and_at_each_tenfold() -> None:
    scene = Scene(policy(ALL))
    told = [scene.tell(HandoverLost(lost), at_s=1).alarms for lost in (1, 9, 10, 99)]
    assert [[alarm.alarm.code for alarm in alarms] for alarms in told] == [
        ["interception_lost"],
        [],
        ["interception_lost"],
        [],
    ]
    assert told[2][0].alarm.message.startswith("10 messages that the kernel was to hand to sosgate were lost since")
    assert told[0][0].alarm.message.startswith("1 message that the kernel was to hand to sosgate was lost since")


def test_what_the_kernel_refuses_of_media_is_told_once_in_ten_minutes() -> None:
    scene = Scene(policy(ALL))
    told = [scene.tell(PinholesRefused("Too many open files"), at_s=at_s).alarms for at_s in (1, 2, 599, 602)]
    assert [[alarm.alarm.code for alarm in alarms] for alarms in told] == [["pinholes"], [], [], ["pinholes"]]
    assert told[0][0].alarm.message == "the kernel refuses a change of the sets of media: Too many open files"


def test_a_clock_that_was_set_back_keeps_no_alarm_from_being_said_again() -> None:
    scene = Scene(policy(f'  - {{name: no-options, when: sip.Method == "OPTIONS", action: drop}}\n{ALL}'))
    ordinary = "sip:6175550199@h"
    scene.carrier(request(uri=ordinary))
    codes = [
        [alarm.alarm.code for alarm in scene.carrier(request("OPTIONS", ordinary, call_id="k"), at_s=at_s).alarms]
        for at_s in (90_000, 90_001, 1, 300, 700)
    ]
    assert codes == [["keep_alive_blocked"], [], [], [], ["keep_alive_blocked"]]
