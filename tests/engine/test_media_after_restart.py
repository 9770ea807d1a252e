"""Media of calls that were up when the daemon started anew: from the log, from the kernel, from what passes."""

import pytest

from firewall.engine.events import (
    DeadlineReached,
    Event,
    InterceptionLost,
    MediaReceived,
    PinholesRecovered,
    Started,
)
from firewall.engine.outputs import Write
from firewall.engine.record import encode
from firewall.net.datagram import Datagram
from tests.media import (
    ANSWER,
    ANY,
    CALLED,
    CALLER,
    FROM_CALLED,
    FROM_CALLER,
    OFFER,
    MediaScene,
    answer,
    flows,
    invite,
    reasons,
    rtp,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, Told, policy


def test_after_an_earlier_run_media_of_unknown_calls_passes_for_an_hour_and_that_to_known_ports_does_not() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    scene.call()
    unknown = (CALLED[0], 44000)
    assert reasons(scene.packet((CALLER[0], 45000), unknown, at_s=2)) == [("opened", "media_takeover")]
    assert scene.to(unknown) == FROM_CALLER
    assert reasons(scene.packet(("192.0.2.66", 45000), unknown, at_s=2)) == [("refused", "media_wrong_source")]
    assert reasons(scene.packet(("192.0.2.66", 45000), CALLED, at_s=2)) == [("refused", "media_wrong_source")]
    late = reasons(scene.packet((CALLER[0], 45000), (CALLED[0], 46000), at_s=3601))
    assert late[-1] == ("refused", "media_not_negotiated")


def test_after_messages_passed_unseen_media_of_unknown_calls_passes_as_after_a_restart() -> None:
    scene = MediaScene()
    scene.tell(InterceptionLost("the nftables table", "unseen"), at_s=1)
    assert reasons(scene.packet(CALLER, CALLED, at_s=2)) == [("opened", "media_takeover")]


def test_what_was_copied_while_a_new_daemon_learned_the_calls_has_passed() -> None:
    scene = MediaScene()
    scene.tell(Started(takeover=True), at_s=0)
    for n, expected in ((0, [("opened", "media_takeover")]), (1, [])):
        told = scene.tell(MediaReceived(Datagram(*CALLER, *CALLED, rtp(n)), "refused"), at_s=1 + n / 50)
        assert reasons(told) == expected


def after_a_restart(
    *, by_log: bool, by_kernel: bool, ended: bool = False, shared: bool = False, rings: bool = False
) -> MediaScene:
    before = MediaScene()
    log: list[bytes] = []
    tell = before.tell

    def recorded(event: Event, *, at_s: float) -> Told:
        told = tell(event, at_s=at_s)
        log.extend(encode(o.record) for o in told.outputs if isinstance(o, Write))
        return told

    before.tell = recorded  # type: ignore[method-assign]
    if rings:
        before.carrier(invite())
        before.psap(answer(invite(), status=183, to_tag="queue"), at_s=1)
    else:
        before.call()
    if shared:
        second = invite(call_id="second", from_tag="b")
        before.carrier(second, at_s=2)
        before.psap(answer(second), at_s=2.5)
    if ended:
        before.carrier(request("BYE", to_tag="psap", cseq=2), at_s=3)
        before.tell(DeadlineReached(), at_s=4)
    else:
        before.stops(at_s=4)
    left_open = dict(before.open) if by_kernel else {}
    scene = MediaScene(open=left_open, takeover=True, past=log if by_log else (), at_s=60)
    if by_kernel:
        scene.tell(PinholesRecovered(tuple(before.open.values())), at_s=60)
    return scene


@pytest.mark.parametrize(("by_log", "by_kernel"), [(True, False), (True, True)])
def test_after_a_restart_the_pinholes_of_calls_are_known_again_and_their_bye_closes_them(
    by_log: bool, by_kernel: bool
) -> None:
    scene = after_a_restart(by_log=by_log, by_kernel=by_kernel)
    assert (scene.to(CALLER), scene.to(CALLED)) == (FROM_CALLED, FROM_CALLER)
    assert all(pinhole.is_emergency for pinhole in scene.open.values())
    assert scene.packet(CALLER, CALLED, at_s=61).outputs == []
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=70)
    scene.tell(DeadlineReached(), at_s=71)
    assert scene.open == {}


