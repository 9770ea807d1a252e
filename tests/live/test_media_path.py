"""Media of real calls through the daemon, packet by packet: what is negotiated passes, nothing else, and each drop has
its reason in the log."""

import asyncio
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from firewall.engine.engine import Engine
from firewall.live.console import Console
from firewall.live.control import ask
from firewall.live.driver import Driver
from firewall.live.links import InterfaceNames
from firewall.live.log_file import LogFile
from firewall.live.media_path import MediaPath
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.media_call import CALLED_MEDIA, CALLER_MEDIA, Call, states
from tests.live.peer import passed, tcp_client, tcp_server, udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6
from tests.media import rtp
from tests.scene import ALL, policy

pytestmark = pytest.mark.netns

STRANGER = "203.0.113.66"


@pytest.mark.parametrize(("caller", "called"), [(CARRIER, PSAP), (CARRIER_V6, PSAP_V6)])
def test_media_passes_in_both_directions_from_the_answer_on_until_the_bye(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall, Call(testbed, caller, called) as call:
        assert call.to_called(0, 5) == 0
        call.offer()
        assert call.to_called(10, 5) == 0
        assert call.to_caller(20, 5) == 5  # early media (RFC 3264 §5.1)
        call.answer()
        assert call.to_called(30, 50) == 50
        assert call.to_caller(100, 50) == 50
        call.bye()
        late = call.until_closed(200)
        assert call.to_called(210, 5) == 0
        assert call.to_caller(220, 5) == 0
        firewall.stop()
    closed = {each["dest_port"]: each["rtp"] for each in states(log, "closed") if each["rtp"]["closed"] == "bye"}
    assert closed[CALLER_MEDIA]["packets"] == 50
    assert closed[CALLED_MEDIA]["packets"] == 50 + late
    reasons = [(each["src_ip"], each["decision"]["reason"]) for each in states(log, "refused")]
    assert reasons[0] == (caller, "media_not_negotiated")
    assert (called, "media_closed") in reasons


def test_a_strangers_rtp_to_an_open_port_is_dropped_and_recorded_as_injection(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Call(testbed) as call,
        udp_socket(testbed.carrier, STRANGER, CALLER_MEDIA) as stranger,
    ):
        call.set_up()
        assert call.to_called(0, 5) == 5
        for number in range(100):
            stranger.sendto(rtp(1000 + number, ssrc=7), (PSAP, CALLED_MEDIA))
        assert call.to_called(5, 5) == 5  # none of the stranger's between them
        (told,) = wait_until(lambda: [each for each in states(log, "refused") if each["src_ip"] == STRANGER], "told")
        assert told["decision"]["reason"] == "media_wrong_source"
        assert told["call_id"] == call.call_id
        firewall.stop()


@pytest.mark.parametrize(
    ("source", "user", "packets"),
    [("port", "6175550199", 0), ("port", "911", 5), ("address", "911", 5), ("zone", "911", 5)],
)
def test_how_much_of_a_packets_source_must_fit_is_the_policys_choice(
    testbed: Namespaces, tmp_path: Path, source: str, user: str, packets: int
) -> None:
    """A NAT may give an emergency caller another port: the guard asks for the address alone."""
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text() + f"media: {{source: {source}}}\n")
    with (
        FirewallProcess(testbed.fw, policy),
        Call(testbed, user=user) as call,
        udp_socket(testbed.carrier, CARRIER, CALLER_MEDIA + 10) as other_port,
        udp_socket(testbed.carrier, STRANGER, CALLER_MEDIA) as outside,
    ):
        call.set_up()
        assert (call.to_called(0, 5), call.to_caller(0, 5)) == (5, 5)
        assert passed(other_port, call.from_called, (PSAP, CALLED_MEDIA), 10, 5) == packets
        assert passed(outside, call.from_called, (PSAP, CALLED_MEDIA), 20, 5) == 0


