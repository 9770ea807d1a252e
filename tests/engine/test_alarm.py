"""Alarms: each code has its words, and a repeated cause is told once."""

from typing import get_args

import pytest

from firewall.engine.alarm import REPEAT_NS, AlarmMemory, forward_alarm
from firewall.engine.alarm_words import ALARMS
from firewall.engine.clock import Clock
from firewall.engine.record import AlarmCode
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from tests.messages import request, response
from tests.scene import Scene, drop, policy


def test_every_alarm_has_its_words() -> None:
    assert list(ALARMS) == list(get_args(AlarmCode))


def test_an_alarm_is_told_once_for_each_subject_and_again_when_it_goes_on() -> None:
    memory = AlarmMemory(Clock())

    def is_first(at_ns: int, *subject: str) -> bool:
        memory.clock.now_ns = at_ns
        return memory.first(*subject)

    assert is_first(0, "call", "rule")
    assert not is_first(REPEAT_NS - 1, "call", "rule")
    assert is_first(0, "call", "other rule")
    assert is_first(REPEAT_NS, "call", "rule")
    assert not is_first(REPEAT_NS + 1, "call", "rule")


def test_the_memory_is_bounded() -> None:
    memory = AlarmMemory(Clock())
    memory.first("call")
    for number in range(20_000):
        memory.first(str(number))
    assert memory.first("call"), "long forgotten"


def test_an_ipv6_address_stands_in_brackets_before_its_port() -> None:
    lost = Facts(Datagram("2001:db8:1::10", 5060, "2001:db8:2::10", 5060, b""))
    assert "from [2001:db8:1::10]:5060 to [2001:db8:2::10]:5060" in forward_alarm(lost, "no route", 0).alarm.message


@pytest.mark.parametrize(
    ("uri", "headers", "words"),
    [
        ("sip:911@h", (), "emergency call"),
        ("sip:933@h", (), "emergency test call"),
        ("sip:u@h", ("Priority: psap-callback",), "emergency callback"),
    ],
)
def test_an_alarm_says_whether_it_is_about_a_call_a_test_or_a_callback(
    uri: str, headers: tuple[str, ...], words: str
) -> None:
    scene = Scene(policy(drop("ACK"), guard="enforce"))
    invite = request(uri=uri, headers=headers)
    scene.carrier(invite)
    (refused,) = scene.psap(response(invite, 486), at_s=1).alarms
    again = request(uri=uri, headers=headers, call_id="again")
    scene.carrier(again, at_s=2)
    scene.psap(response(again), at_s=3)
    (guarded,) = scene.carrier(request("ACK", uri, call_id="again", to_tag="psap"), at_s=3).alarms
    assert refused.alarm.message.startswith(f"{words} refused with status 486 by the called side: INVITE ")
    assert guarded.alarm.message.startswith(f"{words} would have been blocked, the guard let it pass: ACK ")
