"""An answered emergency call must be heard in both directions, within five seconds (NENA: MediaLoss)."""

from typing import Literal

import pytest

from firewall.engine.events import DatagramReceived, DeadlineReached, FlowsCounted, MediaReceived
from firewall.engine.media_check import CHECK_NS
from firewall.engine.pinhole import FlowCount
from firewall.net.datagram import Datagram
from firewall.ruleset.load import load_policy
from tests.media import AUDIO, CALLED, CALLER, MediaScene, answer, checked, flows, invite, rtp, sdp
from tests.messages import CARRIER, PSAP, request
from tests.scene import ALL, SECOND, START, NoFiles, policy

_AUDIO_ANSWER = "audio 40000 RTP/AVP 0"


def test_a_call_that_is_heard_both_ways_is_completed() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 1.6)
    scene.talk(1.6, 1.7, CALLED, CALLER)
    assert checked(scene).alarms == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls
    assert (call.outcome, call.media_loss) == ("completed", ())


@pytest.mark.parametrize(
    ("src", "dst", "silent", "attribution"),
    [(CALLER, CALLED, "psap", "downstream"), (CALLED, CALLER, "carrier", "caller")],
)
def test_one_way_audio_is_impaired_with_the_side_and_an_alarm(
    src: tuple[str, int], dst: tuple[str, int], silent: str, attribution: str
) -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 1.6, src, dst)
    told = checked(scene)
    (alarm,), (call,) = told.alarms, told.calls
    assert alarm.alarm.code == "emergency_media_lost"
    assert f"nothing of {silent} reaches {src[0]}:{src[1]}: nothing came" in alarm.alarm.message
    assert (call.outcome, call.problem, call.attribution) == ("impaired", "MediaLoss", attribution)
    assert [(loss.side, loss.packets, loss.reason) for loss in call.media_loss] == [(silent, 0, None)]
    (ended,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls
    assert (ended.outcome, ended.problem) == ("impaired", "MediaLoss")


def test_no_media_at_all_names_both_sides() -> None:
    scene = MediaScene()
    scene.call()
    scene.tell(FlowsCounted(()), at_s=2)
    (call,) = checked(scene).calls
    assert {loss.side for loss in call.media_loss} == {"carrier", "psap"}


def test_a_capture_without_any_media_says_nothing_about_it() -> None:
    scene = MediaScene()
    scene.call()
    assert checked(scene).alarms == []


_STUN = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
_NO_RTP = "no RTP came, only what sets media up or tells of it (STUN, DTLS, RTCP)"


def test_a_side_that_only_tries_to_set_media_up_is_not_heard() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 1.6)
    for second in range(1, 5):
        scene.packet(CALLED, CALLER, _STUN, at_s=second + 0.5)
    (call,) = checked(scene).calls
    assert [(loss.side, loss.cause) for loss in call.media_loss] == [("psap", _NO_RTP)]


@pytest.mark.parametrize("packets", [20, 200])
@pytest.mark.parametrize("last", [_STUN, rtp()], ids=["set-up", "voice"])
def test_copies_tell_that_what_the_kernel_counted_only_sets_media_up(packets: int, last: bytes) -> None:
    scene = MediaScene()
    scene.call()
    for at_s, payload in ((1.5, _STUN), (2.5, last)):
        scene.tell(MediaReceived(Datagram(*CALLED, *CALLER, payload), copied="sample"), at_s=at_s)
    keys = [key for key, hole in scene.open.items() if hole.kind == "rtp"]
    scene.tell(FlowsCounted(tuple(FlowCount(key, packets, 8600) for key in keys)), at_s=4.9)
    causes = [loss.cause for call in checked(scene).calls for loss in call.media_loss]
    assert causes == [_NO_RTP] * (last == _STUN)