def test_every_refused_packet_is_counted_though_few_are_copied(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall,
        udp_socket(testbed.carrier, CARRIER, 30_000) as sender,
    ):
        for number in range(5000):
            sender.sendto(rtp(number), (PSAP, 30_000 + 2 * (number % 10)))

        def counted() -> bool:
            return bool(ask(control, "status")["media"]["refused_packets"] == 5000)

        wait_until(counted, "5000 are counted")
        wait_until(lambda: len(states(log, "refused")) == 10, "each flow is told once")
        assert firewall.cpu_s() < 2
        firewall.stop()


def test_what_is_no_media_passes_as_before(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text() + "media: {other_ports: [4500]}\n")
    with FirewallProcess(testbed.fw, policy):
        for port in (53, 123, 4500):
            with (
                udp_socket(testbed.carrier, CARRIER, 20_000) as asking,
                udp_socket(testbed.psap, PSAP, port) as answering,
            ):
                asking.sendto(b"question", (PSAP, port))
                assert answering.recv(100) == b"question"
                answering.sendto(b"answer", (CARRIER, 20_000))
                assert asking.recv(100) == b"answer"
        server = tcp_server(testbed.psap, PSAP, 8080)
        with server, tcp_client(testbed.carrier, CARRIER, PSAP, 8080) as client:
            client.sendall(b"question")
            accepted, _ = server.accept()
            with accepted:
                assert accepted.recv(100) == b"question"


def test_in_shadow_mode_nothing_is_dropped_and_everything_is_told(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text() + "media: {mode: shadow}\n")
    with FirewallProcess(testbed.fw, policy, "--log", str(log)), Call(testbed) as call:
        assert call.to_called(0, 5) == 5
        (told,) = wait_until(lambda: states(log, "refused"), "it is told")
        assert told["decision"]["reason"] == "media_not_negotiated"
        assert told["decision"]["enforced"] is False


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_ended_in_a_call_media_goes_on_and_after_the_restart_its_bye_closes_the_pinholes(
    testbed: Namespaces, tmp_path: Path, end: signal.Signals
) -> None:
    """Killed it leaves the pinholes in the kernel; after a clean stop they are in the log alone."""
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with Call(testbed) as call:
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as first:
            call.set_up()
            assert call.to_called(0, 5) == 5
            first.stop(end)
            assert (call.to_called(5, 5), call.to_caller(5, 5)) == (5, 5)
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as second:
            assert (call.to_called(10, 5), call.to_caller(10, 5)) == (5, 5)
            time.sleep(1.5)  # the time in which nothing is dropped after a takeover
            assert (call.to_called(15, 5), call.to_caller(15, 5)) == (5, 5)
            call.bye()
            call.until_closed(20)
            assert call.to_caller(30, 5) == 0
            second.stop()


def test_a_call_that_is_answered_while_the_daemon_stops_is_heard(testbed: Namespaces, tmp_path: Path) -> None:
    policy, nft, removing = tmp_path / "p.yaml", tmp_path / "nft", tmp_path / "removing"
    policy.write_text(policy_text())
    nft.write_text(  # takes its time over the script that ends the interception, as on a busy machine
        "#!/bin/sh\nscript=$(cat)\n"
        f"case $script in *signalling_ports*) ;; *transparent*) : >{removing}; sleep 0.5 ;; esac\n"
        f'echo "$script" | {shutil.which("nft")} "$@"\n'
    )
    nft.chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    with FirewallProcess(testbed.fw, policy, environment={"PATH": path}) as firewall, Call(testbed) as call:
        firewall.send(signal.SIGTERM)
        wait_until(removing.exists, "the interception is being removed")
        call.set_up()
        assert call.to_called(0, 10) == 10
        assert call.to_caller(100, 10) == 10
        assert firewall.stop() == 0


