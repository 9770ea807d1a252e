"""The two halves of one connection, without a daemon: who waits for whom, and what is told when it ends."""

import asyncio
import select
import socket
from collections.abc import Iterator

import pytest

from firewall.live import connection as live_connection
from firewall.live.connection import PIECES_PER_TURN, Connection
from firewall.live.listener import Arrival
from firewall.live.shares import MESSAGES_PER_ROUND, Shares
from firewall.live.tcp_socket import reset
from firewall.live.testbed import in_namespace
from firewall.net.datagram import Datagram
from firewall.sip.framing import Framer, Piece
from tests.live.conftest import Namespaces
from tests.live.peer import read_bytes, request

pytestmark = [pytest.mark.netns, pytest.mark.asyncio]

CLIENT, SERVER = ("192.0.2.10", 40_000), ("198.51.100.10", 5060)
OPTIONS = request("OPTIONS", CLIENT[0], SERVER[0])


class Scene:
    """A connection whose engine lets everything pass but what ``blocks`` names; both peers are in the test's hand."""

    def __init__(self, pairs: list[tuple[socket.socket, socket.socket]]) -> None:
        (ours_client, self.client), (ours_server, self.server) = pairs
        self.turns: list[list[Datagram]] = []
        self.failed: list[tuple[bytes, str]] = []
        self.done = 0
        self.blocks = b"MESSAGE "
        self.shares = Shares(asyncio.get_running_loop())
        self.connection = Connection(
            asyncio.get_running_loop(),
            (ours_client, ours_server),
            (CLIENT, SERVER),
            1,
            ("f0", None),
            self.shares,
            self._serve,
            lambda datagram, error: self.failed.append((datagram.payload, error)),
            self._is_done,
        )

    def _serve(self, arrivals: list[Arrival]) -> None:
        self.turns.append([arrival.datagram for arrival in arrivals])
        for arrival in arrivals:
            assert arrival.way is not None
            if arrival.datagram.payload.startswith(b"SUBSCRIBE "):
                arrival.way.reply(Datagram("", 0, "", 9999, b"SIP/2.0 403 Forbidden\r\n\r\n"))
            elif not arrival.datagram.payload.startswith(self.blocks):
                arrival.way.forward(arrival.datagram)

    def _is_done(self, connection: Connection) -> None:
        assert connection is self.connection
        self.done += 1

    async def until_done(self) -> None:
        async with asyncio.timeout(5):
            while not self.done:
                await asyncio.sleep(0.001)


@pytest.fixture
def pairs(testbed: Namespaces) -> Iterator[list[tuple[socket.socket, socket.socket]]]:
    def connected() -> list[tuple[socket.socket, socket.socket]]:
        found = []
        with socket.create_server(("127.0.0.1", 0)) as server:
            for _ in range(2):
                peer = socket.create_connection(server.getsockname(), timeout=5)
                ours, _ = server.accept()
                ours.setblocking(False)
                found.append((ours, peer))
        return found

    made = in_namespace(testbed.fw, connected)
    yield made
    for pair in made:
        for end in pair:
            end.close()


async def receive(peer: socket.socket, count: int) -> bytes:
    return await asyncio.to_thread(read_bytes, peer, count)


