"""One SIP message: its start line, headers and body, read lazily (RFC 3261 §7, §25.1).

Tolerant by intent: NENA-STA-010.3 §3.1.1 asks elements to accept calls that break the standard when the method can
be told. What can be read with a discernible method is a message, perhaps with *anomalies*; everything else raises
``SipSyntaxError`` with the reason code the decision log carries.
"""

import re
from functools import lru_cache

from firewall.errors import SipSyntaxError
from firewall.sip.anomaly import head_anomalies, repetitions, request_anomalies, response_anomalies
from firewall.sip.content_length import announced_length
from firewall.sip.headers import Head, canonical_name, read_head
from firewall.sip.limits import MAX_HEADER_COMMAS, MAX_HEADER_LINES, MAX_MESSAGE_BYTES, MAX_START_LINE_BYTES
from firewall.sip.name_addr import NameAddr, parse_name_addr
from firewall.sip.start_line import find_empty_line, read_request_line, read_status_line
from firewall.sip.stun import is_stun
from firewall.sip.uri import Uri, parse_uri
from firewall.sip.via import Via, parse_via

_BARE_CR = re.compile(rb"\r(?!\n)")
_MAX_CSEQ = 2**31 - 1
_MAX_UINT32 = 0xFFFF_FFFF
_MOST_DIGITS = 20


class _Message:
    """What requests and responses share. Immutable for its readers; parts are read when first asked for."""

    __slots__ = (
        "_anomalies",
        "_by_name",
        "_bytes_after_head",
        "_content_length",
        "_cseq",
        "_from",
        "_head_anomalies",
        "_head_bytes",
        "_headers",
        "_over_stream",
        "_to",
        "_via",
        "body",
        "raw",
        "start_line",
        "version",
    )

    raw: bytes
    """The datagram as it came."""
    start_line: str
    version: str
    body: bytes

    def _fill(
        self, raw: bytes, version: str, head_bytes: bytes, head: Head, rest: bytes | None, *, over_stream: bool
    ) -> None:
        self.raw = raw
        self.version = version
        self.start_line, self._headers, self._by_name, self._head_anomalies, _ = head
        self._head_bytes = head_bytes
        self._anomalies: tuple[str, ...] | None = None
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._via: Via | None = None
        self._cseq: tuple[int | None, str | None] | None = None
        self._over_stream = over_stream
        # None without the empty line that ends the head.
        self._bytes_after_head = None if rest is None else len(rest)
        # RFC 3261 §18.3: over UDP, what is beyond Content-Length is discarded.
        self._content_length = length, _ = announced_length(self._by_name.get("content-length", ()))
        self.body = rest[:length] if rest else b""

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Name as written and unfolded value, in wire order."""
        return tuple(self._headers)

    @property
    def anomalies(self) -> tuple[str, ...]:
        """Codes (``engine/reasons.py``) of what is wrong with a message that could still be read."""
        if self._anomalies is None:
            self._anomalies = tuple(self._find_anomalies())
        return self._anomalies

    def _find_anomalies(self) -> list[str]:
        by_name = self._by_name
        found = [*self._head_anomalies, *head_anomalies(self._head_bytes, by_name)]
        if len(by_name) != len(self._headers):
            found += repetitions(by_name)
        if "cseq" in by_name and not self._is_cseq_valid():
            found.append("cseq_invalid")
        after_head = self._bytes_after_head
        if after_head is None:
            found.append("head_unterminated")
            after_head = 0
        length, anomaly = self._content_length
        if anomaly is not None:
            found.append(anomaly)
        elif length is None and self._over_stream:
            found.append("content_length_missing")
        elif length is not None and length != after_head:
            found.append("content_length_beyond_end" if length > after_head else "content_length_short")
        return found

    def _is_cseq_valid(self) -> bool:
        number, method = self._read_cseq()
        return method is not None and number is not None and number <= _MAX_CSEQ

    def header(self, name: str) -> str | None:
        """Return the first value of a header, any case, compact forms expanded; None when absent."""
        by_name = self._by_name
        values = by_name.get(name) or by_name.get(canonical_name(name))
        return values[0] if values else None

    def has_any(self, names: frozenset[str]) -> bool:
        """Tell whether there is a header of one of these names (lower case, not compact)."""
        return not names.isdisjoint(self._by_name)

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all values of a header, one per header line, in wire order."""
        by_name = self._by_name
        values = by_name.get(name) or by_name.get(canonical_name(name))
        return tuple(values) if values else ()

    @property
    def call_id(self) -> str | None:
        """The Call-ID, None when absent."""
        values = self._by_name.get("call-id")
        return values[0] if values else None

    @property
    def from_(self) -> NameAddr:
        """The From value (empty parts when the header is absent)."""
        if self._from is None:
            self._from = parse_name_addr(self.header("from") or "")
        return self._from

    @property
    def to(self) -> NameAddr:
        """The To value (empty parts when the header is absent)."""
        if self._to is None:
            self._to = parse_name_addr(self.header("to") or "")
        return self._to

    @property
    def from_tag(self) -> str | None:
        """The caller's half of the dialog identifier (RFC 3261 §12)."""
        return (self._from or self.from_).params.get("tag")

    @property
    def to_tag(self) -> str | None:
        """The callee's half of the dialog identifier; absent in a request that begins a dialog."""
        return (self._to or self.to).params.get("tag")

    @property
    def via(self) -> Via | None:
        """The topmost Via hop, None when absent or unreadable."""
        if self._via is None:
            value = self.header("via")
            self._via = parse_via(value) if value else None
        return self._via

    @property
    def via_branch(self) -> str | None:
        """The branch of the topmost Via: the transaction's name (RFC 3261 §17.1.3)."""
        via = self._via or self.via
        return via.params.get("branch") if via is not None else None

    @property
    def cseq_number(self) -> int | None:
        """The number in CSeq (RFC 3261 §20.16); None when it is none or over 32 bits."""
        return (self._cseq or self._read_cseq())[0]

    @property
    def cseq_method(self) -> str | None:
        """The method in CSeq (RFC 3261 §20.16), also where the number is none."""
        return (self._cseq or self._read_cseq())[1]

    def _read_cseq(self) -> tuple[int | None, str | None]:
        cseq = self._cseq
        if cseq is None:
            words = (self.header("cseq") or "").split()
            if len(words) == 2:
                number, method = words
                is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
                value = int(number) if is_number else _MAX_UINT32 + 1
                cseq = (value if value <= _MAX_UINT32 else None, method)
            else:
                cseq = (None, None)
            self._cseq = cseq
        return cseq


