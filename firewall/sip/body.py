"""Message bodies: one part, or the parts of a multipart body at any depth (RFC 3261 §7.4, RFC 5621, RFC 2046 §5.1)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from firewall.sip.head import read_head
from firewall.sip.headers import multipart_delimiter
from firewall.sip.limits import MAX_BODY_DEPTH, MAX_BODY_PARTS
from firewall.sip.message import Message
from firewall.sip.start_line import find_empty_line

_LF = 0x0A
SDP_TYPE = "application/sdp"
_SDP_BEGINNING = b"v=0"  # RFC 8866 §5.1


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One part: its media type in lower case without parameters, its content as it came, its Content-ID and
    Content-Disposition (the latter in lower case without parameters)."""

    content_type: str
    content: bytes
    content_id: str | None = None
    disposition: str | None = None


def body_parts(message: Message) -> tuple[BodyPart, ...]:
    """Return the leaf parts of a message's body, depth first; () without a body. Any bytes give parts.

    A multipart body without a boundary, with none of its delimiters or nested too deep is one part of its own type,
    so that nothing of a body is overlooked. Where no Content-Type says what a body is, as RFC 3261 §20.15 demands, its
    first line does: endpoints take it for a session description.
    """
    if not message.body:
        return ()
    parts: list[BodyPart] = []
    _collect(message.head.first, message.body, 0, parts)
    return tuple(parts)


def media_type_of(content_type: str) -> str:
    """Return the media type that a Content-Type names, in lower case, without parameters.

    RFC 3261 §25.1 allows blanks around its slash.
    """
    return "".join(content_type.partition(";")[0].split()).lower()


def contents_of_type(message: Message, content_type: str) -> list[bytes]:
    """Return what the leaf parts of a media type (in lower case, without parameters) contain."""
    if not message.body:
        return []
    if message.header("content-type") == content_type:
        return [message.body]  # as most are written; the same that is told below
    return [part.content for part in body_parts(message) if part.content_type == content_type]


def _collect(headers: Mapping[str, str], content: bytes, depth: int, parts: list[BodyPart]) -> None:
    # RFC 2046 §5.1: a part that does not say what it is is text.
    media_type, _, params = headers.get("content-type", "text/plain" if depth else "").partition(";")
    media_type = media_type_of(media_type) or (SDP_TYPE if content.startswith(_SDP_BEGINNING) else "")
    delimiter = multipart_delimiter(params) if media_type.startswith("multipart/") else None
    sections = list(_sections(content, delimiter)) if delimiter and depth < MAX_BODY_DEPTH else []
    if not sections:
        disposition = headers.get("content-disposition", "").partition(";")[0].strip().lower() or None
        parts.append(BodyPart(media_type, content, headers.get("content-id", "").strip("<> \t") or None, disposition))
        return
    for section in sections:
        if len(parts) >= MAX_BODY_PARTS:
            return
        framed = b"\n" + section  # so that a part without headers, which begins with an empty line, is like any other
        empty_line = find_empty_line(framed)
        head, inner = (framed[: empty_line[0]], framed[empty_line[1] :]) if empty_line else (framed, b"")
        _collect(read_head(head).first, inner, depth + 1, parts)


def _sections(content: bytes, delimiter: bytes) -> Iterator[bytes]:
    """Cut a multipart body at its delimiters: preamble and epilogue fall away, a missing end is the body's end."""
    start = -1
    at = content.find(delimiter)
    while at >= 0:
        after = at + len(delimiter)
        if at == 0 or content[at - 1] == _LF:
            line_end = content.find(b"\n", after)
            next_line = line_end + 1 if line_end >= 0 else len(content)
            # What else may stand on the line: "--" for the end, and blanks that transports add (RFC 2046 §5.1.1).
            rest = content[after:next_line].rstrip(b" \t\r\n")
            if rest in (b"", b"--"):
                if start >= 0:
                    yield _without_line_end(content[start:at])
                if rest:
                    return
                start = after = next_line
        at = content.find(delimiter, after)
    if start >= 0:
        yield content[start:]


def _without_line_end(section: bytes) -> bytes:
    """The line end before a delimiter belongs to the delimiter (RFC 2046 §5.1.1)."""
    return section[:-2] if section.endswith(b"\r\n") else section.removesuffix(b"\n")