@pytest.mark.parametrize(("by_log", "by_kernel"), [(True, False), (True, True)])
def test_who_answers_a_ringing_call_while_no_daemon_runs_is_heard_and_hears_until_the_bye(
    by_log: bool, by_kernel: bool
) -> None:
    scene = after_a_restart(by_log=by_log, by_kernel=by_kernel, rings=True)
    taker = (CALLED[0], 42000)
    assert reasons(scene.packet(CALLER, taker, at_s=61)) == [("opened", "media_takeover")]
    assert (scene.to(taker), scene.open[next(iter(scene.open))].is_emergency) == (FROM_CALLER, True)
    assert scene.packet(taker, CALLER, at_s=61).outputs == []
    scene.carrier(request("BYE", to_tag="queue", cseq=2), at_s=70)
    scene.tell(DeadlineReached(), at_s=71)
    assert scene.to(taker) == []
    (refused,) = flows(scene.packet(CALLER, taker, at_s=72))
    assert (refused.decision.reason, refused.call_id) == ("media_closed", "call-1@192.0.2.10")


@pytest.mark.parametrize("is_answered_again", [True, False])
def test_an_invite_that_is_repeated_after_a_restart_keeps_nothing_open_beyond_the_bye(is_answered_again: bool) -> None:
    """A loaded called side answers late, so that the caller repeats its INVITE (RFC 3261 §17.1.1.2)."""
    scene = after_a_restart(by_log=True, by_kernel=True)
    again = invite(sdp(CALLER[0], f"audio {CALLER[1]} RTP/AVP 0"))
    scene.carrier(again, at_s=61)
    if is_answered_again:
        scene.psap(answer(again), at_s=61.1)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=70)
    scene.tell(DeadlineReached(), at_s=71)
    assert scene.open == {}


def test_after_a_restart_a_new_offer_keeps_the_ways_until_its_answer() -> None:
    scene = after_a_restart(by_log=True, by_kernel=True)
    again = invite(sdp(CALLER[0], "audio 50000 RTP/AVP 0"), to_tag="psap", cseq=2)
    scene.carrier(again, at_s=61)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000))) == (FROM_CALLED, ANY)
    scene.psap(answer(again), at_s=61.1)
    scene.tell(DeadlineReached(), at_s=63)
    assert (scene.to(CALLER), scene.to((CALLER[0], 50000)), scene.to(CALLED)) == ([], FROM_CALLED, FROM_CALLER)


def test_what_the_kernel_has_of_no_known_call_stays_until_it_is_silent_for_the_time_out() -> None:
    scene = after_a_restart(by_log=False, by_kernel=True)
    assert scene.packet(CALLER, CALLED, at_s=3000).outputs == []
    scene.tell(DeadlineReached(), at_s=3700)
    assert scene.to(CALLED) == FROM_CALLER
    assert scene.to(CALLER) == []


def test_a_call_that_ended_before_the_restart_opens_nothing() -> None:
    assert after_a_restart(by_log=True, by_kernel=False, ended=True).open == {}


@pytest.mark.parametrize("by_kernel", [True, False])
def test_after_a_restart_a_way_that_calls_share_stays_until_the_last_of_them_ends(by_kernel: bool) -> None:
    scene = after_a_restart(by_log=True, by_kernel=by_kernel, shared=True)
    scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=61)
    scene.tell(DeadlineReached(), at_s=62)
    assert scene.to(CALLED) == FROM_CALLER
    scene.carrier(request("BYE", call_id="second", from_tag="b", to_tag="psap", cseq=2), at_s=63)
    scene.tell(DeadlineReached(), at_s=64)
    assert scene.open == {}


def test_a_caller_behind_nat_who_is_answered_after_a_restart_is_heard_and_hears() -> None:
    first, outside = invite(sdp("10.0.0.5", "audio 49170 RTP/AVP 0")), (CALLER[0], 61000)
    told = MediaScene(policy(ALL, guard="enforce")).carrier(first)
    log = [encode(o.record) for o in told.outputs if isinstance(o, Write)]
    scene = MediaScene(policy(ALL, guard="enforce"), takeover=True, past=log, at_s=4)
    scene.psap(answer(first), at_s=5)
    assert scene.packet(outside, CALLED, at_s=6).outputs == []
    assert reasons(scene.packet(CALLED, outside, at_s=6.1)) == [("opened", "media_takeover")]
    assert scene.to(outside) == FROM_CALLED


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_a_call_that_is_put_on_hold_after_a_restart_is_not_expected_to_be_heard(direction: str) -> None:
    scene = after_a_restart(by_log=True, by_kernel=True)
    scene.packet(CALLER, CALLED, at_s=61)
    hold = invite(OFFER + f"a={direction}\r\n", to_tag="psap", cseq=2)
    scene.carrier(hold, at_s=62)
    scene.psap(answer(hold, ANSWER + "a=recvonly\r\n"), at_s=62.1)
    assert scene.tell(DeadlineReached(), at_s=70).alarms == []
    resumed = invite(OFFER, to_tag="psap", cseq=3)
    scene.carrier(resumed, at_s=80)
    scene.psap(answer(resumed), at_s=80.1)
    assert [each.alarm.code for each in scene.tell(DeadlineReached(), at_s=90).alarms] == ["emergency_media_lost"]
