"""One question to the kernel over netlink(7) and its whole answer, on a socket of its own: for what is asked seldom."""

import errno
import os
import socket
import struct
from collections.abc import Iterator

from firewall.live.netlink import DONE, DUMP, ERROR, NOOP, error_code, open_netlink, request

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_LARGEST_READ_BYTES = 64 * 1024
_TRIES = 4


def listed(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """Return everything the kernel has of a kind: what stands behind the netlink header of each message.

    Raises:
        OSError: the kernel does not answer the question, or what it has changed again and again while it was listed.
    """
    for _ in range(_TRIES):
        found, is_whole = [], True
        with open_netlink(protocol) as asked:
            asked.send(request(kind, DUMP, 1, body))
            for flags, one in _until_done(asked):
                is_whole &= not flags & _DUMP_INTERRUPTED
                found.append(one)
        if is_whole:
            return found
    raise OSError(errno.EAGAIN, "it changes too often")


def answered(protocol: int, kind: int, body: bytes) -> bytes:
    """Return the one message that answers a question, from behind its netlink header on.

    Raises:
        OSError: the kernel does not answer the question.
    """
    with open_netlink(protocol) as asked:
        asked.send(request(kind, 0, 1, body))
        for _, one in _until_done(asked):
            return one
    raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))


def _until_done(asked: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Give flags and body of each message of an answer."""
    while True:
        data, start = asked.recv(_LARGEST_READ_BYTES), 0
        while start + _HEADER.size <= len(data):
            size, kind, flags, _, _ = _HEADER.unpack_from(data, start)
            if kind in (ERROR, DONE) and (code := error_code(data, start + _HEADER.size)):
                raise OSError(code, os.strerror(code))
            if kind in (ERROR, DONE):
                return
            if kind != NOOP:
                yield flags, data[start + _HEADER.size : start + size]
            start += max(_HEADER.size, (size + 3) & ~3)
