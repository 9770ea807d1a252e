"""TCP through the daemon: what two peers see of each other."""

import asyncio
import random
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from firewall.live import connections as live_connections
from firewall.live import nftables, routing
from firewall.live.connections import Connections, ConnectionsStatus
from firewall.live.control import ask
from firewall.live.links import InterfaceNames
from firewall.live.tcp_socket import open_tcp_listeners
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, kernel_state
from tests.live.firewall_process import WITHIN_S, FirewallProcess, policy_text, records, wait_until
from tests.live.peer import read_bytes, request, tcp_client, tcp_server
from tests.live.sipp import CARRIER, PSAP
from tests.live.test_nftables import policy

pytestmark = pytest.mark.netns

RULES = """\
  - name: unreadable
    when: malformed
    action: drop
  - name: no-messages
    when: sip.Method == "MESSAGE"
    action: drop
  - name: no-subscriptions
    when: sip.Method == "SUBSCRIBE"
    action: reject
    status: 403
"""
OTHER_SOURCE = "203.0.113.66"


def message(method: str, number: int = 1, body: bytes = b"") -> bytes:
    return request(method, CARRIER, PSAP, body=body).replace(b"CSeq: 1 ", b"CSeq: %d " % number)


def read_what_comes(connection: socket.socket) -> bytes:
    """Return the next bytes of a stream, none when none come for a while."""
    connection.settimeout(0.5)
    try:
        return connection.recv(1 << 20)
    except TimeoutError:
        return b""


def connect_and_read(carrier: str) -> bytes:
    """Connect and read what comes (a reset may come so soon that connecting already fails)."""
    with tcp_client(carrier, CARRIER, PSAP) as client:
        return client.recv(1)


class Stage:
    """The daemon between a caller and a listening server."""

    def __init__(self, testbed: Namespaces, folder: Path, *prelude: str) -> None:
        self.testbed = testbed
        self.log, self.control = folder / "decisions.jsonl", folder / "control"
        (folder / "p.yaml").write_text(policy_text(rules=RULES, guard="enforce"))
        self.before = kernel_state(testbed.fw)
        self.firewall = FirewallProcess(
            testbed.fw, folder / "p.yaml", "--log", str(self.log), "--control", str(self.control), prelude=prelude
        )
        self.server = tcp_server(testbed.psap, PSAP)

    def connect(self, address: str = CARRIER, *, own_port: int = 0) -> tuple[socket.socket, socket.socket]:
        """Return a new connection, as the client and as the server has it."""
        client = tcp_client(self.testbed.carrier, address, PSAP, own_port=own_port)
        connection, source = self.server.accept()
        connection.settimeout(5)
        assert source == client.getsockname()
        return client, connection

    def decisions(self, count: int) -> list[dict[str, Any]]:
        """Return the decisions, once there are so many."""
        wait_until(lambda: len(records(self.log, "sip_decision")) >= count, f"{count} decisions")
        return records(self.log, "sip_decision")

    def decided_at_rest(self) -> int | None:
        """Return how many messages were decided, if there are no more a while later."""
        before = len(records(self.log, "sip_decision"))
        time.sleep(0.2)
        return before if len(records(self.log, "sip_decision")) == before else None

    def connections(self) -> dict[str, int]:
        """Return what ``ctl status`` says of connections."""
        found = ask(self.control, "status")["connections"]
        assert isinstance(found, dict)
        return found


@pytest.fixture
def stage(testbed: Namespaces, tmp_path: Path) -> Iterator[Stage]:
    opened = Stage(testbed, tmp_path)
    with opened.firewall, opened.server:
        yield opened


def test_bytes_arrive_as_they_were_sent_however_they_are_cut_and_each_message_is_decided_once(stage: Stage) -> None:
    cut = random.Random(3)
    stream = b"".join(
        b"\r\n\r\n" * (number % 3 == 0) + message("OPTIONS", number, cut.randbytes(cut.randrange(400)))
        for number in range(40)
    )
    client, server = stage.connect()
    with client, server:
        offset = 0
        while offset < len(stream):
            size = cut.randint(1, 7)
            client.sendall(stream[offset : offset + size])
            offset += size
        assert read_bytes(server, len(stream)) == stream
    found = [record for record in stage.decisions(68) if record["sip"] is not None]
    assert [record["sip"]["cseq"] for record in found] == [f"{number} OPTIONS" for number in range(40)]
    places = {(record["proto"], record["in_iface"], record["src_ip"], record["dest_port"]) for record in found}
    assert places == {("TCP", "f0", CARRIER, 5060)}


def test_a_byte_marked_urgent_is_one_of_its_message(stage: Stage) -> None:
    options = message("OPTIONS", 1, bytes(100))
    client, server = stage.connect()
    with client, server:
        client.sendall(options[:40])
        client.send(options[40:80], socket.MSG_OOB)
        client.sendall(options[80:])
        assert read_bytes(server, len(options)) == options
    (decision,) = stage.decisions(1)
    assert decision["decision"]["verdict"] == "allow"


