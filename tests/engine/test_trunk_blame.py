"""An emergency call that fails on a trunk whose keep-alives we blocked is our doing."""

import pytest

from firewall.engine.events import DatagramReceived
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, request, response
from tests.replay.told import story_of
from tests.scene import ALL, Scene, Told, drop, policy

NO_OPTIONS = drop("OPTIONS")


def failed_on_a_trunk(scene: Scene, *, at_s: float, status: int = 503) -> Told:
    invite = request(call_id="late")
    scene.carrier(invite, at_s=at_s)
    return scene.psap(response(invite, status), at_s=at_s + 0.1)


def keep_alive(number: int) -> bytes:
    return request("OPTIONS", "sip:192.0.2.10", call_id=f"keep-alive-{number}")


def test_a_call_that_fails_on_a_trunk_whose_keep_alive_we_blocked_is_the_policys() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    told = failed_on_a_trunk(scene, at_s=70)
    (call,) = told.calls
    assert (call.outcome, call.problem, call.attribution) == ("failed_downstream", None, "policy")
    assert call.hurt_by is not None
    assert (call.hurt_by.rule, call.hurt_by.line, call.hurt_by.message) == (
        "no-options",
        9,
        "OPTIONS sip:192.0.2.10",
    )
    (alarm,) = told.alarms
    assert 'had blocked a keep-alive of its trunk before: OPTIONS sip:192.0.2.10; drop by rule "no-options"' in (
        alarm.alarm.message
    )


def test_a_keep_alive_that_passes_since_is_the_end_of_the_cause() -> None:
    rules = "  - {name: cap, when: 'sip.Method == \"OPTIONS\"', limit: {rate: 1/10s, burst: 1}, action: drop}\n" + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=1)
    assert scene.psap(keep_alive(2), at_s=2).verdict == "drop"
    scene.psap(keep_alive(3), at_s=40)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=70).calls] == ["downstream"]


def test_a_keep_alive_the_other_way_says_nothing_of_the_one_that_was_blocked() -> None:
    rules = '  - {name: no-options, when: \'sip.Method == "OPTIONS" and zone.src == "psap"\', action: drop}\n' + ALL
    scene = Scene(policy(rules))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    scene.carrier(response(keep_alive(1)), at_s=20.1)  # of a capture in which the question passed
    scene.carrier(keep_alive(2), at_s=21)
    scene.psap(response(keep_alive(2)), at_s=21.1)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=70).calls] == ["policy"]


@pytest.mark.parametrize("status", [486, 603])
def test_a_called_side_that_says_it_is_busy_was_reached(status: int) -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    told = failed_on_a_trunk(scene, at_s=70, status=status)
    assert [call.attribution for call in told.calls] == ["downstream"]
    assert "keep-alive" not in told.alarms[0].alarm.message


def test_a_keep_alive_that_was_blocked_long_ago_is_no_cause() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    assert [call.attribution for call in failed_on_a_trunk(scene, at_s=3700).calls] == ["downstream"]


def test_a_call_that_is_tried_next_on_a_trunk_we_took_down_is_the_policys_too() -> None:
    scene = Scene(policy(NO_OPTIONS))
    scene.carrier(request(uri="sip:6175550199@h", call_id="before"))
    scene.psap(keep_alive(1), at_s=20)
    invite, again = request(branch="z9hG4bK-1"), request(branch="z9hG4bK-2", cseq=2)
    told = [scene.tell(DatagramReceived(Datagram(*CARRIER, "198.51.100.20", 5060, invite)), at_s=70)]
    answer = Datagram("198.51.100.20", 5060, *CARRIER, response(invite, 503, to_tag="other"))
    told += [scene.tell(DatagramReceived(answer), at_s=71), scene.carrier(again, at_s=72)]
    told.append(scene.psap(response(again, 503), at_s=73))
    assert [call.attribution for each in told for call in each.calls] == ["downstream", "policy"]
    cause = story_of(*told).cause
    assert cause is not None
    assert "sosgate itself took the trunk down" in cause