def test_of_who_was_heard_before_the_answer_only_what_comes_after_it_counts() -> None:
    scene, first = MediaScene(), invite()
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=0.1)
    scene.talk(0.2, 0.8, CALLED, CALLER)
    scene.psap(answer(first), at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    scene.talk(1.5, 1.6)
    scene.packet(CALLED, CALLER, _STUN, at_s=2)
    (call,) = checked(scene).calls
    assert [(loss.side, loss.cause) for loss in call.media_loss] == [("psap", _NO_RTP)]


@pytest.mark.parametrize("is_one_heard", [False, True])
def test_two_sides_of_one_zone_of_which_nothing_comes_speak_past_the_firewall(*, is_one_heard: bool) -> None:
    """Their signalling goes to a proxy of the other zone and back; where one is heard here, both should be."""
    scene, (proxy, _), called = MediaScene(), CARRIER, ("198.51.100.30", 40000)
    first, second = (invite(sdp(PSAP[0], AUDIO), branch=f"z9hG4bK-{each}") for each in ("to", "fro"))
    final = sdp(called[0], _AUDIO_ANSWER)
    for raw, src, dst in (
        (first, PSAP[0], proxy),
        (second, proxy, called[0]),
        (answer(second, final), called[0], proxy),
        (answer(first, final), proxy, PSAP[0]),
    ):
        scene.tell(DatagramReceived(Datagram(src, 5060, dst, 5060, raw)), at_s=1)
    scene.tell(FlowsCounted(()), at_s=2)
    if is_one_heard:
        scene.talk(2, 3, called, (PSAP[0], 49170))
    assert len(checked(scene).alarms) == is_one_heard


@pytest.mark.parametrize("guard", ["off", "enforce"])
@pytest.mark.parametrize("is_one_heard", [False, True])
def test_a_b2bua_that_calls_back_into_the_callers_zone_with_both_descriptions_is_passed_by(
    guard: str, *, is_one_heard: bool
) -> None:
    """It is on the way of the signalling alone. Where something of either comes here, both should be heard."""
    scene, other = MediaScene(policy(ALL, guard=guard)), ("192.0.2.30", 13000)
    first, second = invite(), invite(call_id="onward", from_tag="b2bua")
    final = sdp(other[0], f"audio {other[1]} RTP/AVP 0 101")
    told = [scene.carrier(first)]
    for raw, src, dst in (
        (second, PSAP[0], other[0]),
        (answer(second, final), other[0], PSAP[0]),
        (answer(first, final), PSAP[0], CARRIER[0]),
    ):
        told.append(scene.tell(DatagramReceived(Datagram(src, 5060, dst, 5060, raw)), at_s=1))
    scene.tell(FlowsCounted(()), at_s=2)
    if is_one_heard:
        scene.talk(2, 3, other, CALLER)
    assert [alarm for each in told for alarm in each.alarms] == []
    assert bool(checked(scene).alarms) == is_one_heard


@pytest.mark.parametrize("world", ["0.0.0.0/0", "0.0.0.0/1, 128.0.0.0/1"])
@pytest.mark.parametrize("named", ["10.1.2.3", "203.0.113.77"])
@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_who_names_an_address_that_only_a_zone_of_the_whole_world_has_speaks_not_past_the_firewall(
    world: str, named: str, guard: str
) -> None:
    """A called side behind a NAT, say, whose private address is in every zone that takes all addresses."""
    zones = f"zones: {{psap: {{networks: [198.51.100.0/24]}}, carrier: {{networks: [{world}]}}}}"
    zones = f"policy: test\n{zones}\nemergency: {{numbers: ['911'], from: [carrier], to: [psap], guard: {guard}}}\n"
    text = f"{zones}rules:\n{ALL}\ndefault: drop\n"
    scene = MediaScene(load_policy(text.encode(), file="policy.yaml", sources=NoFiles()))
    first = invite()
    scene.carrier(first)
    told = scene.psap(answer(first, sdp(named, "audio 40000 RTP/AVP 0 101")), at_s=1)
    assert [alarm.alarm.reason for alarm in told.alarms] == ["media_third_party"]
    scene.tell(FlowsCounted(()), at_s=2)
    assert {loss.side for call in checked(scene).calls for loss in call.media_loss} == {"carrier", "psap"}


def test_what_the_kernel_counted_is_heard() -> None:
    scene = MediaScene()
    scene.call()
    keys = [key for key, hole in scene.open.items() if hole.kind == "rtp"]
    scene.tell(FlowsCounted((FlowCount(keys[0], 50, 8600),)), at_s=2)
    (call,) = checked(scene).calls
    assert [loss.dest_ip for loss in call.media_loss] == [keys[1].dst_ip]


def test_early_media_that_the_kernel_had_not_yet_told_of_is_nothing_that_was_heard_after_the_answer() -> None:
    """Counts are up to a second old: at the answer those of that instant are asked for, as a capture has them."""
    scene, first = MediaScene(), invite()
    scene.carrier(first)
    scene.psap(answer(first, status=183), at_s=0.2)
    keys = [key for key, hole in scene.open.items() if hole.kind == "rtp" and key.src_ip is not None]
    scene.tell(FlowsCounted(tuple(FlowCount(key, 20, 3440) for key in keys)), at_s=1.0)
    scene.psap(answer(first), at_s=1.9)
    assert scene.engine.next_deadline() == START + round(1.9 * SECOND)
    assert set(keys) <= set(scene.engine.media_due(START + round(1.9 * SECOND)))
    scene.tell(FlowsCounted(tuple(FlowCount(key, 65, 11180) for key in keys)), at_s=1.9)
    scene.carrier(request("ACK", to_tag="psap"), at_s=2)
    heard, silent = keys
    scene.tell(FlowsCounted((FlowCount(heard, 200, 34400),)), at_s=5)
    (call,) = scene.tell(DeadlineReached(), at_s=5.9).calls
    assert [(loss.dest_ip, loss.packets) for loss in call.media_loss] == [(silent.dst_ip, 65)]


def test_media_from_another_address_than_negotiated_names_the_setting() -> None:
    scene = MediaScene(policy(ALL, more="media: {source: address}"))
    scene.call()
    scene.talk(1.5, 1.6)
    scene.talk(1.5, 1.6, ("198.51.100.77", 40000), CALLER)
    told = checked(scene)
    (alarm,) = told.alarms
    assert "its packets came from 198.51.100.77 instead" in alarm.alarm.message
    assert "media.source address (policy.yaml:7)" in alarm.alarm.message
    assert (alarm.alarm.line, told.calls[0].attribution) == (7, "policy")


@pytest.mark.parametrize(("copied", "count"), [("all", "(5 packets"), ("refused", "(at least 5 packets")])
def test_how_many_packets_were_refused_is_said_as_it_is_known(copied: Literal["all", "refused"], count: str) -> None:
    """Live only the first copies of a refused flow come."""
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 1.6)
    for n in range(5):
        datagram = Datagram("198.51.100.77", 40000, *CALLER, rtp(n))
        scene.tell(MediaReceived(datagram, copied=copied), at_s=2 + n / 50)
    (alarm,) = checked(scene).alarms
    assert f"{count} refused by media.source address" in alarm.alarm.message


