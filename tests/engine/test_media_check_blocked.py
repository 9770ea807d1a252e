"""What the policy keeps from being heard in an emergency call: told with the setting, and let pass by the guard."""

import pytest

from firewall.engine.events import DeadlineReached, FlowsCounted, PolicyReplaced
from firewall.engine.pinhole import FlowCount
from tests.media import (
    AUDIO,
    CALLED,
    CALLER,
    FROM_CALLED,
    ORDINARY,
    MediaScene,
    answer,
    checked,
    flows,
    invite,
    rtp,
    sdp,
)
from tests.messages import request
from tests.scene import ALL, policy

_AUDIO_ANSWER = "audio 40000 RTP/AVP 0"


@pytest.mark.parametrize(
    ("more", "rules", "named"),
    [
        ("media: {ports: 40000-40999}", "", "media.ports 40000-40999 (policy.yaml:7)"),
        (
            "",
            '  - {name: one-way, when: \'media.kind == "audio" and zone.dst == "carrier"\', action: drop}\n',
            '"one-way"',
        ),
        ("", "  - {name: pcma-only, when: 'rtp and not rtp.p_type == 8', action: drop}\n", '"pcma-only"'),
    ],
)
def test_a_mistake_in_the_policy_is_named_at_once_and_is_media_loss(more: str, rules: str, named: str) -> None:
    scene = MediaScene(policy(rules + ALL, more=more))
    first = invite()
    told = [scene.carrier(first), scene.psap(answer(first), at_s=1)]
    told.append(scene.carrier(request("ACK", to_tag="psap"), at_s=1.1))
    told += scene.talk(1.2, 1.4) + scene.talk(1.2, 1.4, CALLED, CALLER)
    alarms = [alarm.alarm for each in told for alarm in each.alarms]
    assert {alarm.code for alarm in alarms} == {"emergency_media_blocked"}
    assert all(named in alarm.message for alarm in alarms)
    calls = [call for each in told for call in each.calls]
    assert [(c.outcome, c.problem, c.attribution) for c in calls] == [("impaired", "MediaLoss", "policy")]


@pytest.mark.parametrize(
    ("more", "rules"),
    [
        ("media: {ports: 40000-40999}", ""),
        ("", "  - {name: no-audio, when: 'media.kind == \"audio\"', action: drop}\n"),
        ("", "  - {name: pcma-only, when: 'rtp and not rtp.p_type == 8', action: drop}\n"),
    ],
)
def test_the_guard_lets_media_of_an_emergency_call_pass_and_says_so(more: str, rules: str) -> None:
    scene = MediaScene(policy(rules + ALL, more=more, guard="enforce"))
    scene.call()
    told = scene.talk(1.2, 1.6) + scene.talk(1.2, 1.6, CALLED, CALLER)
    assert {verdict for _, verdict in scene.to(CALLER) + scene.to(CALLED)} == {"allow"}
    assert checked(scene).alarms == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60).calls
    assert (call.outcome, call.guarded) == ("completed", True)
    assert {record.decision.override for each in told for record in flows(each)} <= {"guard"}


def test_the_guard_lets_media_pass_of_a_call_that_is_known_as_an_emergency_only_after_its_answer() -> None:
    """As when its number was added to the policy meanwhile, or a border function marks what it sends on."""
    scene = MediaScene(policy(ALL, guard="enforce", more="media: {ports: 20000-60000}"))
    low = (CALLER[0], 10000)
    first = invite(sdp(CALLER[0], "audio 10000 RTP/AVP 0"), uri=ORDINARY)
    scene.carrier(first)
    scene.psap(answer(first), at_s=1)
    assert scene.to(low) == []
    marked = ("Resource-Priority: esnet.1",)
    told = scene.carrier(request("ACK", ORDINARY, to_tag="psap", headers=marked), at_s=1.1)
    assert [alarm.alarm.code for alarm in told.alarms] == ["emergency_media_guarded"]
    assert scene.to(low) == FROM_CALLED
    assert {hole.is_emergency for hole in scene.open.values()} == {True}
    assert not scene.carrier(request("INFO", ORDINARY, to_tag="psap", cseq=2, headers=marked), at_s=2).alarms


def test_media_that_the_guard_saved_is_alarmed_anew_when_it_is_blocked_without_it() -> None:
    """The guard is switched off while the call is up."""
    rules = "  - {name: no-audio, when: 'media.kind == \"audio\"', action: drop}\n" + ALL
    scene = MediaScene(policy(rules, guard="enforce"))
    scene.call()
    scene.talk(1.2, 1.6)
    told = scene.tell(PolicyReplaced(policy(rules, guard="off")), at_s=3)
    assert {alarm.alarm.code for alarm in told.alarms} == {"emergency_media_blocked"}
    assert [(call.outcome, call.problem) for call in told.calls] == [("impaired", "MediaLoss")]


@pytest.mark.parametrize(
    ("guard", "code", "is_open"),
    [("off", "emergency_media_blocked", False), ("enforce", "emergency_media_guarded", True)],
)
def test_what_is_said_after_a_time_out_is_alarmed_and_the_guard_keeps_the_way_open(
    guard: str, code: str, is_open: bool
) -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard=guard))
    scene.call()
    scene.talk(1.5, 2)
    assert [alarm for each in scene.talk(1.5, 30, CALLED, CALLER) for alarm in each.alarms] == []
    assert is_open == bool(scene.to(CALLED))
    told = scene.talk(30, 31)
    (alarm,) = [alarm.alarm for each in told for alarm in each.alarms]
    assert (alarm.code, alarm.line, alarm.reason) == (code, 7, "media_timeout")
    assert "media.timeout 20s (policy.yaml:7)" in alarm.message


