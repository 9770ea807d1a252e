"""Trunks and their keep-alives."""

import pytest

from firewall.engine import trunk
from firewall.engine.record import HurtBy
from firewall.engine.trunk import BlockedKeepAlive, Trunks
from firewall.net.datagram import Datagram
from firewall.sip.message import Request, parse_message
from tests.messages import PSAP, request, response
from tests.scene import Scene, policy

NO_OPTIONS = """  - {name: no-options, when: 'sip.Method == "OPTIONS"', action: drop}
  - {name: all, action: allow}"""


def test_a_blocked_keep_alive_of_a_trunk_is_alarmed_once() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h"))
    told = scene.psap(request("OPTIONS", "sip:192.0.2.10", call_id="o1"), at_s=1)
    (alarm,) = told.alarms
    assert (alarm.alarm.code, alarm.alarm.rule, alarm.alarm.line) == ("keep_alive_blocked", "no-options", 9)
    assert scene.carrier(request("OPTIONS", "sip:h", call_id="o2"), at_s=31).alarms == []


def test_the_answer_to_a_keep_alive_counts_too() -> None:
    rules = """  - {name: no-answers, when: 'sip.CSeq.method == "OPTIONS" and sip.Status-Code', action: drop}
  - {name: all, action: allow}"""
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h"))
    options = request("OPTIONS", "sip:h", call_id="o1")
    assert scene.carrier(options, at_s=1).alarms == []
    assert [a.alarm.code for a in scene.psap(response(options), at_s=2).alarms] == ["keep_alive_blocked"]


def test_a_scanner_is_no_trunk() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h"))
    assert scene.carrier(request("OPTIONS", "sip:h", call_id="o1"), src=("203.0.113.66", 5060)).alarms == []


def test_an_options_inside_a_dialog_is_no_keep_alive() -> None:
    scene = Scene(policy(NO_OPTIONS))
    invite = request(uri="sip:6175550199@h")
    scene.carrier(invite)
    scene.psap(response(invite), at_s=1)
    assert scene.carrier(request("OPTIONS", "sip:h", to_tag="psap", cseq=2), at_s=2).alarms == []


def test_of_too_many_trunks_and_blocked_keep_alives_the_longest_unused_is_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trunk, "MAX_TRUNKS", 2)
    invite = parse_message(request())
    assert isinstance(invite, Request)
    trunks, between = Trunks(), [Datagram(f"192.0.2.{host}", 5060, *PSAP, b"") for host in range(4)]
    keep_alive = BlockedKeepAlive(0, HurtBy("OPTIONS", "drop", None, "policy.yaml", None, "no_rule"), "policy")
    for host in (1, 2, 1, 3):
        trunks.passed(invite, between[host])
        trunks.blocked(invite, between[host], keep_alive)
    assert [trunks.knows(each) for each in between] == [False, True, False, True]
    assert [trunks.taken_down(each, 0) for each in between] == [None, keep_alive, None, keep_alive]
