"""One TCP connection with one peer, as the event loop sees it: bytes in, whole messages out, and how it ends.

Writing never waits: what the kernel does not take stays in a queue, whose length the owner watches. A message counts
as sent once the peer's kernel has acknowledged it; ``unsent()`` names those that were not when the connection broke.
"""

import asyncio
import contextlib
import errno
import fcntl
import os
import socket
import struct
import termios
from collections import deque
from collections.abc import Callable
from typing import Protocol

from firewall.live.clock import present_ns
from firewall.live.sender import error_words
from firewall.live.tcp_socket import reset
from firewall.net.datagram import Datagram

READ_BYTES = 64 * 1024

_ANCILLARY_BYTES = 64
_TIMESPEC = struct.Struct("@ll")
# So much that may have arrived is kept before it is asked whether it has; a message takes some bytes beside its own.
_UNCONFIRMED_KEPT_BYTES = 16 * 1024
_BESIDE_A_MESSAGE_BYTES = 512
_TCP_INFO_STATE_BYTES = 1
_TCP_CLOSE = 7
_INT = struct.Struct("@i")


class StreamOwner(Protocol):
    """Whoever is told what happens on a stream."""

    def connected(self, stream: "Stream") -> None:
        """The connection that was begun is there."""

    def may_read(self, stream: "Stream") -> bool:
        """Tell whether to read what came; no: ``read_now`` follows when it is time."""

    def received(self, stream: "Stream", data: bytes, time_ns: int) -> None:
        """Bytes came. ``time_ns``: when the kernel received the last of them, in whole microseconds."""

    def ended(self, stream: "Stream", time_ns: int) -> None:
        """The peer will send no more (FIN)."""

    def lost(self, stream: "Stream", error: str) -> None:
        """The connection broke, or could not be made: the kernel's word for it. Told once.

        What came before is still there for ``read_now``; nothing else follows.
        """

    def drained(self, stream: "Stream") -> None:
        """Some of the queue has gone out; perhaps all, perhaps with the FIN behind it."""


