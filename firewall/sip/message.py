"""One SIP message: its start line, headers and body, read lazily (RFC 3261 §7, §25.1).

Tolerant by intent: NENA-STA-010.3 §3.1.1 asks elements to accept calls that break the standard when the method can
be told. What can be read with a discernible method is a message, perhaps with *anomalies*; everything else raises
``SipSyntaxError`` with the reason code the decision log carries.
"""

from collections.abc import Iterable, Iterator

from firewall.errors import SipSyntaxError
from firewall.sip.anomaly import (
    head_anomalies,
    is_multipart_open,
    repetitions,
    request_anomalies,
    response_anomalies,
)
from firewall.sip.content_length import announced_length
from firewall.sip.cseq import MAX_CSEQ, read_cseq
from firewall.sip.head import Head, SplitHead, split_head
from firewall.sip.headers import canonical_name, identifier, split_values
from firewall.sip.limits import MAX_IDENTIFIER, MAX_MESSAGE_BYTES, MAX_START_LINE_BYTES
from firewall.sip.name_addr import NameAddr, parse_name_addr
from firewall.sip.start_line import is_like_status_line, read_request_line, read_status_line
from firewall.sip.stun import is_stun
from firewall.sip.uri import Uri, parse_uri
from firewall.sip.via import MAGIC_COOKIE, Via, branch_of, parse_via

_ABOUT_AN_INVITE = frozenset({"ACK", "CANCEL"})

NO_TAG = "\n"
"""The tag of one that sends none, as before RFC 3261 (§12.1.1 and §12.1.2 call it null). Nobody can write this one."""

DialogId = tuple[str, str]
"""Both tags, sorted: the same whichever side sends (RFC 3261 §12)."""

TransactionId = tuple[int, str, str]
"""CSeq number, method, and ``transaction_name`` (RFC 3261 §17.1.3)."""


