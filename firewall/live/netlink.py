"""Netlink (<linux/netlink.h>), that of netfilter above all (<linux/netfilter/nfnetlink.h>): bytes, sockets, questions.

Only what the daemon needs, but fast: a call's set-up waits for it. Numbers inside netfilter's attributes are in network
byte order, the headers are in the machine's.
"""

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Literal

from firewall.errors import MachineError

NFTABLES = 10  # NFNL_SUBSYS_NFTABLES
LOG = 4  # NFNL_SUBSYS_ULOG

REQUEST = 0x1
ACK = 0x4
ECHO = 0x8
EXCLUSIVE = 0x200
CREATE = 0x400
DUMP = 0x300

NOOP, ERROR, DONE = 1, 2, 3

ROUTE, XFRM, NETFILTER = 0, 6, 12
"""What a netlink socket speaks to (``NETLINK_*``)."""
_SPOKEN_TO = {ROUTE: "the routing table", NETFILTER: "netfilter"}

NETFILTER_HEADER_BYTES = 4

_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NESTED = 0x8000
_TYPE_MASK = 0x3FFF
_BUFFERS = {"send": (32, socket.SO_SNDBUF), "receive": (33, socket.SO_RCVBUF)}  # SO_SNDBUFFORCE, SO_RCVBUFFORCE

HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence number, port
_NETFILTER_HEADER = struct.Struct(">BBH")  # family, version, resource
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_SEQUENCE = struct.Struct("=I")
_ERROR = struct.Struct("=i")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_LARGEST_READ_BYTES = 256 * 1024
_DUMP_INTERRUPTED = 0x10  # NLM_F_DUMP_INTR
_TRIES = 4


def attribute(kind: int, payload: bytes) -> bytes:
    """Return one attribute, padded to four bytes."""
    size = 4 + len(payload)
    return _ATTRIBUTE.pack(size, kind) + payload + _PADDING[size & 3]


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds attributes."""
    payload = b"".join(attributes)
    return _ATTRIBUTE.pack(4 + len(payload), kind | _NESTED) + payload


def text(kind: int, value: str) -> bytes:
    """Return an attribute that holds a name."""
    return attribute(kind, value.encode() + b"\0")


def request(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """Return one message to any part of the kernel."""
    return HEADER.pack(HEADER.size + len(body), kind, flags | REQUEST, sequence, 0) + body


def message(
    subsystem: int, kind: int, flags: int, sequence: int, body: bytes, *, family: int = 0, resource: int = 0
) -> bytes:
    """Return one message to netfilter; ``family`` and ``resource`` mean what the subsystem says."""
    return request(subsystem << 8 | kind, flags, sequence, _NETFILTER_HEADER.pack(family, 0, resource) + body)


def numbered(messages: list[bytes]) -> bytes:
    """Return messages one after the other, numbered from 1 on: what the kernel answers says to which it belongs."""
    return b"".join([each[:8] + _SEQUENCE.pack(number) + each[12:] for number, each in enumerate(messages, 1)])


def batch(messages: list[bytes]) -> bytes:
    """Return messages of nftables as one transaction: the kernel carries out all of them, or none.

    They are numbered from 1 on; what begins and ends the transaction is number 0.
    """
    begin, end = (request(kind, 0, 0, _NETFILTER_HEADER.pack(0, 0, NFTABLES)) for kind in (_BATCH_BEGIN, _BATCH_END))
    return b"".join((begin, numbered(messages), end))


def attributes(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Give each attribute between two offsets: its type, and where its payload begins and ends."""
    while start + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(data, start)
        if size < 4 or start + size > end:
            return
        yield kind & _TYPE_MASK, start + 4, start + size
        start += (size + 3) & ~3


def parts(data: bytes, start: int = 0) -> dict[int, bytes]:
    """Return the attributes from an offset on: type → payload, of each type the last."""
    return {kind: data[first:end] for kind, first, end in attributes(data, start, len(data))}