class Request(_Message):
    """A SIP request (RFC 3261 §7.1)."""

    __slots__ = ("_uri", "method", "request_uri")

    method: str
    request_uri: str
    """As written, without the angle brackets some send around it (RFC 4475 §3.1.2.7)."""

    def __init__(
        self,
        raw: bytes,
        parts: tuple[str, str, str],
        head_bytes: bytes,
        head: Head,
        rest: bytes | None,
        *,
        over_stream: bool,
    ) -> None:
        self.method, request_uri, version = parts
        self.request_uri = request_uri.strip("<> \t")
        self._uri: Uri | None = None
        self._fill(raw, version, head_bytes, head, rest, over_stream=over_stream)

    @property
    def uri(self) -> Uri:
        """The Request-URI, split."""
        if self._uri is None:
            self._uri = parse_uri(self.request_uri)
        return self._uri

    def _find_anomalies(self) -> list[str]:
        found = super()._find_anomalies()
        found += request_anomalies(
            self.start_line, self.method, self.request_uri, self.version, self._by_name, self.cseq_method
        )
        return found


class Response(_Message):
    """A SIP response (RFC 3261 §7.2)."""

    __slots__ = ("reason_phrase", "status_code")

    status_code: int
    reason_phrase: str

    def __init__(
        self,
        raw: bytes,
        parts: tuple[str, str, str],
        head_bytes: bytes,
        head: Head,
        rest: bytes | None,
        *,
        over_stream: bool,
    ) -> None:
        version, status_code, self.reason_phrase = parts
        self.status_code = int(status_code)
        self._fill(raw, version, head_bytes, head, rest, over_stream=over_stream)

    def _find_anomalies(self) -> list[str]:
        return super()._find_anomalies() + response_anomalies(self.status_code, self.version)