def test_a_fork_that_did_not_answer_is_not_expected_to_be_heard() -> None:
    scene, first = MediaScene(), invite(sdp(CALLER[0], AUDIO, "audio 49180 RTP/AVP 0"))
    scene.carrier(first)
    rings = sdp(CALLED[0], "audio 41000 RTP/AVP 0", "audio 41002 RTP/AVP 0")
    scene.psap(answer(first, rings, 183, to_tag="rings"), at_s=0.5)
    answered = sdp(CALLED[0], _AUDIO_ANSWER, "audio 40002 RTP/AVP 0, a=recvonly")
    scene.psap(answer(first, answered, to_tag="answers"), at_s=1)
    scene.carrier(request("ACK", to_tag="answers"), at_s=1.1)
    scene.talk(1.3, 1.4, CALLED, CALLER)
    (call,) = checked(scene).calls
    lost = [(loss.side, loss.dest_port) for loss in call.media_loss]
    assert lost == [("carrier", 40000), ("carrier", 40002)], "the fork that answered takes two voices and hears none"


def test_what_shadow_mode_lets_pass_is_heard_and_silence_is_told_all_the_same() -> None:
    for sent, lost in ((True, []), (False, ["nothing came"])):
        scene = MediaScene(policy(ALL, more="media: {mode: shadow}"))
        scene.call()
        scene.talk(1.5, 1.6)
        if sent:
            scene.talk(1.5, 1.6, ("198.51.100.77", 40000), CALLER)
        assert [loss.cause for call in checked(scene).calls for loss in call.media_loss] == lost


