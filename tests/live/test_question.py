"""Questions to the kernel, and what it answers."""

import errno
import socket
import struct
from collections.abc import Iterator

import pytest

from firewall.live import question
from firewall.live.netlink import DONE, NOOP, ROUTE, open_netlink
from firewall.live.question import answered, listed

pytestmark = pytest.mark.netns

GET_LINK, GET_RULE = 18, 34
LINK = struct.Struct("=BxHiII")


def test_everything_is_listed_and_one_thing_answered() -> None:
    indices = [LINK.unpack_from(answer)[2] for answer in listed(ROUTE, GET_LINK, bytes(LINK.size))]
    assert indices == [index for index, _ in socket.if_nameindex()]
    loopback = LINK.unpack_from(answered(ROUTE, GET_LINK, LINK.pack(0, 0, 1, 0, 0)))
    assert loopback[1:3] == (772, 1)


def test_what_the_kernel_refuses_is_an_error_with_its_code() -> None:
    with pytest.raises(OSError, match="No such device"):
        answered(ROUTE, GET_LINK, LINK.pack(0, 0, 0x7FFFFFFF, 0, 0))
    with pytest.raises(OSError, match="Operation not supported"):
        listed(ROUTE, 250, bytes(16))


def test_a_protocol_that_the_kernel_has_not_is_an_error_with_its_code() -> None:
    with pytest.raises(OSError, match="Protocol not supported"):
        open_netlink(31)


def test_a_list_that_ends_with_an_error_is_none_and_what_says_nothing_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def message(kind: int, body: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body

    def told(code: int) -> list[bytes]:
        ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        monkeypatch.setattr(question, "open_netlink", lambda _: ours)
        with kernels:
            kernels.send(message(NOOP, b"") + message(GET_LINK, b"link") + message(DONE, struct.pack("=i", -code)))
            return listed(ROUTE, GET_LINK, b"")

    assert told(0) == [b"link"]
    with pytest.raises(OSError, match="No buffer space"):
        told(errno.ENOBUFS)


@pytest.mark.parametrize("interruptions", [1, 100])
def test_what_changes_while_it_is_listed_is_asked_for_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, interruptions: int
) -> None:
    asked: list[int] = []

    def until_done(_: socket.socket) -> Iterator[tuple[int, bytes]]:
        asked.append(1)
        yield 0, b"one"
        yield 0x10 if len(asked) <= interruptions else 0, b"two"

    monkeypatch.setattr(question, "_until_done", until_done)
    if interruptions == 1:
        assert listed(ROUTE, GET_RULE, bytes(12)) == [b"one", b"two"]
        assert len(asked) == 2
    else:
        with pytest.raises(OSError, match="it changes too often"):
            listed(ROUTE, GET_RULE, bytes(12))
        assert len(asked) == 4
