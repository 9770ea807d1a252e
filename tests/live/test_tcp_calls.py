"""Real calls over TCP through the daemon: SIPp on both sides, tcpdump and tshark as the witnesses."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6

from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, kernel_state
from tests.live.firewall_process import WITHIN_S, FirewallProcess, policy_text, records
from tests.live.peer import read_bytes, request, tcp_client, tcp_server
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6, CallCount, answering, calling, wait_until_listening
from tests.live.wire import Wire, tcp_streams

pytestmark = [pytest.mark.netns, pytest.mark.timed]

ONE_CONNECTION = ("-t", "t1")
ONE_EACH = ("-t", "tn", "-max_socket", "2000")


@pytest.mark.parametrize(
    ("caller", "called", "mode", "connections"),
    [
        (CARRIER, PSAP, ONE_CONNECTION, 1),
        (CARRIER, PSAP, ONE_EACH, 400),
        (CARRIER_V6, PSAP_V6, ONE_CONNECTION, 1),
    ],
)
def test_200_calls_a_second_all_succeed_and_every_message_is_recorded_and_arrives_unchanged(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str, mode: tuple[str, ...], connections: int
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    outside, inside = tmp_path / "c0.pcap", tmp_path / "p0.pcap"
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Wire(testbed.carrier, "c0", outside),
        Wire(testbed.psap, "p0", inside),
        answering(testbed.psap, tmp_path, called, *ONE_CONNECTION),
        calling(testbed.carrier, tmp_path, "-m", "400", "-r", "200", *mode, address=caller, to=called) as uac,
    ):
        assert uac.wait() == 0
        assert firewall.stop() == 0
    assert uac.count() == CallCount(successful=400, failed=0, retransmissions=0)
    decisions = records(log, "sip_decision")
    assert len(decisions) == 6 * 400  # INVITE 180 200 ACK BYE 200
    assert {record["decision"]["verdict"] for record in decisions} == {"allow"}
    assert {record["proto"] for record in decisions} == {"TCP"}
    assert {(record["src_ip"], record["in_iface"]) for record in decisions} == {(caller, "f0"), (called, "f1")}
    streams = tcp_streams(outside)
    assert len(streams) == 2 * connections  # one each way
    assert streams == tcp_streams(inside)
    assert sum(stream.count(b"SIP/2.0\r\nVia: ") + stream.count(b"SIP/2.0 ") for stream in streams.values()) == 2400


def test_calls_succeed_when_every_segment_is_cut_to_1_to_7_bytes_in_both_directions(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    cutter = [sys.executable, str(Path(__file__).parent / "cutter.py")]
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Wire(testbed.carrier, "c0", tmp_path / "c0.pcap"),
        answering(testbed.psap, tmp_path, "127.0.0.1", *ONE_CONNECTION),
        subprocess.Popen(["ip", "netns", "exec", testbed.psap, *cutter, PSAP, "127.0.0.1"]) as near_psap,
        subprocess.Popen(["ip", "netns", "exec", testbed.carrier, *cutter, "127.0.0.1", PSAP, CARRIER]) as near_carrier,
    ):
        try:
            wait_until_listening(testbed.psap, PSAP)
            wait_until_listening(testbed.carrier, "127.0.0.1")
            uac = ("-m", "40", "-r", "20", *ONE_CONNECTION, "-p", "5070")
            with calling(testbed.carrier, tmp_path, *uac, address="127.0.0.1", to="127.0.0.1") as sipp:
                assert sipp.wait() == 0
            assert firewall.stop() == 0
        finally:
            near_psap.kill()
            near_carrier.kill()
    assert sipp.count() == CallCount(successful=40, failed=0, retransmissions=0)
    decisions = records(log, "sip_decision")
    assert len(decisions) == 6 * 40
    assert {record["decision"]["verdict"] for record in decisions} == {"allow"}
    from_carrier = _segment_lengths(tmp_path / "c0.pcap", f"ip.src == {CARRIER}")
    # A kernel that is short of time may join a few that wait.
    assert sum(from_carrier[size] for size in range(1, 8)) > 0.9 * from_carrier.total() > 1000


@pytest.mark.parametrize("down", ["bypass", "block"])
def test_killed_its_connections_end_and_new_ones_go_the_way_the_zone_says(
    testbed: Namespaces, tmp_path: Path, down: str
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(down=down))
    before = kernel_state(testbed.fw)
    options = request("OPTIONS", CARRIER, PSAP)

    def pair() -> tuple[Any, Any]:
        client = tcp_client(testbed.carrier, CARRIER, PSAP, within_s=2)
        server, _ = listening.accept()
        server.settimeout(5)
        client.sendall(options)
        assert read_bytes(server, len(options)) == options
        return client, server

    with FirewallProcess(testbed.fw, policy) as first, tcp_server(testbed.psap, PSAP) as listening:
        client, server = pair()
        first.kill()
        with client, server:
            for end in (client, server):
                assert _ends(end)
        if down == "block":
            with pytest.raises(TimeoutError):
                pair()
        else:
            client, server = pair()  # from now on by the kernel alone
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as second:
            if down == "bypass":
                with client, server:
                    client.sendall(options)
                    assert _ends(client)
                assert records(log, "sip_decision") == []
            for end in pair():
                end.close()
            assert len(records(log, "sip_decision")) == 1
            assert second.stop() == 0
    assert kernel_state(testbed.fw) == before


@pytest.mark.parametrize(
    ("caller", "called", "down"), [(CARRIER, PSAP, "block"), (CARRIER, PSAP, "bypass"), (CARRIER_V6, PSAP_V6, "bypass")]
)
def test_a_connection_that_was_made_while_none_ran_is_reset_so_that_its_client_connects_anew(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str, down: str
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(down=down))
    invite = request("INVITE", caller, called, user="911")
    with tcp_server(testbed.psap, called) as listening, tcp_client(testbed.carrier, caller, called) as old:
        kept, _ = listening.accept()
        with kept, FirewallProcess(testbed.fw, policy):
            old.sendall(invite)
            with pytest.raises(ConnectionResetError):
                old.recv(1)
            kept.sendall(invite)  # a callback, say
            kept.settimeout(WITHIN_S)
            with pytest.raises(ConnectionResetError):
                kept.recv(1)
            with tcp_client(testbed.carrier, caller, called) as new:
                new.sendall(invite)
                server, _ = listening.accept()
                with server:
                    assert read_bytes(server, len(invite)) == invite


@pytest.mark.parametrize("down", ["bypass", "block"])
@pytest.mark.parametrize(("caller", "called"), [(CARRIER, PSAP), (CARRIER_V6, PSAP_V6)])
def test_a_connection_from_a_signalling_port_to_one_that_is_none_is_left_alone(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str, down: str
) -> None:
    """TLS to port 5061, say, whose answers look like what clients send."""
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(down=down))
    with (
        tcp_server(testbed.psap, called, 5061) as listening,
        FirewallProcess(testbed.fw, policy) as firewall,
        tcp_client(testbed.carrier, caller, called, 5061, own_port=5060) as client,
    ):
        server, _ = listening.accept()
        with server:
            for is_reloaded in (False, True):
                if is_reloaded:
                    firewall.send(signal.SIGHUP)
                    firewall.wait_for("new policy in force")
                client.sendall(b"hello")
                assert read_bytes(server, 5) == b"hello"
                server.sendall(b"hi")
                assert read_bytes(client, 2) == b"hi"
        assert firewall.stop() == 0


@pytest.mark.parametrize(
    ("caller", "called", "spoofed"),
    [(CARRIER, PSAP, IP(src="192.0.2.20", dst=PSAP)), (CARRIER_V6, PSAP_V6, IPv6(src="2001:db8:1::20", dst=PSAP_V6))],
)
def test_of_a_flood_of_syns_from_signalling_ports_nothing_is_remembered_for_long(
    testbed: Namespaces, tmp_path: Path, caller: str, called: str, spoofed: IP | IPv6
) -> None:
    """The kernel remembers 65 536 connections; who connects when there are as many is reset."""
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    family = socket.AF_INET6 if ":" in caller else socket.AF_INET
    raw = in_namespace(testbed.carrier, lambda: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))
    with (
        raw,
        tcp_server(testbed.psap, called, 5061) as listening,
        FirewallProcess(testbed.fw, policy),
        tcp_client(testbed.carrier, caller, called, 5061, own_port=5060) as client,
    ):
        server, _ = listening.accept()
        raw.sendto(bytes(spoofed / TCP(sport=5060, dport=5061, flags="S")), (called, 0))
        with server:
            server.sendall(b"hi")
            assert read_bytes(client, 2) == b"hi"
            kept = _remembered_streams(testbed.fw, 6 if ":" in caller else 4)
    assert 10_000 < kept[caller] <= 10_800
    assert 0 < kept[spoofed.src] <= 30


@pytest.mark.parametrize("down", ["bypass", "block"])
@pytest.mark.parametrize(
    ("caller", "called", "spoofed"),
    [(CARRIER, PSAP, IP(src="192.0.2.20", dst=PSAP)), (CARRIER_V6, PSAP_V6, IPv6(src="2001:db8:1::20", dst=PSAP_V6))],
)
def test_an_emergency_call_gets_through_a_flood_of_syns_that_has_the_kernel_answer_with_cookies(
    testbed: Namespaces, tmp_path: Path, down: str, caller: str, called: str, spoofed: IP | IPv6
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text(down=down))
    invite = request("INVITE", caller, called, user="911")
    family = socket.AF_INET6 if ":" in caller else socket.AF_INET
    raw = in_namespace(testbed.carrier, lambda: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW))
    backlog = in_namespace(testbed.fw, lambda: _set_longest_backlog("8"))
    with (
        raw,
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        tcp_server(testbed.psap, called) as server,
    ):
        in_namespace(testbed.fw, lambda: _set_longest_backlog(backlog))  # the daemon's sockets have it by now
        for port in range(2000, 2020):
            raw.sendto(bytes(spoofed / TCP(sport=port, dport=5060, flags="S")), (called, 0))
        with tcp_client(testbed.carrier, caller, called) as client:
            client.sendall(invite)
            onward, _ = server.accept()
            with onward:
                onward.settimeout(5)
                assert read_bytes(onward, len(invite)) == invite
        assert firewall.stop() == 0
    assert [record["proto"] for record in records(log, "sip_decision")] == ["TCP"]
    assert "ALARM interception_lost" not in firewall.stderr


def test_calls_go_on_over_new_connections_when_the_daemon_is_killed(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    reconnecting = (*ONE_EACH, "-reconnect_close", "false", "-max_reconnect", "100")
    with FirewallProcess(testbed.fw, policy) as firewall, answering(testbed.psap, tmp_path, PSAP, *ONE_CONNECTION):
        firewall.kill()
        with calling(testbed.carrier, tmp_path, "-m", "50", "-r", "100", *reconnecting) as uac:
            assert uac.wait() == 0
        with FirewallProcess(testbed.fw, policy) as again:
            with calling(testbed.carrier, tmp_path, "-m", "50", "-r", "100", *reconnecting) as uac:
                assert uac.wait() == 0
            assert again.stop() == 0


def test_a_new_policy_in_force_and_a_stop_under_load_cut_no_message_short(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    options = request("OPTIONS", CARRIER, PSAP, body=bytes(500))
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        tcp_server(testbed.psap, PSAP) as listening,
        tcp_client(testbed.carrier, CARRIER, PSAP) as client,
    ):
        server, _ = listening.accept()
        with server:
            server.settimeout(5)
            received = bytearray()
            reader = threading.Thread(target=_read_to_the_end, args=(server, received))
            reader.start()
            for number in range(200):
                client.sendall(options)
                if number == 100:
                    # Ports of connections that exist may go: only new ones are judged by them.
                    policy.write_text(policy_text() + "signalling: {ports: [5070]}\n")
                    firewall.send(signal.SIGHUP)
                    firewall.wait_for("new policy in force")
            firewall.send(signal.SIGTERM)
            with contextlib.suppress(OSError):
                while True:
                    client.sendall(options)
            reader.join(10)
            server.close()
            client.close()
            assert firewall.process.wait(WITHIN_S) == 0
    whole, part = divmod(len(received), len(options))
    assert part == 0
    assert whole > 200
    decided = len(records(log, "sip_decision"))
    failed = [record for record in records(log, "alarm") if record["alarm"]["code"] == "forward_failed"]
    assert decided == whole or failed


def _remembered_streams(namespace: str, version: int) -> dict[str, int]:
    """Return for how many more seconds the kernel remembers a client's connection."""
    ask = ["ip", "netns", "exec", namespace, "nft", "-j", "list", "set", "inet", "sosgate", f"other_streams{version}"]
    listed = json.loads(subprocess.run(ask, capture_output=True, check=True).stdout)["nftables"][1]["set"]["elem"]
    return {one["elem"]["val"]["concat"][2]: one["elem"]["expires"] for one in listed}


def _set_longest_backlog(connections: str) -> str:
    """Set it in this thread's namespace; return what it was."""
    setting = Path("/proc/sys/net/core/somaxconn")
    before = setting.read_text()
    setting.write_text(connections)
    return before


def _read_to_the_end(connection: socket.socket, received: bytearray) -> None:
    with contextlib.suppress(OSError):
        while some := connection.recv(1 << 20):
            received += some


def _ends(connection: Any) -> bool:
    """Tell that nothing more comes on a connection: a FIN or a reset."""
    try:
        return bool(connection.recv(1) == b"")
    except ConnectionResetError:
        return True


def _segment_lengths(capture: Path, which: str) -> Counter[int]:
    command = ["tshark", "-r", str(capture), "-Y", f"tcp.len > 0 and {which}", "-T", "fields", "-e", "tcp.len"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return Counter(int(line) for line in done.stdout.split())