def test_media_to_a_port_that_was_not_negotiated_is_told_as_that() -> None:
    scene = MediaScene()
    scene.call()
    scene.talk(1.5, 1.6)
    scene.talk(1.5, 1.6, CALLED, (CALLER[0], 49999))
    (alarm,) = checked(scene).alarms
    assert "port 49999, which was not negotiated" in alarm.alarm.message


_VIDEO = "video {} RTP/AVP 97, a=rtpmap:97 H264/90000"


def video_call(*, more: str = "", with_audio: bool = True) -> MediaScene:
    """A call in which both sides agree to send video."""
    scene = MediaScene(policy(ALL, more=more))
    offered = [AUDIO] * with_audio + [_VIDEO.format(49180)]
    answered = [_AUDIO_ANSWER] * with_audio + [_VIDEO.format(40010)]
    scene.call(offer=sdp(CALLER[0], *offered), answered=sdp(CALLED[0], *answered))
    return scene


def test_a_camera_that_is_off_hurts_no_call_that_is_heard() -> None:
    scene = video_call()
    scene.talk(1.2, 1.4)
    scene.talk(1.2, 1.4, CALLED, CALLER)
    scene.talk(1.2, 1.4, (CALLER[0], 49180), (CALLED[0], 40010))
    assert checked(scene).alarms == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls
    assert (call.outcome, call.media_loss) == ("completed", ())
    closed = {
        r.dest_port: r.rtp.packets for r in flows(scene.tell(DeadlineReached(), at_s=61)) if r.rtp.kind == "video"
    }
    assert (closed[40010], closed[49180]) == (10, 0), "the log tells who sent no picture"


def test_beside_video_the_voice_that_is_missing_is_alarmed_alone() -> None:
    scene = video_call()
    scene.talk(1.2, 1.4)
    told = checked(scene)
    assert [loss.dest_port for loss in told.calls[0].media_loss] == [CALLER[1]]
    assert len(told.alarms) == 1


@pytest.mark.parametrize(("said_s", "lost"), [((1.2, 1.4), []), ((1.2, 1.2), [CALLER[1], 42000])])
def test_of_two_audio_media_one_that_is_heard_is_enough(said_s: tuple[float, float], lost: list[int]) -> None:
    """A call in two languages (RFC 8373): nobody need speak both."""
    scene = MediaScene()
    scene.call(
        offer=sdp(CALLER[0], AUDIO, "audio 42000 RTP/AVP 0"),
        answered=sdp(CALLED[0], _AUDIO_ANSWER, "audio 44000 RTP/AVP 0"),
    )
    scene.talk(1.2, 1.4)
    scene.talk(*said_s, CALLED, CALLER)
    assert [loss.dest_port for call in checked(scene).calls for loss in call.media_loss] == lost


def test_audio_that_comes_and_is_refused_beside_other_audio_is_lost() -> None:
    scene = MediaScene()
    scene.call(
        offer=sdp(CALLER[0], AUDIO, "audio 42000 RTP/AVP 0"),
        answered=sdp(CALLED[0], _AUDIO_ANSWER, "audio 44000 RTP/AVP 0"),
    )
    scene.talk(1.2, 1.4)
    scene.talk(1.2, 1.4, CALLED, CALLER)
    scene.talk(1.2, 1.4, ("198.51.100.77", 44000), (CALLER[0], 42000))
    (alarm,) = checked(scene).alarms
    assert "its packets came from 198.51.100.77 instead" in alarm.alarm.message


