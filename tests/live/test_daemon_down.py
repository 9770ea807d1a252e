"""What becomes of calls when the daemon is killed, started again and stopped."""

import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from firewall.live.nftables import remove_table
from firewall.live.routing import remove_routes
from firewall.live.testbed import in_namespace
from tests import messages
from tests.live.conftest import Namespaces, kernel_state
from tests.live.firewall_process import WITHIN_S, FirewallProcess, policy_text, records, wait_until
from tests.live.peer import request, udp_socket
from tests.live.sipp import CARRIER, PSAP, answering, calling
from tests.live.wire import Wire, udp_payloads

pytestmark = [pytest.mark.netns, pytest.mark.timed]


def test_killed_with_bypass_no_call_fails_and_a_restarted_daemon_takes_over(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    # With this rule an unknown BYE or ACK would be dropped, were it not for the takeover.
    only_invite = '  - name: calls\n    when: sip.Method == "INVITE"\n    action: allow\n'
    policy.write_text(policy_text().partition("rules:\n")[0] + "rules:\n" + only_invite + "default: drop\n")
    before = kernel_state(testbed.fw)
    first = FirewallProcess(testbed.fw, policy)
    with (
        first,
        answering(testbed.psap, tmp_path, scenario="answers_at_once"),
        calling(testbed.carrier, tmp_path, "-m", "10000", "-r", "20", "-d", "1000") as uac,
    ):
        _sleep_until_calls_go_on(uac.process)
        first.kill()
        time.sleep(1.5)  # calls are set up and ended by the kernel alone
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as second:
            wait_until(lambda: '"reason":"takeover"' in log.read_text(), "a call is followed that began before")
            uac.process.send_signal(signal.SIGUSR1)  # no new calls
            assert uac.wait() == 0
            assert "took over" in second.stderr
            assert second.stop() == 0
    assert uac.count().failed == 0
    (loaded,) = records(log, "policy")
    assert loaded["policy"]["takeover"] is True
    assert kernel_state(testbed.fw) == before


def test_an_emergency_call_that_outlives_the_daemon_stays_one(testbed: Namespaces, tmp_path: Path) -> None:
    """Nothing in its later messages says so: the second daemon knows it from the first one's log."""
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    invite = messages.request("INVITE", "urn:service:sos", to="<sip:6175550100@psap.example>")
    info = messages.request("INFO", "sip:u@192.0.2.10", from_tag="psap", to_tag="caller", to="<sip:u@192.0.2.10>")
    with (
        udp_socket(testbed.carrier, CARRIER) as caller,
        udp_socket(testbed.psap, PSAP) as called,
    ):
        with FirewallProcess(testbed.fw, policy, "--log", str(log)) as first:
            caller.sendto(invite, (PSAP, 5060))
            assert called.recv(65_536) == invite
            called.sendto(messages.response(invite), (CARRIER, 5060))
            assert caller.recv(65_536) == messages.response(invite)
            first.kill()
        with FirewallProcess(testbed.fw, policy, "--log", str(log)):
            called.sendto(info, (CARRIER, 5060))
            assert caller.recv(65_536) == info
    (decision,) = [each for each in records(log, "sip_decision") if each["sip"].get("method") == "INFO"]
    assert decision["emergency"]["evidence"][0].startswith("same call: request_uri urn:service:sos")
    assert decision["dialog"]["state"] == "confirmed"


def test_killed_with_block_no_call_passes_until_the_daemon_is_back(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(down="block"))
    before = kernel_state(testbed.fw)
    with FirewallProcess(testbed.fw, policy) as first, answering(testbed.psap, tmp_path, scenario="answers_at_once"):
        first.kill()
        with (
            Wire(testbed.psap, "p0", tmp_path / "p0.pcap"),
            calling(testbed.carrier, tmp_path, "-m", "20", "-r", "50") as uac,
        ):
            wait_until(lambda: _blocked(testbed.fw) >= 60, "each call's INVITE was dropped three times")
        assert uac.count().successful == 0
        assert udp_payloads(tmp_path / "p0.pcap").total() == 0
        # A start that fails leaves the block as it is: better late than open.
        bad = tmp_path / "bad.yaml"
        bad.write_text("policy: [")
        refused = FirewallProcess(testbed.fw, bad)
        assert refused.process.wait(WITHIN_S) == 2
        refused.kill()
        assert kernel_state(testbed.fw) != before
        with (
            FirewallProcess(testbed.fw, policy) as second,
            calling(testbed.carrier, tmp_path, "-m", "20", "-r", "50") as again,
        ):
            assert again.wait() == 0
            assert second.stop() == 0
    assert kernel_state(testbed.fw) == before


def test_a_log_that_cannot_be_opened_any_more_keeps_no_restart_from_emergency_calls(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, folder = tmp_path / "p.yaml", tmp_path / "logs"
    policy.write_text(policy_text(down="block"))
    folder.mkdir()
    with FirewallProcess(testbed.fw, policy, "--log", str(folder / "log")) as firewall:
        firewall.kill()
    folder.rename(tmp_path / "gone")
    invite = request("INVITE", CARRIER, PSAP, user="911")
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(folder / "log")) as firewall,
        udp_socket(testbed.carrier, CARRIER) as sender,
        udp_socket(testbed.psap, PSAP) as receiver,
    ):
        sender.sendto(invite, (PSAP, 5060))
        assert receiver.recv(65535) == invite
        assert firewall.stop() == 0
    assert "the file cannot be opened: No such file or directory" in firewall.wait_for("ALARM log_unwritable")[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_clean_stop_leaves_the_machine_as_it_was(testbed: Namespaces, tmp_path: Path, number: signal.Signals) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text())
    others = "table inet other {\nchain c {\ntype filter hook forward priority 5\n}\n}"
    in_fw = ["ip", "netns", "exec", testbed.fw]
    subprocess.run([*in_fw, "nft", others], check=True)
    subprocess.run([*in_fw, "ip", "route", "add", "unreachable", "203.0.113.9", "table", "505"], check=True)
    try:
        before = kernel_state(testbed.fw)
        with FirewallProcess(testbed.fw, policy) as firewall:
            assert kernel_state(testbed.fw) != before
            assert firewall.stop(number) == 0
        assert kernel_state(testbed.fw) == before
        assert "203.0.113.9" in before
    finally:
        subprocess.run([*in_fw, "nft", "delete", "table", "inet", "other"], check=True)
        subprocess.run([*in_fw, "ip", "route", "flush", "table", "505"], check=True)


