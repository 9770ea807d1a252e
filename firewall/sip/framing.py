"""SIP messages cut out of a TCP byte stream (RFC 3261 §18.3, RFC 5626 §4.4.1).

The pieces, joined, are always the bytes that came, in order: nothing is swallowed. How the bytes were cut into
segments makes no difference to the pieces, but for neighbouring junk of a stream that is *lost*.

- ``message``: a start line, its headers, and as many bytes of body as Content-Length says. Without that header
  (RFC 3261 §20.14 demands it on a stream) a message that names a Content-Type has a body (§20.15), which goes on to the
  next start line or until ``release`` says that the sender has been quiet; any other ends with its head.
- ``keep_alive``: one line end where a message could begin. A ping (two line ends) is two pieces, because a pong (one)
  must not wait for what may follow.
- ``junk``: one line that begins no message, such as the rest of a body whose length was counted wrongly; the next
  start line begins a message again, with a method of the registry also where it stands behind junk on one line. A
  Content-Length that is no number, that another contradicts or that is more than a message may have counts as one
  of 0: the head is a message (``parse_message`` refuses one that announces too much), what follows is junk up to the
  next start line.

A stream is *lost* behind a control byte where a message should begin (NUL, TLS, STUN), and behind a head or a line
without end. All is junk then, handed out as it comes, line ends too, up to the next start line with a method of the
registry: it may stand anywhere, as what is before it need not end with its line. Only bytes that may begin one wait.
"""

import re
import sys
from typing import Literal

import msgspec

from firewall.sip.content_length import announced_length
from firewall.sip.head import read_head
from firewall.sip.limits import MAX_MESSAGE_BYTES, MAX_START_LINE_BYTES
from firewall.sip.start_line import KNOWN_METHODS, SIP_VERSION, find_empty_line, is_start_line

Kind = Literal["message", "keep_alive", "junk"]

OPEN_BODY_WAIT_NS = 100_000_000
"""How long a message whose body has no announced end waits for more of it: segments of one message come together."""

_CR, _LF, _TAB, _SPACE = 0x0D, 0x0A, 0x09, 0x20

# The methods of the registry (RFC 3261 §27.4), and the version that begins a status line.
_FIRST_WORDS = (*sorted(method.encode() for method in KNOWN_METHODS), SIP_VERSION.encode())
_FIRST_WORD = re.compile(b"(?:" + b"|".join(map(re.escape, _FIRST_WORDS)) + rb")[ \t]")
_BEGINNINGS = frozenset(word[:size] for word in _FIRST_WORDS for size in range(1, len(word) + 1))
# As nearly every start line is written.
_USUAL_START_LINE = re.compile(
    rb"(?:(?:" + b"|".join(map(re.escape, _FIRST_WORDS[:-1])) + rb") [!-~]{1,4096} SIP/2\.0"
    rb"|SIP/2\.0 [0-9]{3} [^\r\n]{0,4096})\r\n"
)
# The value of a Content-Length, and nothing of a folded line or of an empty one that is a bare LF.
_LENGTH_OR_UNUSUAL = re.compile(rb"\n(?:[ \t\n]|[ \t\r]*(?:content-length|l)[ \t\r]*:([^\n]*))", re.IGNORECASE)
_LONGEST_WORD = max(map(len, _FIRST_WORDS))


class Piece(msgspec.Struct, frozen=True, gc=False):
    """A piece of a stream, as it came."""

    kind: Kind
    data: bytes


