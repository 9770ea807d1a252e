"""Emergency calls of which a try could not be sent on (RFC 3263 §4.3: the caller goes elsewhere)."""

import pytest

from firewall.engine.events import ForwardFailed
from firewall.net.datagram import Datagram
from tests.messages import CARRIER, PSAP, request, response
from tests.scene import ALL, Scene, policy


def lost_invite(branch: str) -> ForwardFailed:
    invite = request(branch=branch)
    return ForwardFailed(Datagram(*CARRIER, *PSAP, invite, "TCP"), "no answer within 5 s", downstream=True)


@pytest.mark.parametrize("answered_s", [2.0, 8.0])
def test_a_call_that_another_psap_answers_is_not_lost_with_the_try_at_a_dead_one(answered_s: float) -> None:
    """RFC 3263 §4.3: the caller has gone elsewhere long before a connection is given up."""
    scene = Scene(policy(ALL))
    again = request(branch="z9hG4bK-b")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(again, at_s=1.5)
    answers = response(again, 200)
    if answered_s < 5:
        scene.psap(answers, at_s=answered_s)
    told = scene.tell(lost_invite("z9hG4bK-a"), at_s=5)
    assert [a.alarm.code for a in told.alarms] == ["forward_failed"]
    assert told.calls == []
    if answered_s > 5:
        scene.psap(answers, at_s=answered_s)
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=20).calls
    assert (call.outcome, call.problem, call.attribution) == ("completed", None, None)
    assert scene.tell(lost_invite("z9hG4bK-a"), at_s=21).calls == []


def test_a_call_of_which_no_try_reaches_a_psap_has_failed_with_the_last() -> None:
    scene = Scene(policy(ALL))
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(request(branch="z9hG4bK-b"))
    assert scene.tell(lost_invite("z9hG4bK-a"), at_s=5).calls == []
    (call,) = scene.tell(lost_invite("z9hG4bK-b"), at_s=5.1).calls
    assert (call.outcome, call.attribution) == ("failed_downstream", "downstream")
    assert scene.stops(at_s=60).calls == []


def test_a_refusal_is_the_end_when_the_other_try_could_not_be_sent_on() -> None:
    scene = Scene(policy(ALL))
    refused = request(branch="z9hG4bK-b")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(refused)
    scene.tell(lost_invite("z9hG4bK-a"), at_s=5)
    (call,) = scene.psap(response(refused, 503), at_s=6).calls
    assert (call.outcome, call.final_status) == ("failed_downstream", 503)


def test_who_gives_up_a_call_that_could_not_be_sent_on_loses_nothing_more() -> None:
    scene = Scene(policy(ALL))
    cancel = request("CANCEL", branch="z9hG4bK-a")
    scene.carrier(request(branch="z9hG4bK-a"))
    scene.carrier(cancel, at_s=3)
    (call,) = scene.tell(lost_invite("z9hG4bK-a"), at_s=5).calls
    lost = ForwardFailed(Datagram(*CARRIER, *PSAP, cancel, "TCP"), "no answer within 5 s", downstream=True)
    assert (call.outcome, scene.tell(lost, at_s=5).calls) == ("failed_downstream", [])


def test_a_call_is_complete_whose_caller_closes_its_connection_behind_its_bye() -> None:
    scene = Scene(policy(ALL))
    invite, bye = request(), request("BYE", to_tag="psap", cseq=2)
    scene.carrier(invite)
    scene.psap(response(invite, 200), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1)
    (call,) = scene.carrier(bye, at_s=20).calls
    answer = response(bye, 200)
    scene.psap(answer, at_s=20)
    lost = ForwardFailed(Datagram(*PSAP, *CARRIER, answer, "TCP"), "Broken pipe", downstream=True)
    told = scene.tell(lost, at_s=20)
    assert (call.outcome, told.calls) == ("completed", [])
    assert [a.alarm.code for a in told.alarms] == ["forward_failed"]
    assert scene.stops(at_s=60).calls == []
