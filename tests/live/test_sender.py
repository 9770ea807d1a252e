"""Sending from others' addresses: bounded sockets, full buffers, refusals."""

import asyncio
import errno
import os
import resource
import socket
from pathlib import Path

import pytest

from firewall.live import connections as connections_module
from firewall.live import sender as sender_module
from firewall.live import testbed as live_testbed
from firewall.live.sender import Sender, Source
from firewall.net.datagram import Datagram
from tests.live.conftest import Namespaces

pytestmark = pytest.mark.asyncio


def datagram(number: int, src_port: int = 5060) -> Datagram:
    return Datagram("192.0.2.10", src_port, "198.51.100.10", 5060, b"%d" % number)


class _FullBuffer:
    """A source's socket whose buffer is full until ``room`` is set."""

    room = False
    error = errno.EAGAIN
    taken: list[bytes]
    hops = 0
    traffic_class = 0

    def __init__(self, _source: Source) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def sendto(self, payload: bytes, _destination: tuple[str, int]) -> None:
        if not type(self).room:
            raise OSError(type(self).error, os.strerror(type(self).error))
        type(self).taken.append(payload)

    def set_hops(self, hops: int) -> None:
        self.hops = hops


@pytest.fixture
def full_buffer(monkeypatch: pytest.MonkeyPatch) -> type[_FullBuffer]:
    kind = type("_ThisFullBuffer", (_FullBuffer,), {"taken": []})
    monkeypatch.setattr(sender_module, "_SourceSocket", kind)
    return kind


@pytest.mark.parametrize("limit", [400, 1024, 5000, 20_736, 1 << 20])
async def test_sources_of_datagrams_leave_tcp_its_descriptors(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (limit, limit))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    sender = Sender(asyncio.get_running_loop(), lambda _datagram, _error: None)
    assert sender._sources_max + 2 * connections_module._connections_allowed() + 256 <= limit


async def test_a_full_buffer_is_waited_for_and_order_is_kept(full_buffer: type[_FullBuffer]) -> None:
    failures: list[str] = []
    sender = Sender(asyncio.get_running_loop(), lambda _datagram, error: failures.append(error))
    for number in range(5):
        sender.send(datagram(number))
    assert sender.waiting == 5
    full_buffer.room = True
    sender.send(datagram(5))  # may not overtake
    async with asyncio.timeout(5):
        while sender.waiting:
            await asyncio.sleep(0.001)
    assert (full_buffer.taken, failures) == ([b"%d" % number for number in range(6)], [])
    sender.close()


async def test_a_buffer_that_stays_full_is_told_for_every_datagram(
    full_buffer: type[_FullBuffer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "WAITING_S", 0.02)
    monkeypatch.setattr(sender_module, "WAITING_MAX", 3)
    failures: list[str] = []
    sender = Sender(asyncio.get_running_loop(), lambda _datagram, error: failures.append(error))
    for number in range(4):
        sender.send(datagram(number))
    assert failures == ["the send buffer is full and 3 datagrams wait already"]
    async with asyncio.timeout(5):
        while sender.waiting:
            await asyncio.sleep(0.001)
    assert failures[1:] == [os.strerror(errno.EAGAIN)] * 3
    sender.send(datagram(9))
    sender.close()
    assert failures[-1] == "the firewall stopped before the send buffer had room"
    assert full_buffer.taken == []


async def test_a_refusal_of_the_kernel_is_told_in_its_words(full_buffer: type[_FullBuffer]) -> None:
    full_buffer.error = errno.ENETUNREACH
    failures: list[tuple[Datagram, str]] = []
    sender = Sender(asyncio.get_running_loop(), lambda failed, error: failures.append((failed, error)))
    sender.forward(datagram(1), 64, 0)
    sender.forward(datagram(2), 1, 0)
    assert failures == [
        (datagram(1), "Network is unreachable"),
        (datagram(2), "no hop left (TTL exceeded), as in a routing loop"),
    ]
    sender.close()


@pytest.mark.netns
async def test_more_sources_than_sockets_all_get_through_from_their_own_address(
    testbed: Namespaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "SOURCES_MAX", 16)

    def receiving() -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.settimeout(5)
        opened.bind(("198.51.100.10", 5060))
        return opened

    failures: list[str] = []
    loop = asyncio.get_running_loop()

    def send_all() -> int:
        before = len(list(Path("/proc/self/fd").iterdir()))
        sender = Sender(loop, lambda _datagram, error: failures.append(error))
        for number in (*range(100), *range(100)):
            sender.send(datagram(number, src_port=20_000 + number))
        kept = len(list(Path("/proc/self/fd").iterdir())) - before
        sender.close()
        return kept

    with live_testbed.in_namespace(testbed.psap, receiving) as receiver:
        kept = live_testbed.in_namespace(testbed.fw, send_all)
        received = [receiver.recvfrom(100) for _ in range(200)]
    assert received == [(b"%d" % number, ("192.0.2.10", 20_000 + number)) for number in (*range(100), *range(100))]
    assert failures == []
    assert kept == 16