class Stream:
    """A non-blocking TCP socket. ``connecting``: its connection was begun and is not there yet."""

    _buffer = bytearray(READ_BYTES)  # one for all: each read is copied out before the next
    _view = memoryview(_buffer)

    def __init__(
        self, loop: asyncio.AbstractEventLoop, opened: socket.socket, owner: StreamOwner, *, connecting: bool = False
    ) -> None:
        self._loop = loop
        self._socket = opened
        self._owner = owner
        self._queue: deque[bytes] = deque()
        self._unconfirmed: deque[tuple[int, Datagram]] = deque()
        self._unconfirmed_bytes = 0
        self._trim_at_bytes = _UNCONFIRMED_KEPT_BYTES
        self._queued_in_all = 0
        self.finishing = False
        self._is_reading = False
        self._may_read = False
        self._is_writing = False
        self.connecting = connecting
        self.waiting_bytes = 0
        self.read_ended = False
        self.write_ended = False
        self.closed = False
        self._is_broken = False
        self._update()

    @property
    def over(self) -> bool:
        """Whether both directions have ended in order."""
        return self.read_ended and self.write_ended and not self._is_broken

    def read(self, wanted: bool) -> None:
        """Begin or cease to read. What is not read fills the kernel's buffer, and then the peer has to wait."""
        self._may_read = wanted
        self._update()

    def read_now(self) -> None:
        """Read once what waits, whether or not the loop has noticed; also behind a reset, which says no more then."""
        if not self.closed and not self.connecting and not self.read_ended:
            self._read()

    def write(self, datagram: Datagram) -> None:
        """Send a message behind those that wait."""
        data = datagram.payload
        self._queued_in_all += len(data)
        self._unconfirmed.append((self._queued_in_all, datagram))
        self._unconfirmed_bytes += len(data) + _BESIDE_A_MESSAGE_BYTES
        if not data:
            return
        self._queue.append(data)
        self.waiting_bytes += len(data)
        if self._unconfirmed_bytes >= self._trim_at_bytes:
            self._trim()
        if len(self._queue) == 1 and not self.connecting and not self.closed:
            self._send()
            self._update()

    def finish(self) -> None:
        """Send a FIN behind what waits: no more will be written."""
        self.finishing = True
        if not self._queue and not self.connecting and not self.closed:
            self._shut_down()
            self._update()

    def abort(self) -> None:
        """Close with a reset."""
        self._close(reset)

    def close(self) -> None:
        """Close in order."""
        self._close(socket.socket.close)

    def unsent(self, *, even_unacknowledged: bool) -> list[Datagram]:
        """Return the messages that the kernel has not taken, or also those that the peer has not acknowledged."""
        taken = self._queued_in_all - self.waiting_bytes
        if even_unacknowledged and not self.closed:
            taken -= self._unacknowledged_bytes()
        return [datagram for end, datagram in self._unconfirmed if end > taken]

    def broke_unnoticed(self) -> str | None:
        """Return why the kernel has given the connection up while nothing was being read or written, None if not so.

        One that both peers ended in order is closed, too, to the kernel, also while there is still something to read.
        """
        if self.closed or self.connecting or self._is_reading or self._is_writing or self.over:
            return None
        info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_STATE_BYTES)
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if info[0] == _TCP_CLOSE else 0
        self._is_broken = self._is_broken or bool(code)
        return os.strerror(code) if code else None

    def _readable(self) -> None:
        if self._owner.may_read(self):
            self._read()

    def _read(self) -> None:
        try:
            size, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], _ANCILLARY_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._break(error)
            return
        time_ns = 0
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == 35:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                time_ns = seconds * 1_000_000_000 + nanoseconds // 1000 * 1000
        time_ns = time_ns or present_ns()
        if size:
            self._owner.received(self, bytes(self._view[:size]), time_ns)
        elif not self._is_broken:
            self.read_ended = True
            self._update()
            self._owner.ended(self, time_ns)

    def _writable(self) -> None:
        if self.connecting:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self._break(OSError(code, os.strerror(code)))
                return
            self.connecting = False
            self._owner.connected(self)
        if not self.closed:
            self._send()
        if not self.closed:
            self._update()
            self._owner.drained(self)

    def _send(self) -> None:
        queue = self._queue
        try:
            while queue:
                sent = self._socket.send(queue[0])
                self.waiting_bytes -= sent
                if sent < len(queue[0]):
                    queue[0] = queue[0][sent:]
                else:
                    queue.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            if error.errno not in (errno.ENOBUFS, errno.ENOMEM):
                self._break(error, is_writing=True)
            return
        if self.finishing:
            self._shut_down()

    def _shut_down(self) -> None:
        if self.write_ended:
            return
        self.write_ended = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._break(OSError(code, os.strerror(code)) if code else error, is_writing=True)

    def _break(self, error: OSError, *, is_writing: bool = False) -> None:
        """Tell of a break; not at once where whoever writes is in the middle of something, but nothing is taken for an
        end in order meanwhile."""
        if self.closed or self._is_broken:
            return
        self._is_broken = True
        self._unwatch()
        if is_writing:
            self._loop.call_soon(self._tell_broken, error)
        else:
            self._tell_broken(error)

    def _tell_broken(self, error: OSError) -> None:
        if not self.closed:
            self._owner.lost(self, error_words(error))

    def _trim(self) -> None:
        """Forget the messages that have arrived."""
        acknowledged = self._queued_in_all - self.waiting_bytes - self._unacknowledged_bytes()
        while self._unconfirmed and self._unconfirmed[0][0] <= acknowledged:
            _, datagram = self._unconfirmed.popleft()
            self._unconfirmed_bytes -= len(datagram.payload) + _BESIDE_A_MESSAGE_BYTES
        # The more is left, the later again: those of a slow peer are not looked through with each new one.
        self._trim_at_bytes = max(_UNCONFIRMED_KEPT_BYTES, 2 * self._unconfirmed_bytes)

    def _unacknowledged_bytes(self) -> int:
        try:
            count = fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(_INT.size))  # SIOCOUTQ, tcp(7)
        except OSError:
            return 0
        # A FIN counts like a byte until it is acknowledged.
        return max(0, int(_INT.unpack(count)[0]) - self.write_ended)

    def _update(self) -> None:
        """Have the loop watch for what there is to do."""
        is_gone = self.closed or self._is_broken
        want_read = self._may_read and not (self.connecting or self.read_ended or is_gone)
        want_write = (self.connecting or bool(self._queue)) and not is_gone
        if want_read != self._is_reading:
            self._is_reading = want_read
            if want_read:
                self._loop.add_reader(self._socket.fileno(), self._readable)
            else:
                self._loop.remove_reader(self._socket.fileno())
        if want_write != self._is_writing:
            self._is_writing = want_write
            if want_write:
                self._loop.add_writer(self._socket.fileno(), self._writable)
            else:
                self._loop.remove_writer(self._socket.fileno())

    def _unwatch(self) -> None:
        if self._is_reading:
            self._loop.remove_reader(self._socket.fileno())
        if self._is_writing:
            self._loop.remove_writer(self._socket.fileno())
        self._is_reading = self._is_writing = False

    def _close(self, how: Callable[[socket.socket], None]) -> None:
        if self.closed:
            return
        self._unwatch()
        self.closed = True
        with contextlib.suppress(OSError):
            how(self._socket)
