"""One stream, against a real TCP peer on the loopback of a namespace."""

import asyncio
import socket
import time
from collections.abc import Iterator

import pytest

from firewall.live.stream import Stream
from firewall.live.tcp_socket import reset
from firewall.live.testbed import in_namespace
from firewall.net.datagram import Datagram
from tests.live.conftest import Namespaces
from tests.live.firewall_process import wait_until
from tests.live.peer import read_bytes

pytestmark = [pytest.mark.netns, pytest.mark.asyncio]

MORE_THAN_THE_KERNEL_TAKES = 16 * 1024 * 1024


class Heard:
    """A stream's owner that remembers what it was told."""

    def __init__(self) -> None:
        self.events: list[tuple[str, object]] = []
        self.times: list[int] = []

    def connected(self, stream: Stream) -> None:
        self.events.append(("connected", stream.connecting))

    def may_read(self, stream: Stream) -> bool:
        assert not stream.closed
        return True

    def received(self, stream: Stream, data: bytes, time_ns: int) -> None:
        assert not stream.closed
        self.events.append(("received", data))
        self.times.append(time_ns)

    def ended(self, stream: Stream, time_ns: int) -> None:
        assert stream.read_ended
        self.events.append(("ended", time_ns > 0))

    def lost(self, stream: Stream, error: str) -> None:
        self.events.append(("lost", error))
        stream.abort()

    def drained(self, stream: Stream) -> None:
        self.events.append(("drained", stream.waiting_bytes))

    async def until(self, name: str) -> object:
        """Return what came with the first event of that name."""
        async with asyncio.timeout(5):
            while True:
                for found, value in self.events:
                    if found == name:
                        return value
                await asyncio.sleep(0.001)


def message(payload: bytes) -> Datagram:
    return Datagram("192.0.2.10", 5060, "198.51.100.10", 5060, payload, "TCP")


@pytest.fixture
def ends(testbed: Namespaces) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a TCP connection: ours, which does not block, and the peer's."""

    def connected() -> tuple[socket.socket, socket.socket]:
        with socket.create_server(("127.0.0.1", 0)) as server:
            peer = socket.create_connection(server.getsockname(), timeout=5)
            ours, _ = server.accept()
            ours.setsockopt(socket.SOL_SOCKET, 35, 1)  # SO_TIMESTAMPNS
            ours.setblocking(False)
            return ours, peer

    ours, peer = in_namespace(testbed.fw, connected)
    with ours, peer:
        yield ours, peer


@pytest.fixture
def heard() -> Heard:
    return Heard()


