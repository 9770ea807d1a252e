"""Real calls through the daemon: SIPp on both sides, tcpdump and tshark as the witnesses."""

import time
from pathlib import Path

import pytest

from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.peer import request, udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6, CallCount, Sipp, answering, calling
from tests.live.wire import Wire, udp_payloads

pytestmark = [pytest.mark.netns, pytest.mark.timed]


@pytest.mark.parametrize(("caller", "called", "calls"), [(CARRIER, PSAP, 300), (CARRIER_V6, PSAP_V6, 100)])
def test_every_call_succeeds_at_once_and_every_message_is_recorded_and_arrives_unchanged(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str, calls: int
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    outside, inside = tmp_path / "c0.pcap", tmp_path / "p0.pcap"
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Wire(testbed.carrier, "c0", outside),
        Wire(testbed.psap, "p0", inside),
        answering(testbed.psap, tmp_path, called),
        calling(testbed.carrier, tmp_path, "-m", str(calls), "-r", "100", address=caller, to=called) as uac,
    ):
        assert uac.wait() == 0
        assert firewall.stop() == 0
    assert uac.count() == CallCount(successful=calls, failed=0, retransmissions=0)
    decisions = records(log, "sip_decision")
    assert len(decisions) == 6 * calls  # INVITE 180 200 ACK BYE 200
    assert {record["decision"]["verdict"] for record in decisions} == {"allow"}
    assert {(record["src_ip"], record["in_iface"]) for record in decisions} == {(caller, "f0"), (called, "f1")}
    payloads = udp_payloads(outside)
    assert payloads.total() == 6 * calls
    assert payloads == udp_payloads(inside)


def test_a_fragmented_invite_of_9_kb_passes_whole(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    with FirewallProcess(testbed.fw, policy):
        for caller, called in ((CARRIER, PSAP), (CARRIER_V6, PSAP_V6)):
            invite = request("INVITE", caller, called, body=b"v=0\r\n" + b"a=x-padding:0123456789\r\n" * 375)
            assert len(invite) > 9000
            with udp_socket(testbed.carrier, caller) as sender, udp_socket(testbed.psap, called) as receiver:
                sender.sendto(invite, (called, 5060))
                payload, source = receiver.recvfrom(65535)
            assert payload == invite
            assert source[:2] == (caller, 5060)


def test_sip_on_another_port_is_seen_and_other_traffic_is_left_to_the_kernel(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER, 5099) as sender,
        udp_socket(testbed.psap, PSAP, 853) as receiver,
    ):
        other = b"\x80\x00" + bytes(170)
        for payload in (other, request("OPTIONS", CARRIER, PSAP), other):
            sender.sendto(payload, (PSAP, 853))
        received = {receiver.recv(65535)[:7] for _ in range(3)}
        assert received == {other[:7], b"OPTIONS"}
        firewall.stop()
    assert [record["sip"]["method"] for record in records(log, "sip_decision")] == ["OPTIONS"]


def test_a_rejected_caller_gets_a_correct_response(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(
        policy_text(
            rules="  - name: closed\n    when: sip.Method == INVITE\n    action: reject\n    status: 503\n".replace(
                "INVITE", '"INVITE"'
            )
        )
    )
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Wire(testbed.psap, "p0", tmp_path / "p0.pcap"),
        Sipp(testbed.carrier, "rejected", CARRIER, tmp_path, f"{PSAP}:5060", "-m", "5", "-r", "20") as uac,
    ):
        assert uac.wait() == 0
        firewall.stop()
    assert uac.count() == CallCount(successful=5, failed=0, retransmissions=0)
    rejects = [record for record in records(log, "sip_decision") if record["decision"]["verdict"] == "reject"]
    assert {record["sip"]["method"] for record in rejects} == {"INVITE"}
    assert not any(bytes.fromhex(payload).startswith(b"INVITE") for _, payload in udp_payloads(tmp_path / "p0.pcap"))


def test_a_blocked_emergency_call_is_told_within_a_second_with_rule_file_and_line(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    rule = '  - name: broken\n    when: zone.src == "carrier"\n    action: drop\n'
    policy.write_text(policy_text(rules=rule, guard="alert"))
    line = policy.read_text().splitlines().index("  - name: broken") + 1
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as sender,
    ):
        sender.sendto(request("INVITE", CARRIER, PSAP, user="911"), (PSAP, 5060))
        sent_at = time.monotonic()
        said_at, sentence = firewall.wait_for("ALARM emergency_blocked")
        assert said_at - sent_at < 1
        (alarm,) = wait_until(lambda: records(log, "alarm"), "the alarm is in the log", 1)
        assert time.monotonic() - sent_at < 1
        assert (alarm["alarm"]["rule"], alarm["alarm"]["file"], alarm["alarm"]["line"]) == ("broken", str(policy), line)
        assert "broken" in sentence
        assert f"{policy}:{line}" in sentence
        (call,) = records(log, "emergency_call")
        assert call["outcome"] == "blocked"