@pytest.mark.parametrize(
    ("guard", "code"), [("off", "emergency_media_blocked"), ("enforce", "emergency_media_guarded")]
)
def test_what_is_said_hours_after_a_time_out_is_alarmed(guard: str, code: str) -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard=guard))
    scene.call()
    told = [*scene.talk(1.5, 2), *scene.talk(1.5, 2, CALLED, CALLER), scene.tell(DeadlineReached(), at_s=30)]
    told.append(scene.packet(CALLER, CALLED, at_s=7300))
    assert [alarm.alarm.code for each in told for alarm in each.alarms] == [code]


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_a_call_of_which_nothing_comes_any_more_is_not_told_as_hurt_by_the_time_out(guard: str) -> None:
    """Its BYE was lost, or another firewall let it pass: whoever is left says nothing."""
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard=guard))
    scene.call()
    told = [*scene.talk(1.5, 2), *scene.talk(1.5, 2, CALLED, CALLER)]
    told += [scene.tell(DeadlineReached(), at_s=at_s) for at_s in (5, 22, 42, 62)]
    assert [alarm for each in told for alarm in each.alarms] == []
    (call,) = scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=90).calls
    assert (call.outcome, call.guarded) == ("completed", False)


def test_a_call_at_a_port_on_which_an_earlier_one_was_silent_for_long_is_not_told_as_guarded() -> None:
    """A gateway has the next call at the port of one whose BYE was lost; without the guard it would have a way anew."""
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard="enforce"))
    scene.call()
    scene.talk(1.5, 2)
    scene.tell(DeadlineReached(), at_s=30)
    second = invite(sdp(CALLER[0], AUDIO), call_id="second")
    told = [scene.carrier(second, at_s=40), scene.psap(answer(second), at_s=41)]
    told += [*scene.talk(42, 43), *scene.talk(42, 43, CALLED, CALLER)]
    assert [alarm for each in told for alarm in each.alarms] == []


def test_what_the_kernel_counts_after_a_time_out_is_alarmed_once_and_passes_with_the_guard() -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard="enforce"))
    scene.call()
    counts = [FlowCount(key, 50, 8600) for key in scene.open]
    scene.tell(FlowsCounted(tuple(counts)), at_s=2)
    scene.tell(DeadlineReached(), at_s=5)
    scene.tell(DeadlineReached(), at_s=30)
    (heard,) = [each for each in counts if (each.key.dst_ip, each.key.dst_port) == CALLED]
    more = [FlowCount(heard.key, 50 + each, 9000) for each in (1, 2)]
    told = [scene.tell(FlowsCounted((each,)), at_s=31 + n) for n, each in enumerate(more)]
    assert [[alarm.alarm.code for alarm in each.alarms] for each in told] == [["emergency_media_guarded"], []]


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_a_capture_of_signalling_alone_shows_no_silence(guard: str) -> None:
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard=guard))
    scene.call()
    told = [scene.tell(DeadlineReached(), at_s=at_s) for at_s in (5, 21, 22)]
    told.append(scene.carrier(request("BYE", to_tag="psap", cseq=2), at_s=60))
    assert [alarm for each in told for alarm in each.alarms] == []
    assert [(call.outcome, call.guarded) for each in told for call in each.calls] == [("completed", False)]


@pytest.mark.parametrize("guard", ["off", "enforce"])
def test_a_text_channel_on_which_nobody_types_may_time_out_and_what_is_typed_then_is_alarmed(guard: str) -> None:
    text = "text {} RTP/AVP 98, a=rtpmap:98 t140/1000"
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}", guard=guard))
    offer, answered = sdp(CALLER[0], AUDIO, text.format(49180)), sdp(CALLED[0], _AUDIO_ANSWER, text.format(40010))
    scene.call(offer=offer, answered=answered)
    told = []
    for n in range(60):
        told += [scene.packet(*ends, rtp(n), at_s=2 + n) for ends in ((CALLER, CALLED), (CALLED, CALLER))]
    assert [alarm for each in told for alarm in each.alarms] == []
    typed = scene.packet((CALLER[0], 49180), (CALLED[0], 40010), rtp(payload_type=98), at_s=62)
    assert [alarm.alarm.reason for alarm in typed.alarms] == ["media_timeout"]
    assert [call.problem for call in typed.calls] == ([] if guard == "enforce" else ["MediaLoss"])


def test_a_candidate_that_ice_did_not_choose_may_time_out() -> None:
    other = "a=candidate:1 1 UDP 2130706431 192.0.2.55 5001 typ host"
    scene = MediaScene(policy(ALL, more="media: {timeout: 20s}"))
    scene.call(offer=sdp(CALLER[0], f"audio 49170 RTP/AVP 0, {other}"))
    alarms = []
    for n in range(60):
        for src, dst in ((CALLER, CALLED), (CALLED, CALLER)):
            alarms += scene.packet(src, dst, rtp(n), at_s=2 + n).alarms
    assert alarms == []
    assert scene.to(("192.0.2.55", 5001)) == []
