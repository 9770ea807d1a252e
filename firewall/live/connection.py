"""One intercepted TCP connection: a stream with the client, a stream with the server, and the messages between them.

Each direction: bytes → framer → pieces → engine → what was let through, whole, to the other side. What the engine
answers itself goes back to where the request came from, between two messages.
"""

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from functools import partial

from firewall.live.listener import Arrival
from firewall.live.shares import Shares
from firewall.live.stream import Stream
from firewall.live.tcp_socket import Endpoint
from firewall.net.datagram import Datagram
from firewall.sip.framing import OPEN_BODY_WAIT_NS, Framer, Piece

# The sender has to wait once this much is queued for a side that does not read, until the queue is short again.
QUEUE_HIGH_BYTES = 64 * 1024
QUEUE_LOW_BYTES = 16 * 1024
# Line ends are messages of their own: 64 KB of them are neither cut all at once, nor decided before all else.
PIECES_PER_TURN = 16
# SYNs go out after 0, 1 and 3 s; then the client had better try another server.
CONNECT_WITHIN_S = 5.0
NO_ANSWER = "no answer within"
CLOSE_WITHIN_S = 5.0

Serve = Callable[[list[Arrival]], None]
OnFailed = Callable[[Datagram, str], None]


class _Direction:
    """One way through the connection; for the driver: where its messages go, and where they are answered."""

    def __init__(
        self, source: Stream, target: Stream, ends: tuple[Endpoint, Endpoint], in_iface: str | None, failed: OnFailed
    ) -> None:
        self.source = source
        self.target = target
        self.framer = Framer()
        self.pieces: deque[tuple[Piece, int]] = deque()
        self.ended = False
        self.held = False
        self.queued = False
        self.latest_ns = 0
        self.release: asyncio.TimerHandle | None = None
        self.last_forwarded: Datagram | None = None
        self.why_closed = "its connection is closed"
        self._ends = ends
        self._in_iface = in_iface
        self._failed = failed

    def take(self, pieces: list[Piece], time_ns: int) -> None:
        """Put pieces behind those that wait for the engine."""
        self.pieces.extend((piece, time_ns) for piece in pieces)

    def feed(self, data: bytes, time_ns: int) -> None:
        """Take bytes as they came, and have the first messages of them wait for the engine."""
        self.latest_ns = time_ns
        self.take(self.framer.feed(data, PIECES_PER_TURN), time_ns)

    def next_arrivals(self) -> list[Arrival]:
        """Return the messages for the engine's next turn; if there are more, some of them wait then."""
        turn = [self.pieces.popleft() for _ in range(min(PIECES_PER_TURN, len(self.pieces)))]
        if not self.pieces:
            self.take(self.framer.more(PIECES_PER_TURN), self.latest_ns)
        if len(turn) == PIECES_PER_TURN and all(piece.kind == "keep_alive" for piece, _ in turn):
            turn = [(Piece("keep_alive", b"".join(piece.data for piece, _ in turn)), turn[-1][1])]  # a flood of them
        (src_ip, src_port), (dst_ip, dst_port) = self._ends
        return [
            Arrival(
                time_ns, Datagram(src_ip, src_port, dst_ip, dst_port, piece.data, "TCP", self._in_iface), 0, 0, self
            )
            for piece, time_ns in turn
        ]

    def lets_junk_through(self, latest: Datagram) -> bool:
        """Tell whether the stream is one that is no SIP and that the engine lets pass; a NUL keeps alive, no more."""
        is_junk = self.framer.lost and not self.pieces and latest.payload.strip(b"\r\n\0 ")
        return bool(is_junk) and self.last_forwarded is latest

    def regulate(self) -> None:
        """Read on, or have the source wait: while its messages are being dealt with, or its target is too slow.

        The source's own queue counts only when it is longer than the other direction alone makes it, that is, full
        of the engine's answers: two sides that each write before they read must not stop one another for ever.
        """
        target, source = self.target.waiting_bytes, self.source.waiting_bytes
        if target >= QUEUE_HIGH_BYTES or source >= 4 * QUEUE_HIGH_BYTES:
            self.held = True
        elif target <= QUEUE_LOW_BYTES and source < 3 * QUEUE_HIGH_BYTES:
            self.held = False
        self.source.read(not (self.held or self.pieces or self.queued))

    def forward(self, datagram: Datagram) -> None:
        """Write a message to the other side."""
        self.last_forwarded = datagram
        self._write(self.target, datagram)

    def reply(self, datagram: Datagram) -> None:
        """Write an answer to the side the message came from, whatever its Via says (RFC 3261 §18.2.2)."""
        self._write(self.source, datagram)

    def _write(self, stream: Stream, datagram: Datagram) -> None:
        if stream.closed or stream.finishing:
            self._failed(datagram, self.why_closed)
        else:
            stream.write(datagram)