@pytest.mark.parametrize(("down", "packets"), [("bypass", 5), ("block", 0)])
def test_what_was_never_negotiated_follows_on_daemon_down_once_the_daemon_is_gone(
    testbed: Namespaces, tmp_path: Path, down: str, packets: int
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(down=down))
    with Call(testbed) as call, FirewallProcess(testbed.fw, policy) as firewall:
        assert call.to_called(0, 5) == 0
        call.set_up()
        firewall.kill()
        assert call.to_called(0, 5) == 5
        with udp_socket(testbed.carrier, CARRIER, 20_000) as other, udp_socket(testbed.psap, PSAP, 20_000) as receiver:
            time.sleep(3.1)  # how long the daemon's last sign of life holds
            assert passed(other, receiver, (PSAP, 20_000), 0, 5) == packets
        with FirewallProcess(testbed.fw, policy) as again:
            again.stop()


def test_media_of_a_call_set_up_while_no_daemon_ran_is_not_cut_by_the_next_start(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with Call(testbed) as call:
        with FirewallProcess(testbed.fw, policy) as first:
            first.kill()
        time.sleep(3.1)  # how long the daemon's last sign of life holds
        call.set_up()
        assert call.to_called(0, 5) == 5
        with FirewallProcess(testbed.fw, policy, "--log", str(log)):
            until = time.monotonic() + 3
            sent = 5
            while time.monotonic() < until:
                assert (call.to_called(sent, 1), call.to_caller(sent, 1)) == (1, 1)
                sent += 1
                time.sleep(0.02)


@pytest.mark.parametrize(("inspect", "packets_before"), [("", 2), ("    inspect: all\n", 40)])
def test_a_rule_that_drops_a_codec_takes_effect_in_the_kernel_within_200_ms(
    testbed: Namespaces, tmp_path: Path, inspect: str, packets_before: int
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    rule = f"  - name: no-pcma\n    when: rtp.p_type == 8\n    action: drop\n{inspect}"
    policy.write_text(policy_text(rules=rule, guard="alert"))
    with FirewallProcess(testbed.fw, policy, "--log", str(log)), Call(testbed) as call:
        call.set_up()
        assert call.to_called(0, packets_before) == packets_before
        sent_at = time.monotonic()
        call.from_caller.sendto(rtp(100, payload_type=8), (PSAP, CALLED_MEDIA))
        call.from_called.recv(2048)  # the packet that was looked at had passed
        while time.monotonic() < sent_at + 0.2:
            time.sleep(0.01)
        assert call.to_called(200, 5) == 0
        assert call.to_caller(0, 5) == 5
        (told,) = states(log, "changed")
        assert told["decision"]["rule"] == "no-pcma"


def test_a_payload_type_that_comes_late_in_a_flow_is_seen_within_5_s(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    rule = "  - {name: no-pcma, when: rtp.p_type == 8, action: drop}\n"
    policy.write_text(policy_text(rules=rule, guard="alert"))
    sent = 0

    def talk(payload_type: int, is_over: Callable[[], object], what: str) -> float:
        """Send 50 packets a second until it is over; return how long that took."""
        nonlocal sent
        began_s = time.monotonic()
        while not is_over():
            assert time.monotonic() < began_s + 8, what
            call.from_caller.sendto(rtp(sent, payload_type=payload_type), (PSAP, CALLED_MEDIA))
            sent += 1
            time.sleep(0.02)
        return time.monotonic() - began_s

    with FirewallProcess(testbed.fw, policy, "--log", str(log)), Call(testbed) as call:
        call.set_up()
        talk(0, lambda: sent == 100, "two seconds of voice")  # what of it was copied was copied in the first
        assert talk(99, lambda: states(log, "changed"), "what was not negotiated is told") < 5
        assert states(log, "changed")[0]["anomalies"] == ["rtp_payload_type_not_negotiated"]
        assert talk(8, lambda: len(states(log, "changed")) == 2, "the rule drops it") < 5
        assert states(log, "changed")[1]["decision"]["rule"] == "no-pcma"


def test_real_time_text_beside_the_voice_passes_in_both_directions(testbed: Namespaces, tmp_path: Path) -> None:
    """T.140 in RTP (RFC 4103): what a caller who cannot speak types."""
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    text = "text {} RTP/AVP 98, a=rtpmap:98 t140/1000"
    with (
        FirewallProcess(testbed.fw, policy),
        Call(testbed, media=(text.format(49_180), text.format(40_010))) as call,
        udp_socket(testbed.carrier, CARRIER, 49_180) as typing,
        udp_socket(testbed.psap, PSAP, 40_010) as reading,
    ):
        call.set_up()
        assert passed(typing, reading, (PSAP, 40_010), 0, 5) == 5
        assert passed(reading, typing, (CARRIER, 49_180), 0, 5) == 5
        assert (call.to_called(0, 5), call.to_caller(0, 5)) == (5, 5)


def test_hold_keeps_the_pinholes_and_resume_needs_no_new_ones(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy), Call(testbed) as call:
        call.set_up()
        for cseq, direction in ((2, "sendonly"), (3, "sendrecv")):
            call.renegotiate(cseq, direction)
            time.sleep(0.7)  # longer than the grace time
            assert call.to_called(cseq * 10, 5) == 5
        assert call.to_caller(0, 5) == 5


def test_what_the_kernel_refuses_is_told_to_the_engine(testbed: Namespaces, tmp_path: Path) -> None:
    log = tmp_path / "decisions.jsonl"
    driver = Driver(Engine(policy(ALL)), Console(), LogFile(log), None)

    async def show_life_without_a_table() -> None:
        media = MediaPath(driver, InterfaceNames(), lambda: None, lambda: None)
        media.show_life()
        media.close()

    in_namespace(testbed.fw, lambda: asyncio.run(show_life_without_a_table()))
    assert [each["alarm"]["code"] for each in records(log, "alarm")] == ["pinholes"]


def test_a_change_of_routes_is_read_and_told_at_once_however_long_until_the_next_look(testbed: Namespaces) -> None:
    """Otherwise the loop would be told of it over and over, and find time for nothing else."""
    told = []

    async def change_twice() -> None:
        media = MediaPath(cast("Driver", None), InterfaceNames(), lambda: None, lambda: told.append(1))
        keeping = asyncio.create_task(media.keep_fast_path())
        await asyncio.sleep(0)
        for verb in ("add", "del"):
            command = ["ip", "route", verb, "blackhole", "203.0.113.200/32"]
            await asyncio.to_thread(subprocess.run, command, check=True)
            await asyncio.sleep(0)
            assert select.select([media._route_changes], [], [], 0)[0] == []
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        media.close()

    in_namespace(testbed.fw, lambda: asyncio.run(change_twice()))
    assert len(told) == 2


def test_once_nobody_looks_any_more_whether_media_may_be_handed_on_none_is(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that has no thread left to look by ends the look-out."""

    async def look_out() -> tuple[str, str]:
        media = MediaPath(cast("Driver", None), InterfaceNames(), lambda: None, lambda: None)
        await media._look_at_forwarding()
        before = media.status().no_fast_path
        monkeypatch.setattr("firewall.live.media_path.survey", fail)
        monkeypatch.setattr("firewall.live.media_path._SURVEY_EVERY_S", 0.01)
        ended = await asyncio.gather(media.keep_fast_path(), return_exceptions=True)
        after = media.status().no_fast_path
        monkeypatch.undo()
        await media._look_at_forwarding()
        assert media.status().no_fast_path == before
        media.close()
        assert before != after
        return str(ended[0]), after

    def fail(**_: object) -> None:
        raise RuntimeError("can't start new thread")

    ended, after = in_namespace(testbed.fw, lambda: asyncio.run(look_out()))
    assert ended == "can't start new thread"
    assert after == "nobody looks any more whether there may be one"
