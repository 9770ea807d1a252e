"""What the transparent socket receives, and what it must not take for intercepted."""

import os
import signal
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firewall.live.control import ask
from firewall.live.links import InterfaceNames
from firewall.live.listener import Listener
from firewall.live.nftables import PROXY_PORT
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, machine_root
from tests.live.firewall_process import FirewallProcess, policy_text, records, wait_until
from tests.live.peer import request, udp_socket
from tests.live.sipp import CARRIER, CARRIER_V6, PSAP

pytestmark = pytest.mark.netns


@pytest.fixture
def listener(testbed: Namespaces) -> Iterator[Listener]:
    opened = in_namespace(testbed.fw, lambda: Listener(4, PROXY_PORT, InterfaceNames()))
    yield opened
    opened.close()


def test_a_datagram_comes_with_its_interface_hops_class_and_the_kernels_time(
    testbed: Namespaces, listener: Listener
) -> None:
    with udp_socket(testbed.carrier, CARRIER) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
        before_ns = time.time_ns()
        for payload in (b"", b"x" * 65_507, b"last"):
            sender.sendto(payload, ("192.0.2.1", PROXY_PORT))
        after_ns = time.time_ns()
    arrivals = in_namespace(testbed.fw, lambda: listener.receive(10))
    assert [arrival.datagram.payload for arrival in arrivals] == [b"", b"x" * 65_507, b"last"]
    for arrival in arrivals:
        assert (arrival.hops, arrival.traffic_class) == (33, 0xB8)
        assert (arrival.datagram.in_iface, arrival.datagram.src_ip, arrival.datagram.src_port) == ("f0", CARRIER, 5060)
        assert (arrival.datagram.dst_ip, arrival.datagram.dst_port) == ("192.0.2.1", PROXY_PORT)
        assert before_ns - 1000 <= arrival.time_ns <= after_ns
        assert arrival.time_ns % 1000 == 0
    assert listener.receive() == []


@pytest.mark.parametrize(
    ("option", "user"),
    [(socket.SO_REUSEADDR, os.geteuid()), pytest.param(socket.SO_REUSEPORT, 65534, marks=machine_root)],
)
def test_no_other_user_of_the_machine_may_take_the_port(
    testbed: Namespaces, listener: Listener, option: int, user: int
) -> None:
    """Messages would pass unseen; where ``ip_unprivileged_port_start`` is 0, as in a container, all may bind it."""
    other = in_namespace(testbed.fw, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with other, udp_socket(testbed.carrier, CARRIER) as sender:
        other.setsockopt(socket.SOL_SOCKET, option, 1)
        os.fchown(other.fileno(), user, -1)
        for address in ("0.0.0.0", "192.0.2.1"):  # noqa: S104
            with pytest.raises(OSError, match="Address already in use"):
                other.bind((address, PROXY_PORT))
        sender.sendto(b"all the same", ("192.0.2.1", PROXY_PORT))
    assert [arrival.datagram.payload for arrival in listener.receive()] == [b"all the same"]


def test_no_more_than_the_limit_is_taken_at_once(testbed: Namespaces, listener: Listener) -> None:
    with udp_socket(testbed.carrier, CARRIER) as sender:
        for number in range(10):
            sender.sendto(b"%d" % number, ("192.0.2.1", PROXY_PORT))
    assert [arrival.datagram.payload for arrival in listener.receive(4)] == [b"0", b"1", b"2", b"3"]
    assert len(listener.receive(64)) == 6


def test_what_the_kernel_had_to_drop_is_counted(testbed: Namespaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("firewall.live.listener.RECEIVE_BUFFER_BYTES", 4096)
    small = in_namespace(testbed.fw, lambda: Listener(4, PROXY_PORT, InterfaceNames()))
    assert small.dropped() == 0
    with udp_socket(testbed.carrier, CARRIER) as sender:
        for _ in range(100):
            sender.sendto(bytes(1000), ("192.0.2.1", PROXY_PORT))
    received = len(small.receive(100))
    assert received < 100
    assert small.dropped() == 100 - received
    small.close()


@pytest.mark.parametrize(("version", "caller", "own"), [(4, CARRIER, "192.0.2.1"), (6, CARRIER_V6, "2001:db8:1::1")])
def test_a_datagram_of_a_wrong_checksum_is_not_one_that_came_too_fast(
    testbed: Namespaces, version: int, caller: str, own: str
) -> None:
    listener = in_namespace(testbed.fw, lambda: Listener(version, PROXY_PORT, InterfaceNames()))
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with in_namespace(testbed.carrier, lambda: socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_UDP)) as sender:
        sender.bind((caller, 0))
        for _ in range(3):
            sender.sendto(struct.pack("!HHHH", 5060, PROXY_PORT, 12, 0x1234) + b"\r\n\r\n", (own, 0))
    assert listener.receive() == []
    assert in_namespace(testbed.fw, listener.dropped) == 0
    listener.close()


@pytest.mark.timed
def test_datagrams_that_are_lost_because_they_come_too_fast_are_an_alarm_that_names_the_sender(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, control = tmp_path / "p.yaml", tmp_path / "control"
    policy.write_text(policy_text())
    flood = request("OPTIONS", CARRIER, PSAP, body=bytes(60_000))
    with (
        FirewallProcess(testbed.fw, policy, "--control", str(control)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as sender,
    ):
        firewall.send(signal.SIGSTOP)
        for _ in range(1000):
            sender.sendto(flood, (PSAP, 5060))
        firewall.send(signal.SIGCONT)
        _, alarm = firewall.wait_for("ALARM datagrams_lost: ")
        lost = wait_until(lambda: ask(control, "status")["receive_drops"], "the loss is counted")
        assert f" {lost} datagrams were lost since the start" in alarm
        assert alarm.endswith(f" read at the time are from {CARRIER}")


def test_what_is_sent_to_the_proxy_port_itself_is_not_taken_for_intercepted(
    testbed: Namespaces, tmp_path: Path
) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as outside,
        udp_socket(testbed.fw, "192.0.2.1") as inside,
        udp_socket(testbed.psap, PSAP, PROXY_PORT) as receiver,
    ):
        outside.sendto(request("INVITE", CARRIER, "192.0.2.1"), ("192.0.2.1", PROXY_PORT))
        inside.sendto(request("INVITE", CARRIER, "192.0.2.1"), ("192.0.2.1", PROXY_PORT))
        options = request("OPTIONS", CARRIER, PSAP)
        outside.sendto(options, (PSAP, PROXY_PORT))  # a peer's own port of that number is a port like any other
        assert receiver.recvfrom(65535) == (options, (CARRIER, 5060))
        receiver.sendto(b"SIP/2.0 200 OK\r\n\r\n", (CARRIER, 5060))
        firewall.stop()
    assert {(record["src_ip"], record["src_port"]) for record in records(log, "sip_decision")} == {
        (CARRIER, 5060),
        (PSAP, PROXY_PORT),
    }


def test_a_packet_in_a_routing_loop_ends_as_it_would_in_a_router(testbed: Namespaces, tmp_path: Path) -> None:
    policy, log = tmp_path / "p.yaml", tmp_path / "decisions.jsonl"
    policy.write_text(policy_text())
    with (
        FirewallProcess(testbed.fw, policy, "--log", str(log)) as firewall,
        udp_socket(testbed.carrier, CARRIER) as sender,
        udp_socket(testbed.psap, PSAP) as receiver,
    ):
        receiver.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)  # DSCP EF
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        options = request("OPTIONS", CARRIER, PSAP)
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