class Framer:
    """One direction of one connection. Never raises, holds at most one message, takes time linear in the bytes fed.

    ``most``: so many pieces, or one more, are enough for now; the bytes of others wait for ``more``.
    """

    __slots__ = ("_body_line", "_buffer", "_is_in_head", "_message_end", "_searched", "_start", "lost")

    def __init__(self) -> None:
        self.lost = False
        """Where messages begin is not known at the time: all is junk up to the next start line."""
        self._buffer = bytearray()
        # Where in the buffer: the piece being read, and up to where its search for a line end or empty line went.
        self._start = 0
        self._searched = 0
        self._is_in_head = False
        # End of the message being read, once its head is known.
        self._message_end: int | None = None
        # Without Content-Length: where the line of the body begins that may be the next start line.
        self._body_line: int | None = None

    @property
    def pending(self) -> int:
        """Bytes that came and were not yet handed out."""
        return len(self._buffer)

    @property
    def has_open_body(self) -> bool:
        """Whether a message waits that may be whole: only what follows, or silence, can show where its body ends."""
        return self._body_line is not None

    def feed(self, data: bytes, most: int = sys.maxsize) -> list[Piece]:
        """Take bytes as they came; return the pieces that are whole now."""
        if not self._buffer and not self.lost and _is_one_message(data):
            return [Piece("message", data)]
        self._buffer += data
        return self.more(most)

    def more(self, most: int = sys.maxsize) -> list[Piece]:
        """Return the next pieces that are whole; none: there is no other."""
        pieces = self._whole_pieces(most)
        del self._buffer[: self._start]
        self._searched = max(self._searched - self._start, 0)
        if self._message_end is not None:
            self._message_end -= self._start
        if self._body_line is not None:
            self._body_line -= self._start
        self._start = 0
        return pieces

    def release(self) -> list[Piece]:
        """Return what waits although it may be whole: a message with an open body, behind junk what may begin one."""
        return self.flush() if self.lost or self.has_open_body else []

    def flush(self) -> list[Piece]:
        """Return what is left when the stream ends: a message cut short if its start line had come, else junk."""
        pieces = self.more()
        if self._buffer:
            is_message = self._is_in_head or self._message_end is not None or self._body_line is not None
            is_line_end = not self.lost and not self._buffer.strip(b"\r\n")
            kind: Kind = "message" if is_message else "keep_alive" if is_line_end else "junk"
            pieces.append(self._take(kind, len(self._buffer)))
            self._buffer.clear()
            self._start = self._searched = 0
        return pieces

    def _whole_pieces(self, most: int) -> list[Piece]:
        pieces: list[Piece] = []
        junk: list[bytes] = []  # of a lost stream, whose lines say nothing: one piece, not hundreds
        while len(pieces) < most and (piece := self._next()) is not None:
            if piece.kind == "junk" and self.lost:
                junk.append(piece.data)
                continue
            if junk:
                pieces.append(Piece("junk", b"".join(junk)))
                junk.clear()
            pieces.append(piece)
        if junk:
            pieces.append(Piece("junk", b"".join(junk)))
        return pieces

    def _next(self) -> Piece | None:
        if self._message_end is not None:
            return self._take("message", self._message_end) if len(self._buffer) >= self._message_end else None
        if self._body_line is not None:
            return self._open_body(self._body_line)
        if self._is_in_head:
            return self._head()
        return self._seek() if self.lost else self._line()

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
            self.lost = True
            return self._seek()
        stop = start + MAX_START_LINE_BYTES
        line_end = buffer.find(b"\n", max(self._searched, start), stop)
        if line_end < 0:
            self._searched = len(buffer)
            if len(buffer) < stop:
                return None
            self.lost = True
            return self._take("junk", stop)
        if _FIRST_WORD.match(buffer, start) is None:
            # The rest of a body need not end with a line: the next start line may stand behind it.
            found = _start_line_in(buffer, start, line_end)
            if found is not None and found > start:
                return self._take("junk", found)
        if not _is_start_line(buffer[start:line_end]):
            return self._take("junk", line_end + 1)
        self._is_in_head = True
        self._searched = line_end
        return self._head()

    def _head(self) -> Piece | None:
        """Look for the end of the head; then the message's end is known, or that it has none."""
        buffer, start = self._buffer, self._start
        empty_line = find_empty_line(buffer, max(self._searched - 2, start))
        if empty_line is None or empty_line[1] - start > MAX_MESSAGE_BYTES:
            self._searched = len(buffer)
            if len(buffer) - start < MAX_MESSAGE_BYTES:
                return None
            self.lost = True
            return self._take("junk", start + MAX_MESSAGE_BYTES)
        head_end, body_start = empty_line
        self._is_in_head = False
        head = read_head(bytes(buffer[start:head_end]))
        length, anomaly = announced_length(head)
        if length is None and anomaly is None and "content-type" in head.first:
            self._searched = self._body_line = body_start
            return self._next()
        if body_start - start + (length or 0) > MAX_MESSAGE_BYTES:
            length = None  # nobody knows where it ends: its head is judged, and the next start line begins a message
        self._message_end = body_start + (length or 0)
        return self._next()

    def _open_body(self, line: int) -> Piece | None:
        """Look for the start line that ends a body without Content-Length."""
        buffer, stop = self._buffer, self._start + MAX_MESSAGE_BYTES
        while (line_end := buffer.find(b"\n", max(self._searched, line), stop)) >= 0:
            if _is_start_line(buffer[line:line_end]):
                return self._take("message", line)
            self._body_line = self._searched = line = line_end + 1
        self._searched = len(buffer)
        if len(buffer) < stop:
            return None
        self.lost = True
        return self._take("message", stop)

    def _seek(self) -> Piece | None:
        """Look for the start line that ends the junk of a lost stream."""
        buffer, start = self._buffer, self._start
        place = start
        while (word := _FIRST_WORD.search(buffer, place)) is not None:
            first, stop = word.start(), word.start() + MAX_START_LINE_BYTES
            line_end = buffer.find(b"\n", max(self._searched, first), stop)
            if line_end < 0 and len(buffer) < stop:
                self._searched = len(buffer)
                return self._take("junk", first) if first > start else None
            found = _start_line_in(buffer, first, line_end) if line_end >= 0 else None
            if found is not None:
                junk = self._take("junk", found) if found > start else None
                self.lost = junk is not None  # once nothing is before it, the start line is read like any other
                return junk or self._line()
            place = line_end + 1 if line_end >= 0 else stop
        end = len(buffer) - _beginning_at_end(buffer, place)
        return self._take("junk", end) if end > start else None

    def _take(self, kind: Kind, end: int) -> Piece:
        piece = Piece(kind, bytes(self._buffer[self._start : end]))
        self._start = self._searched = end
        self._message_end = self._body_line = None
        self._is_in_head = False
        return piece