def test_requests_and_responses_of_both_sides_share_one_connection(stage: Stage) -> None:
    client, server = stage.connect()
    with client, server:
        for number in range(20):
            one, other = (client, server) if number % 2 else (server, client)
            one.sendall(message("OPTIONS", number))
            assert read_bytes(other, len(message("OPTIONS", number))) == message("OPTIONS", number)
    ways = {(record["src_ip"], record["in_iface"]) for record in stage.decisions(20)}
    assert ways == {(CARRIER, "f0"), (PSAP, "f1")}


def test_a_message_that_is_dropped_or_rejected_leaves_the_rest_of_the_stream_whole(stage: Stage) -> None:
    client, server = stage.connect()
    with client, server:
        client.sendall(
            message("OPTIONS", 1) + message("MESSAGE", 2, b"x" * 3000) + message("SUBSCRIBE", 3) + message("INFO", 4)
        )
        expected = message("OPTIONS", 1) + message("INFO", 4)
        assert read_bytes(server, len(expected)) == expected
        answer = client.recv(4096)
        assert answer.startswith(b"SIP/2.0 403 Forbidden\r\n")
        server.sendall(message("OPTIONS", 5))
        assert read_bytes(client, len(message("OPTIONS", 5))) == message("OPTIONS", 5)
    verdicts = [record["decision"]["verdict"] for record in stage.decisions(5)]
    assert verdicts == ["allow", "drop", "reject", "allow", "allow"]


@pytest.mark.parametrize("size", [9_000, 60_000])
def test_a_large_invite_passes_whole(stage: Stage, size: int) -> None:
    invite = message("INVITE", 1, b"v" * size)
    client, server = stage.connect()
    with client, server:
        client.sendall(invite)
        assert read_bytes(server, len(invite)) == invite
    (decision,) = stage.decisions(1)
    assert decision["sip"]["content_length"] == size


def test_a_half_closed_connection_still_carries_the_answer(stage: Stage) -> None:
    client, server = stage.connect()
    with client, server:
        client.sendall(message("OPTIONS", 1))
        client.shutdown(socket.SHUT_WR)
        assert read_bytes(server, 100_000) == message("OPTIONS", 1)  # up to the FIN
        server.sendall(message("OPTIONS", 2))
        assert read_bytes(client, len(message("OPTIONS", 2))) == message("OPTIONS", 2)
        assert stage.connections()["open"] == 1
        server.close()
        assert client.recv(1) == b""
    wait_until(lambda: stage.connections()["open"] == 0, "both directions have ended")
    assert stage.connections()["broken"] == 0


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on_as_a_reset(stage: Stage, who: str) -> None:
    client, server = stage.connect()
    one, other = (client, server) if who == "client" else (server, client)
    with one, other:
        one.sendall(message("OPTIONS"))
        assert read_bytes(other, len(message("OPTIONS"))) == message("OPTIONS")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.close()
        with pytest.raises(ConnectionResetError):
            other.recv(1)
    assert stage.connections()["open"] == 0
    assert stage.connections()["broken"] == 1


def test_a_side_that_does_not_read_makes_the_other_wait_and_loses_nothing(stage: Stage) -> None:
    stream = b"".join(message("OPTIONS", number, bytes(8000)) for number in range(1500))  # 12 MB
    client, server = stage.connect()
    with client, server:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.sendall(stream)
        sent = wait_until(stage.decided_at_rest, "it stops to read")
        assert sent < 1500
        assert 0 < stage.connections()["waiting_bytes"] < 200_000
        # Another connection is none the worse for it.
        quick, quick_server = stage.connect()
        with quick, quick_server:
            quick.sendall(message("INFO"))
            assert read_bytes(quick_server, len(message("INFO"))) == message("INFO")
        received = bytearray()
        while some := read_what_comes(server):
            received += some
    whole = len(received) // len(message("OPTIONS", 1, bytes(8000)))
    assert whole > sent
    assert stream.startswith(received)


@pytest.mark.timed
def test_a_server_that_refuses_is_a_reset_for_the_client_at_once(stage: Stage) -> None:
    stage.server.close()
    began = time.monotonic()
    with pytest.raises(ConnectionResetError):
        connect_and_read(stage.testbed.carrier)
    assert time.monotonic() - began < 1
    assert stage.connections()["not_reached"] == 1


def test_an_emergency_call_toward_a_server_that_is_not_there_is_alarmed_and_the_client_is_told(stage: Stage) -> None:
    nobody = "198.51.100.99"
    with tcp_client(stage.testbed.carrier, CARRIER, nobody) as client:
        client.sendall(request("INVITE", CARRIER, nobody, user="911"))
        client.settimeout(8)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    (alarm,) = wait_until(lambda: records(stage.log, "alarm"), "an alarm")
    assert alarm["alarm"]["code"] == "forward_failed"
    assert (
        "a message of an emergency call could not be sent on: INVITE sip:911@198.51.100.99" in alarm["alarm"]["message"]
    )
    (call,) = wait_until(lambda: records(stage.log, "emergency_call"), "the ledger")
    assert (call["outcome"], call["attribution"]) == ("failed_downstream", "downstream")


