"""Calls of others' programs with media through the daemon; tcpdump counts the packets on both sides."""

import re
import socket
import time
from collections import Counter
from operator import sub
from pathlib import Path
from typing import Any

import pytest

from firewall.live.control import ask
from tests.live.baresip import Baresip
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.linphone import Linphone
from tests.live.sipp import CARRIER, PSAP, CallCount, Sipp, answering
from tests.live.wire import Wire, udp_payloads
from tests.media import rtp
from tests.net.packets import SECOND_NS, ethernet, ipv4, pcap, udp

pytestmark = [pytest.mark.netns, pytest.mark.timed]

# RTP and RTCP toward each caller; what SIPp's uas listens on is one port for all calls.
_OPEN_IN_200_CALLS = 2 * 200 + 2
_UDP_OF_RTP = rb"(?s:.{8})\x80\x00"


def write_rtp(folder: Path, packets: int, every_s: float) -> None:
    """Write the capture that the caller sends: only its times and UDP payloads count."""
    frames = [
        (SECOND_NS + round(number * every_s * SECOND_NS), ethernet(ipv4(udp(rtp(number), 6000, 6000))))
        for number in range(packets)
    ]
    (folder / "rtp.pcap").write_bytes(pcap(frames))


def rtp_packets(capture: Path) -> Counter[str]:
    """Return how many RTP packets each address sent, as seen on a wire."""
    counts: Counter[str] = Counter()
    for (source, payload), count in udp_payloads(capture).items():
        is_quoted = "," in source  # in an ICMP error: SIPp closes its media port before the last echo is back
        if payload.startswith("8000") and not is_quoted:
            counts[source] += count
    return counts


def none_lost_of(sent: int, folder: Path) -> int:
    """Return how many RTP packets passed, none of them lost; on a busy machine SIPp does not echo all."""
    outside, inside = rtp_packets(folder / "c0.pcap"), rtp_packets(folder / "p0.pcap")
    assert outside == inside
    assert outside[CARRIER] == sent
    assert 0.5 * sent < outside[PSAP] <= sent
    return outside.total()


def caller(namespace: str, folder: Path, *arguments: str) -> Sipp:
    return Sipp(namespace, "rtp_caller", CARRIER, folder, f"{PSAP}:5060", *arguments)


def status(control: Path) -> Any:
    return ask(control, "status")["media"]


def test_sipp_calls_with_rtp_lose_no_packet_in_either_direction(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text())
    write_rtp(tmp_path, 50, 0.02)
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall,
        Wire(testbed.carrier, "c0", tmp_path / "c0.pcap"),
        Wire(testbed.psap, "p0", tmp_path / "p0.pcap"),
        answering(testbed.psap, tmp_path, PSAP, "-rtp_echo"),
        caller(testbed.carrier, tmp_path, "-m", "20", "-r", "20", "-d", "1500") as uac,
    ):
        assert uac.wait() == 0
        wait_until(lambda: status(control)["open"] == 0, "every pinhole is closed")
        assert status(control)["failed"] == 0
        firewall.stop()
    assert uac.count() == CallCount(successful=20, failed=0, retransmissions=0)
    passed = none_lost_of(1000, tmp_path)
    closed = [each for each in records(log, "rtp_decision") if each["state"] == "closed" and each["rtp"].get("packets")]
    # An echo that came by the way opened for the offer, just before the answer closed it, may be in no record.
    assert passed - 20 <= sum(each["rtp"]["packets"] for each in closed) <= passed
    assert not [each for each in records(log, "rtp_decision") if each["state"] == "refused"]


