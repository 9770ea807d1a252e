"""A question or an order to the kernel over netlink(7) and its whole answer, on a socket of its own: for rare ones."""

import errno
import os
import socket
from collections.abc import Iterator

from firewall.live.netlink import ACK, DONE, DUMP, ERROR, HEADER, NOOP, error_code, open_netlink, request

_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_LARGEST_READ_BYTES = 64 * 1024
_TRIES = 4


def listed(protocol: int, kind: int, body: bytes) -> list[bytes]:
    """Return everything the kernel has of a kind: what stands behind the netlink header of each message.

    Raises:
        OSError: the kernel does not answer the question, or what it has changed again and again while it was listed.
    """
    for _ in range(_TRIES):
        found = told(protocol, kind, DUMP, body)
        if not any(flags & _DUMP_INTERRUPTED for flags, _ in found):
            return [one for _, one in found]
    raise OSError(errno.EAGAIN, "it changes too often")


def answered(protocol: int, kind: int, body: bytes) -> bytes:
    """Return the one message that answers a question, from behind its netlink header on.

    Raises:
        OSError: the kernel does not answer the question.
    """
    for _, one in told(protocol, kind, 0, body):
        return one
    raise OSError(errno.ENODATA, os.strerror(errno.ENODATA))


def told(protocol: int, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
    """Send the kernel one message, and return flags and body of each it answers with until it says that it is done.

    Raises:
        OSError: it refuses.
    """
    with open_netlink(protocol) as kernel:
        return told_by(kernel, kind, flags, body)


def told_by(kernel: socket.socket, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
    """Do the same on a netlink socket that stays open, for what is asked often."""
    kernel.send(request(kind, flags | ACK, 1, body))
    return list(_until_done(kernel))


def _until_done(kernel: socket.socket) -> Iterator[tuple[int, bytes]]:
    while True:
        data, start = kernel.recv(_LARGEST_READ_BYTES), 0
        while start + HEADER.size <= len(data):
            size, kind, flags, _, _ = HEADER.unpack_from(data, start)
            if kind in (ERROR, DONE) and (code := error_code(data, start + HEADER.size)):
                raise OSError(code, os.strerror(code))
            if kind in (ERROR, DONE):
                return
            if kind != NOOP:
                yield flags, data[start + HEADER.size : start + size]
            start += max(HEADER.size, (size + 3) & ~3)
