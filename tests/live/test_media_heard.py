"""Emergency calls of which a side is not heard: within five seconds it is told, with what keeps that side silent."""

import time
from pathlib import Path

import pytest

from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.media_call import CALLED_MEDIA, CALLER_MEDIA, Call
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, PSAP
from tests.media import answer, invite, rtp, sdp

pytestmark = [pytest.mark.netns, pytest.mark.timed]


def test_an_emergency_call_of_which_one_side_is_not_heard_is_told_within_5_s_of_its_answer(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(guard="enforce"))
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall, Call(testbed) as call:
        call.set_up()
        answered_at = time.monotonic()
        assert call.to_called(0, 100) == 100
        said_at, sentence = firewall.wait_for("ALARM emergency_media_lost", 6)
        assert said_at - answered_at < 5
        assert f"{CARRIER}:{CALLER_MEDIA}" in sentence  # what the called side says does not reach the caller
        (told,) = wait_until(lambda: records(log, "emergency_call"), "the log tells it, too")
        assert (told["outcome"], told["problem"]) == ("impaired", "MediaLoss")


@pytest.mark.parametrize("every", [1, 25], ids=["50-a-second", "2-a-second"])
def test_a_side_that_only_tries_to_set_media_up_is_told_within_5_s_of_the_answer(
    testbed: Namespaces, tmp_path: Path, every: int
) -> None:
    """ICE goes on asking (RFC 8445 §14), DTLS shakes no hands: packets come, but no voice."""
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(guard="enforce"))
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall, Call(testbed) as call:
        call.set_up()
        answered_at = time.monotonic()
        number = 0
        while "ALARM emergency_media_lost" not in firewall.stderr:
            assert time.monotonic() < answered_at + 6, "the silent call is told"
            if number % every == 0:
                call.from_called.sendto(stun, (CARRIER, CALLER_MEDIA))
            call.from_caller.sendto(rtp(number), (PSAP, CALLED_MEDIA))
            number += 1
            time.sleep(0.02)
        (told,) = wait_until(lambda: records(log, "emergency_call"), "the log tells it, too")
        (loss,) = told["media_loss"]
        assert (loss["dest_port"], "no RTP came" in loss["cause"]) == (CALLER_MEDIA, True)


def test_a_voice_that_comes_among_much_that_sets_media_up_is_heard(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(guard="enforce"))
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.set_up()
        answered_at, number = time.monotonic(), 0
        while time.monotonic() < answered_at + 5:
            for sender, target in (
                (call.from_called, (CARRIER, CALLER_MEDIA)),
                (call.from_caller, (PSAP, CALLED_MEDIA)),
            ):
                sender.sendto(stun, target)
                if time.monotonic() > answered_at + 3:
                    sender.sendto(rtp(number), target)
            number += 1
            time.sleep(0.02)
        assert "ALARM" not in firewall.stderr


def test_a_silent_emergency_call_is_told_although_the_called_side_has_one_port_for_all_its_calls(
    testbed: Namespaces, tmp_path: Path
) -> None:
    """The kernel has one count for what comes to that port from the caller's side; the copies tell whose it is."""
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(guard="enforce"))
    port = CALLER_MEDIA + 100
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Call(testbed) as call,
        udp_socket(testbed.carrier, CARRIER, port) as of_another,
    ):
        call.set_up()
        for number in range(150):  # for so long that nothing of it is copied any more
            call.from_caller.sendto(rtp(number), (PSAP, CALLED_MEDIA))
            time.sleep(0.02)
        call.to_caller(0, 1)
        again = {"call_id": f"{call.call_id}-2", "from_tag": "second"}
        second = invite(sdp(CARRIER, f"audio {port} RTP/AVP 0"), uri=f"sip:911@{PSAP}", **again)
        call.caller.sendto(second, (PSAP, 5060))
        assert call.called.recv(65_535) == second
        call.called.sendto(answer(second, sdp(PSAP, f"audio {CALLED_MEDIA} RTP/AVP 0")), (CARRIER, 5060))
        call.caller.recv(65_535)
        answered_at = time.monotonic()
        number = 0
        while "ALARM emergency_media_lost" not in firewall.stderr:
            assert time.monotonic() < answered_at + 6, "the silent call is told"
            call.from_caller.sendto(rtp(number), (PSAP, CALLED_MEDIA))
            call.from_called.sendto(rtp(number), (CARRIER, port))
            number += 1
            time.sleep(0.02)
        assert time.monotonic() < answered_at + 5
        assert of_another.recv(2048) == rtp(0)
        (told,) = wait_until(lambda: records(log, "emergency_call"), "the log tells it, too")
        assert told["call_id"] == again["call_id"]
        (loss,) = told["media_loss"]
        assert (loss["dest_port"], loss["packets"]) == (CALLED_MEDIA, 0)
        assert loss["cause"] == "only packets of other calls came, which have the same port"