class _Message:
    """What requests and responses share. Immutable for its readers.

    What nearly every message is asked for is read at once, into plain attributes: what it belongs to. The rest is read
    when it is first asked for.
    """

    __slots__ = (
        "_anomalies",
        "_bytes_after_head",
        "_content_length",
        "_head_bytes",
        "_over_stream",
        "body",
        "call_id",
        "cseq_method",
        "cseq_number",
        "dialog_id",
        "from_",
        "from_tag",
        "head",
        "raw",
        "start_line",
        "to",
        "to_tag",
        "transaction_id",
        "version",
        "via_branch",
    )

    raw: bytes
    """The datagram as it came."""
    head: Head
    """Its header lines, as they were split."""
    start_line: str
    version: str
    body: bytes
    call_id: str | None
    """The Call-ID, None when absent. Of one that is too long, as of tags and the branch, the ``identifier``."""
    from_: NameAddr
    """The From value (empty parts when the header is absent)."""
    to: NameAddr
    """The To value (empty parts when the header is absent)."""
    from_tag: str | None
    """The caller's half of the dialog identifier (RFC 3261 §12)."""
    to_tag: str | None
    """The callee's half of the dialog identifier; absent in a request that begins a dialog."""
    cseq_number: int | None
    """The number in CSeq (RFC 3261 §20.16); None when it is none or over 32 bits."""
    cseq_method: str | None
    """The method in CSeq (RFC 3261 §20.16), also where the number is none."""
    via_branch: str | None
    """The branch of the topmost Via: the transaction's name (RFC 3261 §17.1.3)."""
    dialog_id: DialogId | None
    """The dialog it names, None without a To tag."""
    transaction_id: TransactionId | None
    """The transaction it belongs to; the request CANCEL and an ACK name their INVITE's (RFC 3261 §17.2.3).

    None without a number and a method in CSeq.
    """

    def _fill(self, raw: bytes, version: str, split: SplitHead, *, over_stream: bool) -> None:
        head, head_bytes, rest = split
        self.raw = raw
        self.version = version
        self.start_line = head.start_line
        self.head = head
        self._head_bytes = head_bytes
        self._anomalies: tuple[str, ...] | None = None
        self._over_stream = over_stream
        # None without the empty line that ends the head.
        self._bytes_after_head = None if rest is None else len(rest)
        # RFC 3261 §18.3: over UDP, what is beyond Content-Length is discarded.
        self._content_length = length, _ = announced_length(head)
        self.body = rest[:length] if rest else b""
        first = head.first
        call_id = first.get("call-id")
        self.from_ = from_ = parse_name_addr(first.get("from", ""))
        self.to = to = parse_name_addr(first.get("to", ""))
        from_tag, to_tag = from_.params.get("tag"), to.params.get("tag")
        branch = branch_of(first.get("via", ""))
        if len(head_bytes) > MAX_IDENTIFIER:  # no other holds a longer one
            call_id, from_tag, to_tag, branch = map(identifier, (call_id, from_tag, to_tag, branch))
        self.call_id, self.from_tag, self.to_tag, self.via_branch = call_id, from_tag, to_tag, branch
        if to_tag is None:
            self.dialog_id = None
        elif from_tag is None:
            self.dialog_id = NO_TAG, to_tag
        else:
            self.dialog_id = (from_tag, to_tag) if from_tag <= to_tag else (to_tag, from_tag)
        self.cseq_number, self.cseq_method = number, method = read_cseq(first.get("cseq", ""))
        if number is None or method is None:
            self.transaction_id = None
        else:
            self.transaction_id = number, method, transaction_name(branch, from_tag)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Name as written and unfolded value, in wire order."""
        return tuple(self.head.headers)

    @property
    def anomalies(self) -> tuple[str, ...]:
        """Codes (``engine/reasons.py``) of what is wrong with a message that could still be read."""
        if self._anomalies is None:
            self._anomalies = tuple(self._find_anomalies())
        return self._anomalies

    def _find_anomalies(self) -> list[str]:
        head = self.head
        found = [*head.anomalies, *head_anomalies(self._head_bytes, head, self.via_branch)]
        if head.repeated:
            found += repetitions(head.repeated)
        number = self.cseq_number
        if head.first.get("cseq") and (self.cseq_method is None or number is None or number > MAX_CSEQ):
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
        content_type = head.first.get("content-type")
        if content_type and self.body and is_multipart_open(content_type, self.body):
            found.append("multipart_unterminated")
        return found

    @property
    def is_whole(self) -> bool:
        """Whether Content-Length says that the message ends where its bytes do."""
        length, anomaly = self._content_length
        return anomaly is None and length is not None and length == self._bytes_after_head

    def header(self, name: str) -> str | None:
        """Return the first value of a header, any case, compact forms expanded; None when absent."""
        return self.head.first.get(canonical_name(name))

    def has_any(self, names: frozenset[str]) -> bool:
        """Tell whether there is a header of one of these names (lower case, not compact)."""
        return not self.head.first.keys().isdisjoint(names)

    def may_be_several(self, name: str) -> bool:
        """Tell whether a header (lower case, not compact) has several lines, or a comma, which may divide values."""
        return name in self.head.repeated or "," in self.head.first.get(name, "")

    def header_values(self, name: str) -> tuple[str, ...]:
        """Return all values of a header, one per header line, in wire order."""
        return self.head.values(canonical_name(name))

    def name_addrs(self, name: str) -> Iterator[NameAddr]:
        """Yield each value of a header such as Contact or Route, those of one line and of several (RFC 3261 §7.3.1)."""
        for value in self.header_values(name):
            for part in split_values(value):
                yield parse_name_addr(part)

    @property
    def via(self) -> Via | None:
        """The topmost Via hop, None when absent or unreadable."""
        value = self.header("via")
        return parse_via(value) if value else None


class Request(_Message):
    """A SIP request (RFC 3261 §7.1)."""

    __slots__ = ("method", "request_uri")

    method: str
    request_uri: str
    """As written, without the angle brackets some send around it (RFC 4475 §3.1.2.7)."""

    def __init__(self, raw: bytes, parts: tuple[str, str, str], split: SplitHead, *, over_stream: bool) -> None:
        self.method, request_uri, version = parts
        self.request_uri = request_uri.strip("<> \t")
        self._fill(raw, version, split, over_stream=over_stream)
        if self.method in _ABOUT_AN_INVITE and self.transaction_id is not None:
            number, _, branch = self.transaction_id
            self.transaction_id = number, "INVITE", branch

    @property
    def uri(self) -> Uri:
        """The Request-URI, split."""
        return parse_uri(self.request_uri)

    def _find_anomalies(self) -> list[str]:
        found = super()._find_anomalies()
        found += request_anomalies(
            self.start_line,
            self.method,
            self.request_uri,
            self.version,
            max_forwards=self.header("max-forwards"),
            cseq_method=self.cseq_method,
        )
        return found


class Response(_Message):
    """A SIP response (RFC 3261 §7.2)."""

    __slots__ = ("reason_phrase", "status_code")

    status_code: int
    reason_phrase: str

    def __init__(self, raw: bytes, parts: tuple[str, str, str], split: SplitHead, *, over_stream: bool) -> None:
        version, status_code, self.reason_phrase = parts
        self.status_code = int(status_code)
        self._fill(raw, version, split, over_stream=over_stream)

    def _find_anomalies(self) -> list[str]:
        return super()._find_anomalies() + response_anomalies(self.status_code, self.version)


Message = Request | Response


def transaction_name(branch: str | None, from_tag: str | None) -> str:
    """Return the branch of a transaction; where it is not unique for want of the magic cookie, the From tag beside it.

    RFC 3261 §17.2.3: who sends no such branch is a RFC 2543 element, whose transactions are told by their tags too.
    """
    if branch is not None and branch.startswith(MAGIC_COOKIE) and branch != MAGIC_COOKIE:
        return branch
    return f"{branch or ''};{from_tag or ''}"


_Known = tuple[bytes, bool, Message]
"""The bytes of a message (kept, lest others get their identity), whether they came over a stream, and what was read."""
_last: list[_Known | None] = [None]  # several ask for the same: policies beside each other, and who counts media
_ahead: dict[int, _Known] = {}  # by the identity of their bytes


def read_ahead(messages: Iterable[tuple[bytes, bool]]) -> None:
    """Read messages now for which ``parse_message`` will be asked soon; earlier ones are forgotten.

    Each is its bytes, and whether they came over a stream. One after the other they take a third less time than each
    between two decisions: the processor has the code at hand.
    """
    _ahead.clear()
    for payload, over_stream in messages:
        try:
            message = parse_message(payload, over_stream=over_stream)
        except Exception:  # noqa: BLE001, S112 (whatever it is, it is raised again when the message is asked for)
            continue
        _ahead[id(payload)] = payload, over_stream, message


def parse_message(payload: bytes, *, over_stream: bool = False) -> Message:
    """Read one SIP message from a whole datagram, or from its bytes of a stream (``over_stream``).

    Over a stream, such as TCP, Content-Length is no choice (RFC 3261 §20.14): the anomalies tell where it is missing.

    Raises:
        SipSyntaxError: ``not_sip`` (no start line of a request or response), ``stun``, ``status_code_invalid``,
            ``message_too_large``, ``start_line_too_long``, ``too_many_headers``, ``too_many_values``. Nothing
            else, whatever the bytes.
    """
    known = _ahead.get(id(payload))
    if known is not None and known[1] == over_stream:
        return known[2]
    last = _last[0]
    if last is not None and last[0] is payload and last[1] == over_stream:
        return last[2]
    message = _read(payload, over_stream=over_stream)
    _last[0] = payload, over_stream, message
    return message


def _read(payload: bytes, *, over_stream: bool) -> Message:
    if len(payload) > MAX_MESSAGE_BYTES:
        raise SipSyntaxError("message_too_large", f"{len(payload)} bytes; limit {MAX_MESSAGE_BYTES}")
    # RFC 3261 §7.5: CRLFs before the start line are to be ignored.
    head, _, rest = split = split_head(payload.lstrip(b"\r\n"))
    start_line = head.start_line
    if len(start_line) > MAX_START_LINE_BYTES:
        raise SipSyntaxError("start_line_too_long", f"{len(start_line)} characters; limit {MAX_START_LINE_BYTES}")
    status_line = read_status_line(start_line) if is_like_status_line(start_line) else None
    if status_line is not None:
        message: Message = Response(payload, status_line, split, over_stream=over_stream)
    else:
        try:
            message = Request(payload, read_request_line(start_line), split, over_stream=over_stream)
        except SipSyntaxError:
            if is_stun(payload):
                raise SipSyntaxError("stun", "STUN message (RFC 8489 §5)") from None
            raise
    if over_stream and not rest:
        _check_announced_size(head, len(payload))
    return message


def _check_announced_size(head: Head, head_bytes: int) -> None:
    """Refuse a head whose body would make too large a message: it comes without it (``framing``), and whoever got it
    would take the messages of others behind it for its body."""
    size = head_bytes + (announced_length(head)[0] or 0)
    if size > MAX_MESSAGE_BYTES:
        raise SipSyntaxError("message_too_large", f"{size} bytes; limit {MAX_MESSAGE_BYTES}")