async def test_bytes_come_with_the_kernels_time_and_only_when_wanted(
    ends: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    before_ns = time.time_ns()
    ends[1].sendall(b"first")
    await asyncio.sleep(0.05)
    assert heard.events == []
    after_ns = time.time_ns()
    stream.read(True)
    assert await heard.until("received") == b"first"
    # The instant of receipt, not of reading; the very first packet after start-up may have no stamp of its own.
    assert before_ns - 1000 <= heard.times[0] <= max(after_ns, time.time_ns())
    assert heard.times[0] % 1000 == 0
    ends[1].shutdown(socket.SHUT_WR)
    await heard.until("ended")
    stream.close()


async def test_what_the_kernel_does_not_take_waits_in_order_and_a_fin_waits_behind_it(
    ends: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    sent = [bytes([number]) * (MORE_THAN_THE_KERNEL_TAKES // 100) for number in range(100)]
    for data in sent:
        stream.write(message(data))
    stream.finish()
    assert stream.waiting_bytes > 0
    assert not stream.write_ended
    assert [datagram.payload for datagram in stream.unsent(even_unacknowledged=False)] == sent[
        -len(stream.unsent(even_unacknowledged=False)) :
    ]
    received = await asyncio.to_thread(_read_to_the_end, ends[1])
    assert received == b"".join(sent)
    assert stream.write_ended
    assert stream.waiting_bytes == 0
    async with asyncio.timeout(5):
        while heard.events[-1] != ("drained", 0) or stream.unsent(even_unacknowledged=True):
            await asyncio.sleep(0.001)
    stream.close()


async def test_after_a_reset_the_messages_that_did_not_arrive_are_known(
    ends: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    stream.write(message(b"arrives"))
    assert await asyncio.to_thread(ends[1].recv, 100) == b"arrives"
    for _ in range(100):
        stream.write(message(bytes(MORE_THAN_THE_KERNEL_TAKES // 100)))
    assert len(stream.unsent(even_unacknowledged=False)) < len(stream.unsent(even_unacknowledged=True)) <= 100
    reset(ends[1])
    assert await heard.until("lost") in ("Connection reset by peer", "Broken pipe")
    assert stream.closed
    await asyncio.sleep(0.01)
    assert [name for name, _ in heard.events].count("lost") == 1


async def test_a_reset_of_a_side_that_is_neither_read_nor_written_is_noticed_when_looked_for(
    ends: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    assert not stream.broke_unnoticed()
    reset(ends[1])
    async with asyncio.timeout(5):
        while not stream.broke_unnoticed():
            await asyncio.sleep(0.001)
    assert heard.events == []
    stream.abort()
    assert not stream.broke_unnoticed()


async def test_what_both_peers_ended_in_order_is_not_broken_while_there_is_still_something_to_read(
    ends: tuple[socket.socket, socket.socket], heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    stream.finish()
    assert await asyncio.to_thread(ends[1].recv, 1) == b""
    ends[1].sendall(b"all of it")
    ends[1].close()
    wait_until(lambda: ends[0].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07", "the kernel is done")
    assert not stream.broke_unnoticed()
    stream.read(True)
    await heard.until("ended")
    assert heard.events == [("received", b"all of it"), ("ended", True)]
    assert stream.over
    stream.close()


async def test_a_connection_that_is_refused_is_lost_with_everything_that_waits_for_it(
    testbed: Namespaces, heard: Heard
) -> None:
    stream = Stream(asyncio.get_running_loop(), in_namespace(testbed.fw, _refused), heard, connecting=True)
    stream.write(message(b"INVITE"))
    assert [datagram.payload for datagram in stream.unsent(even_unacknowledged=True)] == [b"INVITE"]
    assert await heard.until("lost") == "Connection refused"
    assert stream.closed


@pytest.mark.parametrize(("size", "most"), [(4, 200), (10_000, 4)])
async def test_messages_that_arrived_are_forgotten(
    ends: tuple[socket.socket, socket.socket], heard: Heard, size: int, most: int
) -> None:
    stream = Stream(asyncio.get_running_loop(), ends[0], heard)
    for number in range(500):
        stream.write(message(b"%04d" % number * (size // 4)))
        await asyncio.to_thread(read_bytes, ends[1], size)
    assert len(stream._unconfirmed) < most
    stream.close()


async def test_of_many_messages_none_is_forgotten_before_it_has_arrived(testbed: Namespaces, heard: Heard) -> None:
    stream = Stream(asyncio.get_running_loop(), in_namespace(testbed.fw, _refused), heard, connecting=True)
    payloads = [b"%05d" % number * size for number, size in zip(range(1000), [1, 20, 300] * 334, strict=False)]
    for payload in payloads:
        stream.write(message(payload))
    assert [datagram.payload for datagram in stream.unsent(even_unacknowledged=True)] == payloads
    stream.close()


def _refused() -> socket.socket:
    """A connection that is being made, to where nobody listens."""
    opened = socket.socket()
    opened.setblocking(False)
    opened.connect_ex(("127.0.0.1", 9))
    return opened


def _read_to_the_end(connection: socket.socket) -> bytes:
    received = bytearray()
    while some := connection.recv(1 << 20):
        received += some
    return bytes(received)