def test_early_media_that_ends_with_the_answer_is_not_taken_for_what_is_heard_after_it(
    testbed: Namespaces, tmp_path: Path
) -> None:
    """Counts are read once a second: some of what came before the answer would be told only after it."""
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(guard="enforce"))
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.offer()
        call.answer(status=183)
        assert (call.to_called(0, 100), call.to_caller(0, 100)) == (100, 100)
        call.answer()
        _, sentence = firewall.wait_for("ALARM emergency_media_lost")
        assert f"{CARRIER}:{CALLER_MEDIA}" in sentence
        assert f"{PSAP}:{CALLED_MEDIA}" in sentence


@pytest.mark.parametrize(
    ("mistake", "named"),
    [
        ("media: {ports: 50000-60000}\n", "ports"),
        ("media: {ports: 45000-60000}\n", "ports"),
    ],
    ids=["for-both", "for-one"],
)
def test_a_range_of_ports_that_is_too_small_is_named_within_5_s_and_the_guard_lets_the_call_be_heard(
    testbed: Namespaces, tmp_path: Path, mistake: str, named: str
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(guard="enforce") + mistake)
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.set_up()
        answered_at = time.monotonic()
        said_at, sentence = firewall.wait_for("ALARM emergency_media_guarded", 6)
        assert said_at - answered_at < 5
        assert named in sentence
        assert (call.to_called(0, 5), call.to_caller(0, 5)) == (5, 5)


_ONE_WAY = '  - {name: outward-only, when: media.kind == "audio" and zone.src == "psap", action: drop}\n'
_PCMU_ONLY = """  - {name: pcmu, when: rtp.p_type == 0, action: allow}
  - {name: nothing-else, when: rtp, action: drop}
"""


@pytest.mark.parametrize(
    ("rules", "payload_type", "named"),
    [(_ONE_WAY, 0, "outward-only"), (_PCMU_ONLY, 8, "nothing-else")],
    ids=["one-direction", "one-codec"],
)
def test_a_rule_that_keeps_a_call_from_being_heard_is_named_within_5_s(
    testbed: Namespaces, tmp_path: Path, rules: str, payload_type: int, named: str
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(rules=rules, guard="alert"))
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.set_up()
        answered_at = time.monotonic()
        for number in range(5):
            call.from_caller.sendto(rtp(number, payload_type=payload_type), (PSAP, CALLED_MEDIA))
        said_at, sentence = firewall.wait_for("ALARM emergency_media_blocked", 6)
        assert said_at - answered_at < 5
        assert named in sentence


def test_a_time_out_shorter_than_a_silence_is_named_within_5_s_of_the_words_that_are_lost(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(guard="alert") + "media: {timeout: 1s}\n")
    with FirewallProcess(testbed.fw, policy) as firewall, Call(testbed) as call:
        call.set_up()
        assert (call.to_called(0, 5), call.to_caller(0, 5)) == (5, 5)
        deadline = time.monotonic() + 10
        number = 100
        while call.to_called(number, 1) == 1:  # each silence is longer than the last
            assert time.monotonic() < deadline
            time.sleep(0.2 * (number - 95))
            number += 1
        lost_at = time.monotonic()
        said_at, sentence = firewall.wait_for("ALARM emergency_media", 6)
        assert said_at - lost_at < 5
        assert "timeout" in sentence