class Connection:
    """Both streams and both directions of one connection.

    ``serve`` has the engine decide on messages, ``failed`` is told of those that were let through and could not be
    delivered, ``done`` is called once, when nothing of the connection is left. ``source``: what the client counts as,
    also among those whom ``shares`` gives turns.
    ``interfaces``: where the client's and the server's packets come in, None where that is not known.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sockets: tuple[socket.socket, socket.socket],
        ends: tuple[Endpoint, Endpoint],
        source: int,
        interfaces: tuple[str | None, str | None],
        shares: Shares,
        serve: Serve,
        failed: OnFailed,
        done: Callable[["Connection"], None],
    ) -> None:
        self.client, self.server = ends
        self.source = source
        self.last_active = loop.time()
        self.error: str | None = None
        self.was_connected = False
        self._loop = loop
        self._shares = shares
        self._serve = serve
        self._failed = failed
        self._done = done
        self._over = False
        self._closing = False
        self._to_client = Stream(loop, sockets[0], self)
        self._to_server = Stream(loop, sockets[1], self, connecting=True)
        self._upward = _Direction(self._to_client, self._to_server, ends, interfaces[0], failed)
        self._downward = _Direction(self._to_server, self._to_client, (ends[1], ends[0]), interfaces[1], failed)
        self._deadline = loop.call_later(CONNECT_WITHIN_S, self._give_up_connecting)
        self._regulate()

    @property
    def useful(self) -> bool:
        """Whether a message of it was ever let through."""
        return bool(self.latest)

    @property
    def latest(self) -> list[Datagram]:
        """What was let through last, each way."""
        latest = (self._upward.last_forwarded, self._downward.last_forwarded)
        return [datagram for datagram in latest if datagram is not None]

    @property
    def waiting_bytes(self) -> int:
        """Bytes that were let through and that the kernel has not yet taken."""
        return self._to_client.waiting_bytes + self._to_server.waiting_bytes

    def finish(self) -> None:
        """Close in order: what waits is sent, then both sides get a FIN; a side that does not answer it, a reset."""
        if self._closing or self._over:
            return
        self._closing = True
        self._deadline.cancel()
        self._deadline = self._loop.call_later(CLOSE_WITHIN_S, self.abort)
        self._to_client.read_now()
        self._to_server.read_now()
        self._release_bodies()
        for stream in (self._to_client, self._to_server):
            stream.finish()
        self._regulate()
        self._close_if_over()

    def abort(self) -> None:
        """Reset both sides now; messages that were let through and still wait are told as failed."""
        if self._over:
            return
        self._over = True
        self._deadline.cancel()
        for stream in (self._to_client, self._to_server):
            waiting = [] if stream.closed else stream.unsent(even_unacknowledged=False)
            stream.abort()
            for datagram in waiting:
                self._failed(datagram, self.error or "its connection was closed")
        self._done(self)

    def not_reached(self, error: str) -> None:
        """This machine has no way to the server: what the client has said by now, if only nothing, is told as lost."""
        self._upward.why_closed = error
        self.lost(self._to_server, error)
        if not self._upward.latest_ns:
            self._failed(Datagram(*self.client, *self.server, b"", "TCP"), error)

    def look_after(self) -> None:
        """Notice a reset of a side that is neither read nor written at the time."""
        for stream in (self._to_client, self._to_server):
            if not self._over and (error := stream.broke_unnoticed()) is not None:
                self.lost(stream, error)

    def connected(self, stream: Stream) -> None:
        """The server has accepted."""
        del stream
        self.was_connected = True
        if not self._closing:
            self._deadline.cancel()
        self._regulate()

    def may_read(self, stream: Stream) -> bool:
        """Tell whether it may be read now; in a flood it is read when its turn has come."""
        if not self._shares.crowded:
            self._shares.spend(1)  # thousands that are reset at once take their time, too
            return True
        self._queue(self._from(stream))
        self._regulate()
        return False

    def received(self, stream: Stream, data: bytes, time_ns: int) -> None:
        """Bytes came: cut messages out of them and have them decided."""
        self.last_active = self._loop.time()
        direction = self._from(stream)
        direction.feed(data, time_ns)
        if direction.release is not None:
            direction.release.cancel()
            direction.release = None
        self._work(direction)

    def ended(self, stream: Stream, time_ns: int) -> None:
        """A side will send no more: the other side is told so behind all that came before."""
        direction = self._from(stream)
        direction.take(direction.framer.flush(), time_ns)
        direction.ended = True
        self._work(direction)

    def lost(self, stream: Stream, error: str) -> None:
        """A side is gone, or was never reached: the other side learns it by a reset, so that it looks elsewhere."""
        if self._over:
            return
        self.error = error
        # What both have said already is decided: answers are passed on, what cannot be delivered any more is told.
        stream.read_now()
        self._from(stream).target.read_now()
        self._release_bodies()
        if self._over or stream.closed:
            return  # the other side turned out to be gone as well
        undelivered = stream.unsent(even_unacknowledged=True)
        stream.abort()
        for datagram in undelivered:
            self._failed(datagram, error)
        self._abort_when_all_is_decided()

    def drained(self, stream: Stream) -> None:
        """A queue has become shorter."""
        del stream
        self._regulate()
        self._close_if_over()

    def _queue(self, direction: _Direction) -> None:
        """Have a direction go on when its turn has come."""
        if not direction.queued:
            direction.queued = True
            self._shares.wait(self.source, partial(self._take_turn, direction))

    def _take_turn(self, direction: _Direction) -> None:
        direction.queued = False
        if direction.pieces:
            self._work(direction)
        elif not (self._over or direction.held):
            direction.source.read_now()
        self._regulate()

    def _wait_for_body(self, direction: _Direction) -> None:
        """Take a body without Content-Length as whole when its sender is quiet."""
        if direction.release is None and direction.framer.has_open_body:
            direction.release = self._loop.call_later(OPEN_BODY_WAIT_NS / 1e9, self._release, direction)

    def _release_bodies(self) -> None:
        for direction in (self._upward, self._downward):
            if direction.framer.has_open_body:
                self._release(direction)

    def _release(self, direction: _Direction) -> None:
        direction.release = None
        if not self._over:
            direction.take(direction.framer.release(), direction.latest_ns)
            self._work(direction)

    def _from(self, stream: Stream) -> _Direction:
        return self._upward if stream is self._to_client else self._downward

    def _work(self, direction: _Direction) -> None:
        """Have the next messages of a direction decided, and do what comes after the last one."""
        if self._over:
            return
        if direction.pieces:
            arrivals = direction.next_arrivals()
            self._shares.spend(len(arrivals))
            self._serve(arrivals)
            if direction.lets_junk_through(arrivals[-1].datagram):
                # TLS that is let through must not wait for what follows.
                direction.take(direction.framer.release(), direction.latest_ns)
        if direction.pieces:
            self._queue(direction)
        elif self._to_client.closed or self._to_server.closed:
            self._abort_when_all_is_decided()
        elif direction.ended:
            direction.target.finish()
        else:
            self._wait_for_body(direction)
        self._regulate()
        self._close_if_over()

    def _abort_when_all_is_decided(self) -> None:
        if not (self._upward.pieces or self._downward.pieces):
            self.abort()

    def _regulate(self) -> None:
        if not self._over:
            self._upward.regulate()
            self._downward.regulate()

    def _close_if_over(self) -> None:
        if not self._over and self._to_client.over and self._to_server.over:
            self._over = True
            self._deadline.cancel()
            self._to_client.close()
            self._to_server.close()
            self._done(self)

    def _give_up_connecting(self) -> None:
        if self._to_server.connecting:
            self.lost(self._to_server, f"{NO_ANSWER} {CONNECT_WITHIN_S:g} s")
