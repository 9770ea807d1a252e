"""Real calls through the daemon: SIPp on both sides, tcpdump and tshark as the witnesses."""

import socket
import time
from pathlib import Path

import pytest

from firewall.live import testbed as live_testbed
from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6, CallCount, Sipp, answering, calling
from tests.live.wire import Wire, udp_payloads

pytestmark = pytest.mark.netns


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
    for caller, called in ((CARRIER, PSAP), (CARRIER_V6, PSAP_V6)):
        invite = _request("INVITE", caller, called, body=b"v=0\r\n" + b"a=x-padding:0123456789\r\n" * 375)
        assert len(invite) > 9000
        with (
            FirewallProcess(testbed.fw, policy),
            _udp_socket(testbed.carrier, caller) as sender,
            _udp_socket(testbed.psap, called) as receiver,
        ):
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
        _udp_socket(testbed.carrier, CARRIER, 5099) as sender,
        _udp_socket(testbed.psap, PSAP, 7099) as receiver,
    ):
        media = b"\x80\x00" + bytes(170)
        for payload in (media, _request("OPTIONS", CARRIER, PSAP), media):
            sender.sendto(payload, (PSAP, 7099))
        received = {receiver.recv(65535)[:7] for _ in range(3)}
        assert received == {media[:7], b"OPTIONS"}
        firewall.stop()
    assert [record["sip"]["method"] for record in records(log, "sip_decision")] == ["OPTIONS"]


def test_a_packet_in_a_routing_loop_ends_as_it_would_in_a_router(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        _udp_socket(testbed.carrier, CARRIER) as sender,
        _udp_socket(testbed.psap, PSAP) as receiver,
    ):
        receiver.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)  # DSCP EF
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        options = _request("OPTIONS", CARRIER, PSAP)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
        sender.sendto(options, (PSAP, 5060))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 40)
        sender.sendto(options, (PSAP, 5060))
        payload, ancillary, _, _ = receiver.recvmsg(65535, 128)
        firewall.wait_for("no hop left")
        receiver.setblocking(False)
        with pytest.raises(BlockingIOError):
            receiver.recv(65535)
    assert payload == options
    values = {(level, kind): data[0] for level, kind, data in ancillary}
    assert values == {(socket.IPPROTO_IP, 2): 39, (socket.IPPROTO_IP, socket.IP_TOS): 0xB8}


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
        _udp_socket(testbed.carrier, CARRIER) as sender,
    ):
        sender.sendto(_request("INVITE", CARRIER, PSAP, user="911"), (PSAP, 5060))
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


def _udp_socket(namespace: str, address: str, port: int = 5060) -> socket.socket:
    def bound() -> socket.socket:
        opened = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.settimeout(5)
        opened.bind((address, port))
        return opened

    return live_testbed.in_namespace(namespace, bound)


def _request(method: str, caller: str, called: str, *, user: str = "service", body: bytes = b"") -> bytes:
    source, destination = (f"[{ip}]" if ":" in ip else ip for ip in (caller, called))
    return (
        f"{method} sip:{user}@{destination} SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP {source}:5060;branch=z9hG4bK-1-{method}\r\n"
        f"Max-Forwards: 70\r\n"
        f"From: <sip:caller@{source}>;tag=1\r\n"
        f"To: <sip:{user}@{destination}>\r\n"
        f"Call-ID: 1-{method}@{caller}\r\n"
        f"CSeq: 1 {method}\r\n"
        f"Contact: <sip:caller@{source}:5060>\r\n"
        f"Content-Type: application/sdp\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body
