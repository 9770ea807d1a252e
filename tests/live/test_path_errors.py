"""What routers beyond the firewall say of the way (ICMP, ICMPv6): it arrives where the packet was made."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.conftest import Namespaces
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.kernel_sets import ip
from tests.live.peer import read_bytes, request, tcp_client, tcp_server, udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP, PSAP_V6

pytestmark = [pytest.mark.netns, pytest.mark.timed]

BEYOND, BEYOND_V6 = "203.0.113.130", "2001:db8:3::2"
SMALLEST_MTU = 1280

REFUSE = """\
table inet refuse {{
  chain incoming {{
    type filter hook input priority filter;
    tcp dport 5060 reject with icmpx type {}
  }}
}}
"""


@pytest.fixture
def beyond(testbed: Namespaces) -> Iterator[str]:
    """A network behind the PSAP's, which routes to it, over a link of 1280 bytes."""
    name = testbed.psap + "-beyond"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        ip(testbed.psap, "link", "add", "d0", "mtu", str(SMALLEST_MTU), "type", "veth", "peer", "d1", "netns", name)
        for namespace, interface, host in ((testbed.psap, "d0", 1), (name, "d1", 2)):
            ip(namespace, "addr", "add", f"203.0.113.{128 + host}/25", "dev", interface)
            ip(namespace, "addr", "add", f"2001:db8:3::{host}/64", "dev", interface, "nodad")
            ip(namespace, "link", "set", interface, "up")
        for network, by, back in (("203.0.113.128/25", PSAP, "203.0.113.129"), (BEYOND_V6, PSAP_V6, "2001:db8:3::1")):
            ip(testbed.fw, "route", "add", network, "via", by)
            ip(name, "route", "add", "default", "via", back)
        _forward(testbed.psap, 1)
        yield name
    finally:
        _forward(testbed.psap, 0)
        subprocess.run(["ip", "netns", "del", name], check=True)
        for network in ("203.0.113.128/25", BEYOND_V6):
            subprocess.run(["ip", "-n", testbed.fw, "route", "del", network], check=False)
        for namespace in (testbed.carrier, testbed.fw, testbed.psap):
            for version in "46":
                ip(namespace, f"-{version}", "route", "flush", "cache")


@pytest.mark.parametrize(("caller", "called"), [(CARRIER, BEYOND), (CARRIER_V6, BEYOND_V6)])
def test_a_large_call_over_tcp_finds_its_way_through_a_smaller_link_further_on(
    testbed: Namespaces, beyond: str, tmp_path: Path, caller: str, called: str
) -> None:
    (tmp_path / "p.yaml").write_text(policy_text())
    call = request("INVITE", caller, called, user="911", body=bytes(9000))
    with (
        FirewallProcess(testbed.fw, tmp_path / "p.yaml"),
        tcp_server(beyond, called) as listening,
        tcp_client(testbed.carrier, caller, called) as client,
    ):
        server, _ = listening.accept()
        with server:
            server.settimeout(5)
            client.sendall(call)
            assert read_bytes(server, len(call)) == call


def test_a_large_call_over_ipv6_arrives_when_it_is_sent_again_through_a_smaller_link_further_on(
    testbed: Namespaces, beyond: str, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(policy_text())
    call = request("INVITE", CARRIER_V6, BEYOND_V6, user="911", body=bytes(9000))
    with (
        FirewallProcess(testbed.fw, tmp_path / "p.yaml"),
        udp_socket(testbed.carrier, CARRIER_V6) as client,
        udp_socket(beyond, BEYOND_V6) as server,
    ):
        server.settimeout(0.5)  # T1

        def arrives() -> bool:
            client.sendto(call, (BEYOND_V6, 5060))
            try:
                return server.recv(65536) == call
            except TimeoutError:
                return False

        assert wait_until(arrives, "the call arrives", within_s=3)


def test_a_server_that_a_router_does_not_reach_is_a_reset_for_the_client_at_once(
    testbed: Namespaces, tmp_path: Path
) -> None:
    (tmp_path / "p.yaml").write_text(policy_text())
    in_psap = ["ip", "netns", "exec", testbed.psap, "nft"]
    try:
        with FirewallProcess(testbed.fw, tmp_path / "p.yaml"):
            for how in ("host-unreachable", "admin-prohibited", "port-unreachable"):
                subprocess.run([*in_psap, "-f", "-"], input=REFUSE.format(how), text=True, check=True)
                began = time.monotonic()
                with pytest.raises(ConnectionResetError), tcp_client(testbed.carrier, CARRIER, PSAP) as client:
                    client.recv(1)
                assert time.monotonic() - began < 1
                subprocess.run([*in_psap, "delete", "table", "inet", "refuse"], check=True)
    finally:
        subprocess.run([*in_psap, "flush", "ruleset"], check=True)


def test_a_caller_over_udp_is_told_itself_that_nobody_listens(testbed: Namespaces, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(policy_text())
    with FirewallProcess(testbed.fw, tmp_path / "p.yaml"), udp_socket(testbed.carrier, CARRIER) as client:
        client.connect((PSAP, 5060))
        client.send(request("OPTIONS", CARRIER, PSAP))
        with pytest.raises(ConnectionRefusedError):
            client.recv(1)


def test_an_emergency_call_over_tcp_toward_where_no_route_leads_is_in_the_ledger(
    testbed: Namespaces, tmp_path: Path
) -> None:
    log, nowhere = tmp_path / "decisions.jsonl", "203.0.113.200"
    (tmp_path / "p.yaml").write_text(policy_text())
    ip(testbed.fw, "route", "add", "unreachable", nowhere)
    try:
        with FirewallProcess(testbed.fw, tmp_path / "p.yaml", "--log", str(log)) as firewall:
            call = request("INVITE", CARRIER, nowhere, user="911")

            def is_told() -> list[object]:
                # What a client says is there to be read only when it is quicker than the reset.
                try:
                    with tcp_client(testbed.carrier, CARRIER, nowhere) as client:
                        client.sendall(call)
                except OSError:
                    pass
                return list(records(log, "emergency_call"))

            wait_until(is_told, "the ledger")
            assert firewall.stop() == 0
    finally:
        ip(testbed.fw, "route", "del", nowhere)
    (told, *_) = records(log, "emergency_call")
    assert told["attribution"] == "exception"
    assert told["hurt_by"]["reason"] == "forward_failed"
    alarms = [record["alarm"] for record in records(log, "alarm")]
    assert {alarm["code"] for alarm in alarms} == {"forward_failed"}
    # Of a try that was reset before it said anything there may be another one.
    told_of_call = next(alarm["message"] for alarm in alarms if alarm["call_id"] == told["call_id"])
    assert "this machine cannot connect there: No route to host; Call-ID " in told_of_call


def _forward(namespace: str, on: int) -> None:
    settings = [f"net.ipv4.ip_forward={on}", f"net.ipv6.conf.all.forwarding={on}"]
    subprocess.run(["ip", "netns", "exec", namespace, "sysctl", "-qw", *settings], check=True)