def test_video_that_comes_and_is_refused_is_lost() -> None:
    scene = video_call(more="media: {source: address}")
    scene.talk(1.2, 1.4)
    scene.talk(1.2, 1.4, CALLED, CALLER)
    scene.talk(1.2, 1.4, (CALLER[0], 49180), (CALLED[0], 40010))
    scene.talk(1.2, 1.4, ("198.51.100.77", 40010), (CALLER[0], 49180))
    (alarm,) = checked(scene).alarms
    assert "its packets came from 198.51.100.77 instead" in alarm.alarm.message


def test_in_a_call_of_video_alone_both_pictures_are_expected() -> None:
    """Sign language: without the picture nothing is said."""
    scene = video_call(with_audio=False)
    scene.talk(1.2, 1.4, (CALLER[0], 49180), (CALLED[0], 40010))
    (call,) = checked(scene).calls
    assert [(loss.side, loss.dest_port) for loss in call.media_loss] == [("psap", 49180)]


def test_text_need_not_be_typed() -> None:
    text = "text {} RTP/AVP 98, a=rtpmap:98 t140/1000"
    scene = MediaScene()
    scene.call(offer=sdp(CALLER[0], text.format(49170)), answered=sdp(CALLED[0], text.format(40000)))
    scene.tell(FlowsCounted(()), at_s=2)
    assert checked(scene).alarms == []


@pytest.mark.parametrize(
    "beside",
    ["text {} RTP/AVP 98, a=rtpmap:98 t140/1000", "video {} RTP/AVP 31, a=inactive", "application {} UDP/DTLS/SCTP x"],
)
def test_a_voice_that_shares_the_port_of_what_is_named_before_it_is_missed_like_any_other(beside: str) -> None:
    """BUNDLE, RFC 9143: text, a camera and data channels may stand before it."""
    scene, media = MediaScene(), (beside, "audio {} RTP/AVP 0")
    first = invite(sdp(CALLER[0], *(each.format(CALLER[1]) for each in media)))
    scene.carrier(first)
    answered = answer(first, sdp(CALLED[0], *(each.format(CALLED[1]) for each in media)))
    scene.packet(CALLED, CALLER, at_s=0.9)  # early media, on which the answer's way counts on
    scene.psap(answered, at_s=1)
    scene.carrier(request("ACK", to_tag="psap"), at_s=1.1)
    scene.talk(1.2, 1.4)
    (call,) = checked(scene).calls
    assert [(loss.side, loss.reason, loss.cause) for loss in call.media_loss] == [("psap", None, "nothing came")]


def test_an_ordinary_call_is_not_checked() -> None:
    scene = MediaScene()
    scene.call(uri="sip:6175550199@198.51.100.10")
    scene.tell(FlowsCounted(()), at_s=2)
    assert checked(scene).alarms == []


def test_until_a_call_is_asked_about_the_first_packets_of_each_source_are_copied() -> None:
    scene = MediaScene()
    scene.call()
    watched = {key.dst_port: hole.watched_ns for key, hole in scene.open.items()}
    assert watched == {CALLER[1]: CHECK_NS, CALLER[1] + 1: 0, CALLED[1]: CHECK_NS, CALLED[1] + 1: 0}


def test_forks_that_share_an_address_are_heard_where_the_one_that_answered_is() -> None:
    """Its way to the caller is that of the fork that rang first: expected all the same."""
    scene, first = MediaScene(), invite()
    scene.carrier(first)
    for tag, status in (("rings", 183), ("answers", 200)):
        scene.psap(answer(first, status=status, to_tag=tag), at_s=1)
    scene.carrier(request("ACK", to_tag="answers"), at_s=1.1)
    scene.talk(1.2, 1.3)
    (call,) = checked(scene).calls
    assert [loss.dest_port for loss in call.media_loss] == [CALLER[1]]