def test_junk_in_a_stream_is_dropped_and_the_next_message_passes_whole(stage: Stage) -> None:
    invite = request("INVITE", CARRIER, PSAP, body=b"v=0\r\n").replace(b"sip:911@", b"sip:112@")
    client, server = stage.connect()
    with client, server:
        client.sendall(message("OPTIONS") + b"\x16\x03\x01\x02\x00" + bytes(500) + invite[:40])
        assert read_bytes(server, len(message("OPTIONS"))) == message("OPTIONS")
        wait_until(lambda: len(records(stage.log, "sip_decision")) == 2, "the junk is decided")
        client.sendall(invite[40:])
        assert read_bytes(server, len(invite)) == invite
    assert [record["decision"]["verdict"] for record in stage.decisions(3)] == ["allow", "drop", "allow"]


def test_a_message_without_content_length_goes_on_with_its_body(stage: Stage) -> None:
    body = b"v=0\r\ns=-\r\nm=audio 40000 RTP/AVP 0\r\n"
    whole = re.sub(rb"Content-Length: \d+\r\n", b"", request("INVITE", CARRIER, PSAP, body=body))[: -len(body)]
    client, server = stage.connect()
    with client, server:
        for part in (whole[:60], whole[60:], body[:9], body[9:]):
            client.sendall(part)
        assert read_bytes(server, len(whole + body)) == whole + body
        client.sendall(message("OPTIONS"))
        assert read_bytes(server, len(message("OPTIONS"))) == message("OPTIONS")
    invite, _ = stage.decisions(2)
    assert invite["anomalies"] == ["content_length_missing"]


def test_the_same_port_is_used_again_at_once_whoever_closed_first(stage: Stage) -> None:
    for number in range(6):
        client, server = stage.connect(own_port=5060)
        with client, server:
            client.sendall(message("OPTIONS", number))
            assert read_bytes(server, len(message("OPTIONS", number))) == message("OPTIONS", number)
            first, second = (client, server) if number % 2 else (server, client)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0" if number > 3 else bytes(8))
            first.close()
            with pytest.raises(ConnectionResetError) if number > 3 else ExitStack():
                assert second.recv(1) == b""
            second.close()
        wait_until(lambda: stage.connections()["open"] == 0, "it is over")
        for namespace in (stage.testbed.carrier, stage.testbed.psap):  # the peers' own memory, not ours
            subprocess.run(
                ["ip", "netns", "exec", namespace, "ss", "-K", "-tan", "state", "time-wait"],
                capture_output=True,
                check=True,
            )


def test_an_idle_connection_is_ended_in_order(testbed: Namespaces, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_connections, "IDLE_MAX_S", 0.1)

    async def keep_one_idle() -> ConnectionsStatus:
        connections = Connections(
            asyncio.get_running_loop(),
            open_tcp_listeners((4,), nftables.PROXY_PORT),
            InterfaceNames(),
            lambda _: None,
            lambda *_: None,
            print,
            lambda _: False,
        )
        connections.start()
        with tcp_server(testbed.psap, PSAP) as server:
            with await asyncio.to_thread(tcp_client, testbed.carrier, CARRIER, PSAP) as client:
                connection, _ = await asyncio.to_thread(server.accept)
                with connection:
                    connections.sweep()
                    assert connections.status().idle_closed == 0
                    await asyncio.sleep(0.15)
                    connections.sweep()
                    assert await asyncio.to_thread(client.recv, 1) == b""
            while connections.status().open:
                await asyncio.sleep(0.001)
        await connections.stop(1)
        return connections.status()

    def run() -> ConnectionsStatus:
        routing.set_up_routes((4,))
        nftables.apply_ruleset(nftables.render_ruleset(policy()))
        try:
            return asyncio.run(asyncio.wait_for(keep_one_idle(), 10))
        finally:
            nftables.remove_table()
            routing.remove_routes()

    status = in_namespace(testbed.fw, run)
    assert (status.idle_closed, status.broken) == (1, 0)


def test_a_clean_stop_ends_connections_in_order_and_leaves_nothing(stage: Stage) -> None:
    client, server = stage.connect()
    with client, server:
        client.sendall(message("OPTIONS", 1))
        assert read_bytes(server, len(message("OPTIONS", 1))) == message("OPTIONS", 1)
        client.sendall(message("OPTIONS", 2))
        stage.firewall.send(signal.SIGTERM)
        assert read_bytes(server, 100_000) == message("OPTIONS", 2)
        assert client.recv(1) == b""
        client.close()
        server.close()
        assert stage.firewall.process.wait(WITHIN_S) == 0
    assert kernel_state(stage.testbed.fw) == stage.before
    left = subprocess.run(
        ["ip", "netns", "exec", stage.testbed.fw, "ss", "-Htan", "state", "all", "exclude", "time-wait"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert left.stdout == ""
    with tcp_client(stage.testbed.carrier, CARRIER, PSAP) as again:
        stage.server.accept()[0].close()
        assert again.recv(1) == b""  # a plain router again