def messages(data: bytes) -> Iterator[tuple[int, int, int, int, int]]:
    """Give each message of what was read: its type, flags and number, and where what follows its header begins and
    ends."""
    start = 0
    while start + HEADER.size <= len(data):
        size, kind, flags, number, _ = HEADER.unpack_from(data, start)
        if size < HEADER.size or start + size > len(data):
            return
        yield kind, flags, number, start + HEADER.size, start + size
        start += (size + 3) & ~3


def error_code(data: bytes, start: int) -> int:
    """Return the errno of an error message's body, 0 for an acknowledgement."""
    return -int(_ERROR.unpack_from(data, start)[0])


def open_netlink(protocol: int) -> socket.socket:
    """Return a netlink socket that never waits: the kernel has answered, or begun to, when ``send`` returns.

    Raises:
        OSError: the kernel gives none; ``EPROTONOSUPPORT``: it has no such protocol.
    """
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)


class NetlinkSocket:
    """A netlink socket that stays open; it hears of what happens in ``groups``, numbered from 1 on.

    Raises:
        MachineError: the kernel refuses it.
    """

    def __init__(
        self, protocol: int, *, groups: Iterable[int] = (), send_bytes: int = 0, receive_bytes: int = 0
    ) -> None:
        try:
            with contextlib.ExitStack() as undo:
                self._socket = undo.enter_context(open_netlink(protocol))
                self._socket.bind((0, sum(1 << (group - 1) for group in groups)))
                undo.pop_all()
        except OSError as error:
            raise refusal("open", f"a netlink socket to {_SPOKEN_TO[protocol]}", error.errno or 0) from None
        self.fileno, self.close = self._socket.fileno, self._socket.close
        if send_bytes:
            enlarge_buffer(self._socket, "send", send_bytes)
        if receive_bytes:
            enlarge_buffer(self._socket, "receive", receive_bytes)

    def send(self, data: bytes) -> None:
        """Hand messages to the kernel, which has dealt with them when this returns.

        Raises:
            OSError: it did not take them.
        """
        self._socket.send(data)

    def receive(self) -> bytes | None:
        """Return what the kernel has sent at once, None when there is nothing; messages that it lost are lost."""
        try:
            return self._socket.recv(_LARGEST_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                return b""
            raise

    def answer(self, kind: int, flags: int, body: bytes) -> bytes | None:
        """Ask, and return what the kernel answers first, from behind its header on; None when it answers nothing.

        Raises:
            OSError: it refuses.
        """
        return next((one for _, one in _told_by(self._socket, kind, flags, body)), None)

    def errors(self) -> dict[int, int]:
        """Return what the kernel refused of what was sent: sequence number → errno."""
        refused: dict[int, int] = {}
        while (data := self.receive()) is not None:
            for kind, _, sequence, start, _ in messages(data):
                if kind == ERROR and (code := error_code(data, start)):
                    refused[sequence] = code
        return refused


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
        return _told_by(kernel, kind, flags, body)


def _told_by(kernel: socket.socket, kind: int, flags: int, body: bytes) -> list[tuple[int, bytes]]:
    kernel.send(request(kind, flags | ACK, 1, body))
    found: list[tuple[int, bytes]] = []
    while True:
        data = kernel.recv(_LARGEST_READ_BYTES)
        for answer, its_flags, _, start, end in messages(data):
            if answer in (ERROR, DONE):
                if code := error_code(data, start):
                    raise OSError(code, os.strerror(code))
                return found
            if answer != NOOP:
                found.append((its_flags, data[start:end]))


def refusal(operation: str, what: str, code: int, needs: str | None = None) -> MachineError:
    """Word the kernel's refusal; ``needs``: what helps, where it is not the right that is missing."""
    if code == errno.EPERM:
        needs = "CAP_NET_ADMIN is needed in this network namespace"
    return MachineError(operation, what, os.strerror(code), needs=needs)


def enlarge_buffer(opened: socket.socket, which: Literal["send", "receive"], size: int) -> None:
    """Have the kernel hold so many bytes that a socket sends or received, or as many as it holds for everyone."""
    forced, plain = _BUFFERS[which]
    try:
        opened.setsockopt(socket.SOL_SOCKET, forced, size)
    except PermissionError:  # root of a user namespace only
        opened.setsockopt(socket.SOL_SOCKET, plain, size)