def test_a_stop_where_nft_fails_leaves_nothing(testbed: Namespaces, tmp_path: Path) -> None:
    policy, nft, fails = tmp_path / "p.yaml", tmp_path / "nft", tmp_path / "fails"
    does = "echo 'Error: Could not process rule: No memory' >&2; exit 1"
    policy.write_text(policy_text(down="block"))
    nft.write_text(f'#!/bin/sh\n[ ! -e {fails} ] || {{ {does}; }}\nexec {shutil.which("nft")} "$@"\n')
    nft.chmod(0o755)
    before = kernel_state(testbed.fw)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    with FirewallProcess(testbed.fw, policy, environment=environment) as firewall:
        fails.touch()
        assert firewall.stop() == 0
    assert "Could not process rule: No memory" in firewall.stderr
    assert kernel_state(testbed.fw) == before


def test_a_stop_under_load_loses_no_message(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    outside, inside = tmp_path / "c0.pcap", tmp_path / "p0.pcap"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        Wire(testbed.carrier, "c0", outside),
        Wire(testbed.psap, "p0", inside),
        answering(testbed.psap, tmp_path, scenario="answers_at_once"),
        calling(testbed.carrier, tmp_path, "-m", "10000", "-r", "150") as uac,
    ):
        _sleep_until_calls_go_on(uac.process)
        assert firewall.stop() == 0
        uac.process.send_signal(signal.SIGUSR1)  # no new calls
        assert uac.wait() == 0
    messages = udp_payloads(outside)
    assert messages == udp_payloads(inside)
    assert 0 < len(records(log, "sip_decision")) < messages.total()
    assert records(log)[-1]["event_type"] == "stats"


def _blocked(namespace: str) -> int:
    return sum(int(packets) for packets in re.findall(r"counter packets (\d+) bytes \d+ drop", kernel_state(namespace)))


def _sleep_until_calls_go_on(process: "subprocess.Popen[bytes]") -> None:
    time.sleep(1.0)
    assert process.poll() is None


def test_without_memory_it_ends_and_calls_pass_as_after_a_crash(testbed: Namespaces, tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(policy_text(down="bypass"))
    options = request("OPTIONS", CARRIER, PSAP, body=bytes(8000))
    with (
        udp_socket(testbed.carrier, CARRIER) as client,
        udp_socket(testbed.psap, PSAP) as server,
        FirewallProcess(testbed.fw, policy) as firewall,
    ):
        pid = firewall.process.pid
        status = Path(f"/proc/{pid}/status").read_text()
        limit = int(status.partition("VmData:")[2].split()[0]) * 1024 + 2**20
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))

        def has_ended() -> bool:
            for number in range(100):
                client.sendto(options.replace(b"1-OPTIONS", b"%d-%d" % (number, time.monotonic_ns())), (PSAP, 5060))
            return firewall.process.poll() is not None

        wait_until(has_ended, "it has no memory left", 30)
        assert firewall.process.returncode == 70
        firewall.wait_for("no memory is left; sosgate ends, and on_daemon_down holds")
        _read_all(server)
        client.sendto(options, (PSAP, 5060))
        assert server.recv(65_536) == options
    in_namespace(testbed.fw, remove_table)
    in_namespace(testbed.fw, remove_routes)


def _read_all(server: socket.socket) -> None:
    server.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            server.recv(65_536)
    server.settimeout(5)