def _is_one_message(data: bytes) -> bool:
    """Tell whether bytes that begin where a message may are one whole message, as nearly all segments are.

    What begins otherwise than usual is read step by step, as is a head with a folded line, with a bare LF before its
    end, with no Content-Length or with two, and what ends elsewhere.
    """
    head_end = data.find(b"\n\r\n")
    if head_end < 0 or len(data) > MAX_MESSAGE_BYTES or _USUAL_START_LINE.match(data) is None:
        return False
    lengths = _LENGTH_OR_UNUSUAL.findall(data, 0, head_end + 1)
    return len(lengths) == 1 and lengths[0].strip(b" \t\r") == b"%d" % (len(data) - head_end - 3)


def _is_start_line(line: bytes | bytearray) -> bool:
    return b"/" in line and is_start_line(line.decode("utf-8", "surrogateescape").partition("\r")[0])


def _start_line_in(buffer: bytearray, first: int, line_end: int) -> int | None:
    """Return where in a line of junk a start line begins: at its last known word or at its first, None without one."""
    words = [word.start() for word in _FIRST_WORD.finditer(buffer, first, line_end)]
    for place in (words[-1], words[0]) if words else ():
        if _is_start_line(buffer[place:line_end]):
            return place
    return None


def _beginning_at_end(buffer: bytearray, place: int) -> int:
    """Return how many bytes at the end, not before ``place``, may be the beginning of a first word."""
    longest = min(_LONGEST_WORD, len(buffer) - place)
    return next((size for size in range(longest, 0, -1) if bytes(buffer[-size:]) in _BEGINNINGS), 0)
