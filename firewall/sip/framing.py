"""SIP messages cut out of a TCP byte stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

The pieces, joined, are always the bytes that came, in order: nothing is swallowed. How the bytes were cut into
segments makes no difference to the pieces, as long as the stream is not broken.

- ``message``: a start line, its headers, and as many bytes of body as Content-Length says (none without the header:
  RFC 3261 §20.14 demands it on a stream).
- ``keep_alive``: one line end where a message could begin. A ping (two line ends) is two pieces, because a pong (one)
  must not wait for what may follow.
- ``junk``: one line that begins no message, such as the rest of a body whose length was counted wrongly; the next
  start line begins a message again. A Content-Length that is no number, that another contradicts or that is more than
  a message may have counts as none: the head is a message, what follows is junk up to the next start line.

A stream is *broken* where its messages can no longer be told apart: a head or a line without end, a control byte where
a message should begin (TLS, STUN). From there on every byte is junk, handed out at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from firewall.sip.content_length import announced_length
from firewall.sip.headers import read_head
from firewall.sip.limits import MAX_MESSAGE_BYTES, MAX_START_LINE_BYTES
from firewall.sip.start_line import find_empty_line, is_start_line

Kind = Literal["message", "keep_alive", "junk"]

_CR, _LF, _TAB, _SPACE = 0x0D, 0x0A, 0x09, 0x20


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a stream, as it came."""

    kind: Kind
    data: bytes


class Framer:
    """One direction of one connection. Never raises, holds at most one message, takes time linear in the bytes fed."""

    def __init__(self) -> None:
        self.broken = False
        """The stream cannot be framed any more: all that comes is junk."""
        self._buffer = bytearray()
        # Where in the buffer: the piece being read, and up to where its search for a line end or empty line went.
        self._start = 0
        self._searched = 0
        self._is_in_head = False
        # End of the message being read, once its head is known.
        self._message_end: int | None = None

    @property
    def pending(self) -> int:
        """Bytes that came and were not yet handed out."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Piece]:
        """Take bytes as they came; return the pieces that are whole now."""
        if self.broken:
            return [Piece("junk", data)] if data else []
        self._buffer += data
        pieces = list(self._whole_pieces())
        del self._buffer[: self._start]
        self._searched = max(self._searched - self._start, 0)
        if self._message_end is not None:
            self._message_end -= self._start
        self._start = 0
        return pieces

    def flush(self) -> list[Piece]:
        """Return what is left when the stream ends: a message cut short if its start line had come, else junk."""
        if not self._buffer:
            return []
        is_message = self._is_in_head or self._message_end is not None
        self._message_end = None
        self._is_in_head = False
        is_line_end = not self._buffer.strip(b"\r\n")
        kind: Kind = "message" if is_message else "keep_alive" if is_line_end else "junk"
        pieces = [Piece(kind, bytes(self._buffer))]
        self._buffer.clear()
        self._searched = 0
        return pieces

    def _whole_pieces(self) -> Iterator[Piece]:
        while (piece := self._next()) is not None:
            yield piece

    def _next(self) -> Piece | None:
        if self.broken:
            return self._take("junk", len(self._buffer)) if self._start < len(self._buffer) else None
        if self._message_end is not None:
            return self._take("message", self._message_end) if len(self._buffer) >= self._message_end else None
        return self._head() if self._is_in_head else self._line()

    def _line(self) -> Piece | None:
        """Read where a message may begin: hand out a line end or a line of junk, or begin a message."""
        buffer, start = self._buffer, self._start
        if start >= len(buffer):
            return None
        first = buffer[start]
        if first == _LF:
            return self._take("keep_alive", start + 1)
        if first == _CR:
            if start + 1 == len(buffer):
                return None
            return self._take("keep_alive", start + (2 if buffer[start + 1] == _LF else 1))
        if first < _SPACE and first != _TAB:
            return self._give_up()
        stop = start + MAX_START_LINE_BYTES
        line_end = buffer.find(b"\n", max(self._searched, start), stop)
        if line_end < 0:
            self._searched = len(buffer)
            return self._give_up() if len(buffer) >= stop else None
        line = buffer[start:line_end].decode("utf-8", "surrogateescape").rstrip("\r")
        if not is_start_line(line):
            return self._take("junk", line_end + 1)
        self._is_in_head = True
        self._searched = line_end
        return self._head()

    def _head(self) -> Piece | None:
        """Look for the end of the head; then the message's end is known, or that the stream is broken."""
        buffer, start = self._buffer, self._start
        empty_line = find_empty_line(buffer, max(self._searched - 2, start))
        if empty_line is None or empty_line[1] - start > MAX_MESSAGE_BYTES:
            self._searched = len(buffer)
            is_too_long = empty_line is not None or len(buffer) - start >= MAX_MESSAGE_BYTES
            return self._give_up() if is_too_long else None
        head_end, body_start = empty_line
        self._is_in_head = False
        head = read_head(bytes(buffer[start:head_end]))
        length, anomaly = announced_length(head.by_name.get("content-length", ()))
        if anomaly is not None or body_start - start + (length or 0) > MAX_MESSAGE_BYTES:
            length = None  # nobody knows where it ends: its head is judged, and the next start line begins a message
        self._message_end = body_start + (length or 0)
        return self._next()

    def _give_up(self) -> Piece:
        self.broken = True
        return self._take("junk", len(self._buffer))

    def _take(self, kind: Kind, end: int) -> Piece:
        piece = Piece(kind, bytes(self._buffer[self._start : end]))
        self._start = self._searched = end
        self._message_end = None
        self._is_in_head = False
        return piece
