"""One SIP message: its start line, headers and body, read lazily (RFC 3261 §7, §25.1).

Tolerant by intent: NENA-STA-010.3 §3.1.1 asks elements to accept calls that break the standard when the method can
be told. What can be read with a discernible method is a message, perhaps with *anomalies*; everything else raises
``SipSyntaxError`` with the reason code the decision log carries.
"""

import re

from firewall.errors import SipSyntaxError
from firewall.sip.headers import canonical_name
from firewall.sip.limits import MAX_HEADER_LINES, MAX_MESSAGE_BYTES, MAX_START_LINE_BYTES
from firewall.sip.name_addr import NameAddr, parse_name_addr
from firewall.sip.uri import Uri, parse_uri
from firewall.sip.via import Via, parse_via

_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")
# RFC 3261 §25.1 token, as a method.
_METHOD = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_SIP_VERSION = re.compile(r"SIP/\d+\.\d+", re.IGNORECASE | re.ASCII)
_STATUS_LINE = re.compile(r"(SIP/\d+\.\d+)[ \t]+(\d{3})(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL | re.ASCII)
_CSEQ = re.compile(r"\s*(\d{1,10})\s+(\S+)\s*", re.ASCII)
_CONTENT_LENGTH = re.compile(r"\d{1,10}", re.ASCII)

# What every request and response must carry (RFC 3261 §8.1.1): without one there is an anomaly.
_REQUIRED = ("via", "from", "to", "call-id", "cseq")


class _Message:
    """What requests and responses share. Immutable for its readers; parts are read when first asked for."""

    __slots__ = (
        "_cseq",
        "_from",
        "_index",
        "_to",
        "_via",
        "anomalies",
        "body",
        "headers",
        "raw",
        "start_line",
        "version",
    )

    raw: bytes
    """The datagram as it came."""
    start_line: str
    version: str
    headers: tuple[tuple[str, str], ...]
    """Name as written and unfolded value, in wire order."""
    body: bytes
    anomalies: tuple[str, ...]
    """Codes (``engine/reasons.py``) of what is wrong with a message that could still be read."""

    def _fill(
        self, raw: bytes, start_line: str, version: str, headers: tuple[tuple[str, str], ...], body: bytes
    ) -> None:
        self.raw = raw
        self.start_line = start_line
        self.version = version
        self.headers = headers
        index: dict[str, list[str]] = {}
        for name, value in headers:
            index.setdefault(canonical_name(name), []).append(value)
        self._index = index
        self._from: NameAddr | None = None
        self._to: NameAddr | None = None
        self._via: Via | None = None
        self._cseq: tuple[int | None, str | None] | None = None
        self.body, anomalies = self._sized_body(body)
        anomalies.extend(f"missing_{name.replace('-', '_')}" for name in _REQUIRED if name not in index)
        self.anomalies = tuple(anomalies)

    def _sized_body(self, body: bytes) -> tuple[bytes, list[str]]:
        """Cut the body to Content-Length (RFC 3261 §18.3: over UDP, what is beyond it is discarded)."""
        values = self._index.get("content-length")
        if values is None:
            return body, []
        text = values[0].strip()
        if _CONTENT_LENGTH.fullmatch(text) is None or len(set(values)) > 1:
            return body, ["content_length_invalid"]
        length = int(text)
        if length > len(body):
            return body, ["content_length_beyond_end"]
        return body[:length], ["content_length_short"] if length < len(body) else []

    def header(self, name: str) -> str | None:
        """Return the first value of a header, any case, compact forms expanded; None when absent."""
        values = self._index.get(canonical_name(name))
        return values[0] if values else None

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all values of a header, one per header line, in wire order."""
        return tuple(self._index.get(canonical_name(name), ()))

    @property
    def call_id(self) -> str | None:
        """The Call-ID, None when absent."""
        return self.header("call-id")

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
        return self.from_.params.get("tag")

    @property
    def to_tag(self) -> str | None:
        """The callee's half of the dialog identifier; absent in a request that begins a dialog."""
        return self.to.params.get("tag")

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
        via = self.via
        return via.branch if via else None

    @property
    def cseq_number(self) -> int | None:
        """The number in CSeq (RFC 3261 §20.16)."""
        return self._read_cseq()[0]

    @property
    def cseq_method(self) -> str | None:
        """The method in CSeq (RFC 3261 §20.16)."""
        return self._read_cseq()[1]

    def _read_cseq(self) -> tuple[int | None, str | None]:
        if self._cseq is None:
            match = _CSEQ.fullmatch(self.header("cseq") or "")
            self._cseq = (int(match[1]), match[2]) if match else (None, None)
        return self._cseq


class Request(_Message):
    """A SIP request (RFC 3261 §7.1)."""

    __slots__ = ("_uri", "method", "request_uri")

    method: str
    request_uri: str
    """As written, without the angle brackets some send around it (RFC 4475 §3.1.2.4)."""

    def __init__(
        self,
        raw: bytes,
        start_line: str,
        parts: tuple[str, str, str],
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> None:
        self.method, request_uri, version = parts
        self.request_uri = request_uri.strip("<> \t")
        self._uri: Uri | None = None
        self._fill(raw, start_line, version, headers, body)
        if self.cseq_method is not None and self.cseq_method != self.method:
            self.anomalies = (*self.anomalies, "cseq_method_mismatch")

    @property
    def uri(self) -> Uri:
        """The Request-URI, split."""
        if self._uri is None:
            self._uri = parse_uri(self.request_uri)
        return self._uri


class Response(_Message):
    """A SIP response (RFC 3261 §7.2)."""

    __slots__ = ("reason_phrase", "status_code")

    status_code: int
    reason_phrase: str

    def __init__(
        self,
        raw: bytes,
        start_line: str,
        parts: tuple[str, str, str],
        headers: tuple[tuple[str, str], ...],
        body: bytes,
    ) -> None:
        version, status_code, self.reason_phrase = parts
        self.status_code = int(status_code)
        self._fill(raw, start_line, version, headers, body)


Message = Request | Response


def parse_message(payload: bytes) -> Message:
    """Read one SIP message from a whole datagram.

    Raises:
        SipSyntaxError: ``not_sip`` (no start line of a request or response), ``message_too_large``,
            ``start_line_too_long``, ``too_many_headers``. Nothing else, whatever the bytes.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SipSyntaxError("message_too_large", f"{len(payload)} bytes; limit {MAX_MESSAGE_BYTES}")
    # RFC 3261 §7.5: CRLFs before the start line are to be ignored.
    whole = payload.lstrip(b"\r\n")
    end = whole.find(b"\r\n\r\n")
    if end >= 0:
        head_bytes, body = whole[:end], whole[end + 4 :]
    else:
        empty_line = _EMPTY_LINE.search(whole)
        head_bytes = whole[: empty_line.start()] if empty_line else whole
        body = whole[empty_line.end() :] if empty_line else b""
    head = head_bytes.decode("utf-8", "surrogateescape")
    if "\n " in head or "\n\t" in head:
        head = _FOLD.sub(" ", head)
    lines = head.split("\n")
    if len(lines) > MAX_HEADER_LINES:
        raise SipSyntaxError("too_many_headers", f"{len(lines)} lines; limit {MAX_HEADER_LINES}")
    start_line = lines[0].rstrip("\r")
    if len(start_line) > MAX_START_LINE_BYTES:
        raise SipSyntaxError("start_line_too_long", f"{len(start_line)} characters; limit {MAX_START_LINE_BYTES}")
    headers = _read_headers(lines)
    status_line = _STATUS_LINE.fullmatch(start_line)
    if status_line is not None:
        return Response(payload, start_line, (status_line[1], status_line[2], status_line[3] or ""), headers, body)
    return Request(payload, start_line, _read_request_line(start_line), headers, body)


def _read_request_line(line: str) -> tuple[str, str, str]:
    """Split ``Method SP Request-URI SP SIP-Version`` (RFC 3261 §7.1); blanks inside the URI are kept."""
    method, _, rest = line.strip().replace("\t", " ").partition(" ")
    request_uri, _, version = rest.rpartition(" ")
    request_uri = request_uri.strip()
    if not request_uri or _METHOD.fullmatch(method) is None or _SIP_VERSION.fullmatch(version) is None:
        raise SipSyntaxError("not_sip", f"no request or status line: {line[:60]!r}")
    return method, request_uri, version


def _read_headers(lines: list[str]) -> tuple[tuple[str, str], ...]:
    headers: list[tuple[str, str]] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.append((name.strip(), value.strip()))
    return tuple(headers)