def test_killed_in_the_middle_of_200_calls_no_packet_is_lost_and_each_bye_closes_its_pinholes(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text())
    write_rtp(tmp_path, 60, 0.1)
    arguments = ("--log", str(log), "--control", str(control))
    with (
        FirewallProcess(testbed.fw, policy, *arguments) as first,
        Wire(testbed.carrier, "c0", tmp_path / "c0.pcap"),
        Wire(testbed.psap, "p0", tmp_path / "p0.pcap"),
        answering(testbed.psap, tmp_path, PSAP, "-rtp_echo", scenario="answers_at_once"),
        caller(testbed.carrier, tmp_path, "-m", "200", "-l", "200", "-r", "100", "-d", "12000") as uac,
    ):
        wait_until(lambda: status(control)["open"] == _OPEN_IN_200_CALLS, "200 calls are up")
        first.kill()
        time.sleep(0.5)  # the kernel is alone
        with FirewallProcess(testbed.fw, policy, *arguments) as second:
            assert status(control)["open"] == _OPEN_IN_200_CALLS
            assert uac.wait() == 0
            wait_until(lambda: status(control)["open"] == 0, "every pinhole is closed")
            assert status(control)["refused_packets"] == 0
            second.stop()
    assert uac.count().successful == 200
    none_lost_of(12_000, tmp_path)


def test_two_soft_phones_hear_each_other_before_during_and_after_a_hold(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text())

    def heard() -> tuple[int, int]:
        """How many RTP packets of each side the other's wire has seen, in plain IPv4, read off the captures."""
        caller, called = socket.inet_aton(CARRIER), socket.inet_aton(PSAP)
        ways = ((inside.capture, caller + called), (outside.capture, called + caller))
        there, back = (len(re.findall(re.escape(ends) + _UDP_OF_RTP, capture.read_bytes())) for capture, ends in ways)
        return there, back

    def wait_for_voice() -> None:
        before = heard()
        wait_until(lambda: min(map(sub, heard(), before)) >= 50, "a second of voice each way")

    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall,
        Wire(testbed.carrier, "c0", tmp_path / "c0.pcap") as outside,
        Wire(testbed.psap, "p0", tmp_path / "p0.pcap") as inside,
        Baresip(testbed.psap, "bob", PSAP, "30000-30100", tmp_path),
        Baresip(testbed.carrier, "alice", CARRIER, "40000-40100", tmp_path, f"/dial sip:bob@{PSAP}") as alice,
    ):
        wait_for_voice()
        alice.press("x")
        alice.wait_for("got SDP answer", 2)
        alice.press("X")
        alice.wait_for("got SDP answer", 3)
        wait_for_voice()
        alice.press("b")
        wait_until(lambda: status(control)["open"] == 0, "every pinhole is closed")
        firewall.stop()
    assert rtp_packets(tmp_path / "c0.pcap") == rtp_packets(tmp_path / "p0.pcap")
    assert not [each for each in records(log, "rtp_decision") if each["state"] == "refused"]


def test_text_typed_on_a_soft_phone_is_read_on_the_other_before_and_after_a_hold(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log, control = tmp_path / "p.yaml", tmp_path / "decisions.jsonl", tmp_path / "control"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log), "--control", str(control)) as firewall,
        Wire(testbed.carrier, "c0", tmp_path / "c0.pcap"),
        Wire(testbed.psap, "p0", tmp_path / "p0.pcap"),
        Linphone(testbed.psap, PSAP, tmp_path) as called,
        Linphone(testbed.carrier, CARRIER, tmp_path, f"sip:911@{PSAP}") as calling,
    ):
        calling.wait_for("talking")
        calling.tell("type fire")
        called.wait_for("read fire")
        called.tell("type where?")
        calling.wait_for("read where?")
        calling.tell("hold")
        called.wait_for("held")
        calling.wait_for("holding")
        calling.tell("resume")
        called.wait_for("talking", 2)
        calling.tell("type  here")
        called.wait_for("read fire here")
        calling.tell("hang up")
        called.wait_for("over")
        wait_until(lambda: status(control)["open"] == 0, "every pinhole is closed")
        firewall.stop()
    assert udp_payloads(tmp_path / "c0.pcap") == udp_payloads(tmp_path / "p0.pcap")
    media = records(log, "rtp_decision")
    assert not [each for each in media if each["state"] == "refused"]
    text = [each for each in media if each["state"] == "closed" and each["rtp"].get("packets")]
    assert {(each["src_ip"], each["rtp"]["codecs"][-1]) for each in text if each["rtp"]["kind"] == "text"} == {
        (CARRIER, "t140"),
        (PSAP, "t140"),
    }
    assert [each["outcome"] for each in records(log, "emergency_call")] == ["completed"]