Message = Request | Response


@lru_cache(maxsize=2)  # one message is asked for by several: policies beside each other, who counts media
def parse_message(payload: bytes, *, over_stream: bool = False) -> Message:
    """Read one SIP message from a whole datagram, or from its bytes of a stream (``over_stream``).

    Over a stream, such as TCP, Content-Length is no choice (RFC 3261 §20.14): the anomalies tell where it is missing.

    Raises:
        SipSyntaxError: ``not_sip`` (no start line of a request or response), ``stun``, ``status_code_invalid``,
            ``message_too_large``, ``start_line_too_long``, ``too_many_headers``, ``too_many_values``. Nothing
            else, whatever the bytes.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SipSyntaxError("message_too_large", f"{len(payload)} bytes; limit {MAX_MESSAGE_BYTES}")
    # RFC 3261 §7.5: CRLFs before the start line are to be ignored.
    whole = payload.lstrip(b"\r\n")
    end = whole.find(b"\r\n\r\n")
    head_bytes, rest = (whole[:end], whole[end + 4 :]) if end >= 0 else (whole, None)
    # No head of so many lines is shorter; counting first keeps a flood of tiny lines cheap.
    if len(head_bytes) > MAX_HEADER_LINES and head_bytes.count(b"\n") >= MAX_HEADER_LINES:
        head_bytes, rest = _split_at_first_empty_line(whole)
        _check_number_of_lines(head_bytes)
    head = read_head(head_bytes)
    if head.has_empty_line:
        head_bytes, rest = _split_at_first_empty_line(whole)
        head = read_head(head_bytes)
    if "\r" in head.start_line:
        head = _read_head_of_bare_cr(head_bytes)
    if len(head_bytes) > MAX_HEADER_COMMAS and (commas := head_bytes.count(b",")) > MAX_HEADER_COMMAS:
        raise SipSyntaxError("too_many_values", f"{commas} commas in the headers; limit {MAX_HEADER_COMMAS}")
    if len(head.start_line) > MAX_START_LINE_BYTES:
        raise SipSyntaxError("start_line_too_long", f"{len(head.start_line)} characters; limit {MAX_START_LINE_BYTES}")
    status_line = read_status_line(head.start_line)
    if status_line is not None:
        return Response(payload, status_line, head_bytes, head, rest, over_stream=over_stream)
    try:
        return Request(payload, read_request_line(head.start_line), head_bytes, head, rest, over_stream=over_stream)
    except SipSyntaxError:
        if is_stun(payload):
            raise SipSyntaxError("stun", "STUN message (RFC 8489 §5)") from None
        raise


def _check_number_of_lines(head_bytes: bytes) -> None:
    lines = head_bytes.count(b"\n") + 1
    if lines > MAX_HEADER_LINES:
        raise SipSyntaxError("too_many_headers", f"{lines} lines; limit {MAX_HEADER_LINES}")


def _read_head_of_bare_cr(head_bytes: bytes) -> Head:
    """Read a head whose start line goes on behind a CR without LF: each CR ends a line, so that the method can be told.

    Wireshark and others read it so; the anomaly ``bare_cr`` says that not all do.
    """
    written = _BARE_CR.sub(b"\n", head_bytes)
    empty_line = find_empty_line(written)
    lines = written[: empty_line[0]] if empty_line is not None else written
    _check_number_of_lines(lines)
    return read_head(lines)


def _split_at_first_empty_line(whole: bytes) -> tuple[bytes, bytes | None]:
    """Return the head without its last line end, and what follows the empty line (None without one)."""
    empty_line = find_empty_line(whole)
    if empty_line is None:
        return whole.rstrip(b"\r\n"), None
    return whole[: empty_line[0]].removesuffix(b"\r"), whole[empty_line[1] :]