async def test_each_message_has_the_addresses_of_its_direction(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    scene.server.sendall(OPTIONS)
    assert await receive(scene.client, len(OPTIONS)) == OPTIONS
    (up,), (down,) = scene.turns
    assert up == Datagram(*CLIENT, *SERVER, OPTIONS, "TCP", "f0")
    assert down == Datagram(*SERVER, *CLIENT, OPTIONS, "TCP", None)
    assert scene.connection.useful
    scene.connection.abort()
    assert scene.done == 1


async def test_an_answer_goes_back_on_the_connection_whatever_port_it_names(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(request("SUBSCRIBE", CLIENT[0], SERVER[0]))
    assert await receive(scene.client, 12) == b"SIP/2.0 403 "
    assert not scene.connection.useful
    scene.connection.abort()


async def test_a_flood_of_line_ends_is_decided_by_the_turn_and_a_ping_line_by_line(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(b"\n" * 1000 + OPTIONS + b"\r\n\r\n")
    assert await receive(scene.server, 1004 + len(OPTIONS)) == b"\n" * 1000 + OPTIONS + b"\r\n\r\n"
    assert max(len(turn) for turn in scene.turns) <= PIECES_PER_TURN
    payloads = [datagram.payload for turn in scene.turns for datagram in turn]
    assert payloads[:2] == [b"\n" * PIECES_PER_TURN] * 2
    assert len(payloads) == 1000 // PIECES_PER_TURN + 1000 % PIECES_PER_TURN + 3
    assert payloads[-3:] == [OPTIONS, b"\r\n", b"\r\n"]
    scene.connection.abort()


async def test_64_kb_of_line_ends_are_cut_a_few_at_a_time(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    more = Framer.more

    def counted(framer: Framer, most: int) -> list[Piece]:
        pieces = more(framer, most)
        made.append(len(pieces))
        return pieces

    monkeypatch.setattr(Framer, "more", counted)
    scene = Scene(pairs)
    scene.client.sendall(b"\n" * 20_000)
    assert await receive(scene.server, 20_000) == b"\n" * 20_000
    assert max(made) <= PIECES_PER_TURN
    scene.connection.abort()


async def test_in_a_flood_a_message_is_read_when_its_turn_has_come(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    scene.shares.spend(MESSAGES_PER_ROUND)
    assert scene.shares.crowded
    scene.client.sendall(OPTIONS)
    select.select([pairs[0][0]], [], [])
    scene.connection._to_client._readable()  # as the loop does
    assert len(scene.turns) == 1
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    assert not scene.shares.crowded
    scene.connection.abort()


async def test_connections_that_are_reset_all_at_once_take_turns_too(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    reads = 0
    while scene.connection.may_read(scene.connection._to_client):
        reads += 1
    assert 0 < reads <= MESSAGES_PER_ROUND
    reset(scene.client)
    assert not scene.done
    await scene.until_done()
    assert not scene.shares.crowded


async def test_two_sides_that_write_before_they_read_do_not_stop_one_another(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """The client reads nothing until it has sent all; the server all the while sends more than fits anywhere."""
    scene = Scene(pairs)
    large = request("OPTIONS", CLIENT[0], SERVER[0], body=bytes(50_000))
    flood = asyncio.create_task(asyncio.to_thread(scene.server.sendall, large * 200))
    await asyncio.to_thread(scene.client.sendall, OPTIONS * 1000)
    assert await receive(scene.server, len(OPTIONS) * 1000) == OPTIONS * 1000
    assert scene.connection.waiting_bytes < 4 * live_connection.QUEUE_HIGH_BYTES
    assert await receive(scene.client, len(large) * 200) == large * 200
    await flood
    scene.connection.abort()


async def test_answers_to_a_client_that_does_not_read_make_it_wait(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(scene.client.sendall, request("SUBSCRIBE", CLIENT[0], SERVER[0]) * 1_000_000)
    assert scene.connection.waiting_bytes < 6 * live_connection.QUEUE_HIGH_BYTES
    scene.connection.abort()


async def test_what_was_let_through_and_could_not_be_delivered_is_told_with_the_reason(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    large = request("OPTIONS", CLIENT[0], SERVER[0], body=bytes(60_000))
    scene.client.settimeout(0.5)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(scene.client.sendall, large * 1000)
    reset(scene.server)
    await scene.until_done()
    decided = sum(len(turn) for turn in scene.turns)
    assert 0 < len(scene.failed) <= decided
    assert {payload for payload, _ in scene.failed} == {large}
    assert {error for _, error in scene.failed} <= {"Connection reset by peer", "Broken pipe"}
    with pytest.raises(ConnectionResetError):
        scene.client.recv(1)


async def test_an_answer_before_a_reset_is_passed_on_although_the_reset_is_noticed_by_writing(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    """So does a server that answers the first of several requests and closes without reading the others."""
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    answers = b"SIP/2.0 503 No\r\nContent-Length: 0\r\n\r\n" * (PIECES_PER_TURN + 1)
    scene.server.sendall(answers)
    reset(scene.server)
    for _ in range(2):
        scene.connection._to_server.write(Datagram(*CLIENT, *SERVER, OPTIONS, "TCP"))
    await scene.until_done()
    assert read_bytes(scene.client, len(answers)) == answers
    assert scene.failed == [(OPTIONS, "Connection reset by peer")] * 2
    with pytest.raises(ConnectionResetError):
        scene.client.recv(1)


async def test_a_reset_that_is_noticed_by_writing_is_no_end_in_order(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    reset(scene.client)
    scene.server.sendall(OPTIONS)
    select.select([pairs[1][0]], [], [])  # the loop is told of both sides at once
    scene.connection._to_server._readable()
    scene.connection._to_client._readable()
    await scene.until_done()
    assert scene.failed == [(OPTIONS, "Connection reset by peer")]
    with pytest.raises(ConnectionResetError):
        scene.server.recv(1)


async def test_what_a_side_says_just_before_the_other_is_gone_is_decided_and_told_as_not_delivered(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    assert await receive(scene.server, len(OPTIONS)) == OPTIONS
    invites = [request("INVITE", CLIENT[0], SERVER[0], user=f"9{n}") for n in range(PIECES_PER_TURN + 1)]
    scene.client.sendall(b"".join(invites))
    reset(scene.server)
    scene.connection._to_server._readable()  # the loop may be told of this side first
    await scene.until_done()
    assert [payload for payload, _ in scene.failed] == invites
    assert {error for _, error in scene.failed} == {"Connection reset by peer", "its connection is closed"}


async def test_all_that_was_said_toward_a_server_that_is_not_reached_is_lost_for_the_same_reason(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    invites = [request("INVITE", CLIENT[0], SERVER[0], user=f"9{n}") for n in range(PIECES_PER_TURN + 1)]
    pairs[0][1].sendall(b"".join(invites))
    scene = Scene(pairs)
    scene.connection.not_reached("No route to host")
    await scene.until_done()
    assert scene.failed == [(invite, "No route to host") for invite in invites]


async def test_finished_in_order_both_sides_get_what_waits_and_then_a_fin(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    await asyncio.sleep(0)
    scene.connection.finish()
    assert await receive(scene.server, 100_000) == OPTIONS
    scene.server.sendall(OPTIONS)  # too late: decided, and told as not delivered
    scene.server.shutdown(socket.SHUT_WR)
    assert await receive(scene.client, 100_000) == b""
    scene.client.close()
    await scene.until_done()
    assert scene.failed == [(OPTIONS, "its connection is closed")]
    assert scene.done == 1


async def test_a_side_that_does_not_answer_a_fin_is_reset_in_time(
    pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_connection, "CLOSE_WITHIN_S", 0.05)
    scene = Scene(pairs)
    scene.connection.finish()
    await scene.until_done()
    assert scene.client.recv(1) == b""
    assert _send_until_refused(scene.client)


async def test_a_reset_behind_a_half_close_is_noticed_when_looked_after(
    pairs: list[tuple[socket.socket, socket.socket]],
) -> None:
    scene = Scene(pairs)
    scene.client.shutdown(socket.SHUT_WR)
    assert await receive(scene.server, 1) == b""
    scene.connection.look_after()
    assert not scene.done
    reset(scene.client)
    async with asyncio.timeout(5):
        while not scene.done:
            scene.connection.look_after()
            await asyncio.sleep(0.001)
    assert _send_until_refused(scene.server)


async def test_a_server_that_does_not_answer_in_time_is_a_reset_for_the_client_and_what_it_said_is_told(
    testbed: Namespaces, pairs: list[tuple[socket.socket, socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun() -> socket.socket:
        opened = socket.socket()
        opened.setblocking(False)
        opened.connect_ex(("198.51.100.99", 5060))  # nobody has this address
        return opened

    monkeypatch.setattr(live_connection, "CONNECT_WITHIN_S", 0.1)
    ours = pairs[1][0]
    pairs[1] = (in_namespace(testbed.fw, begun), pairs[1][1])
    scene = Scene(pairs)
    scene.client.sendall(OPTIONS)
    await scene.until_done()
    ours.close()
    assert scene.failed == [(OPTIONS, "no answer within 0.1 s")]
    assert not scene.connection.was_connected
    with pytest.raises(ConnectionResetError):
        scene.client.recv(1)


def _send_until_refused(peer: socket.socket) -> bool:
    """Send a little; tell whether the other side said that nobody is there."""
    try:
        for _ in range(100):
            peer.send(b"anyone there?")
    except ConnectionError:
        return True
    return False
