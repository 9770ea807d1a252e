"""Message bodies: one part, or the parts of a multipart body at any depth (RFC 3261 §7.4, RFC 5621, RFC 2046 §5.1)."""

from dataclasses import dataclass

from firewall.sip.headers import canonical_name, parse_params
from firewall.sip.limits import MAX_BODY_DEPTH, MAX_BODY_PARTS
from firewall.sip.message import Message


@dataclass(frozen=True, slots=True)
class BodyPart:
    """One part: its media type in lower case without parameters, its content and its Content-ID without brackets."""

    content_type: str
    content: bytes
    content_id: str | None = None


def body_parts(message: Message) -> tuple[BodyPart, ...]:
    """Return the leaf parts of a message's body, depth first; () without a body. Any bytes give parts."""
    if not message.body:
        return ()
    parts: list[BodyPart] = []
    _collect(message.header("content-type") or "", message.header("content-id"), message.body, 0, parts)
    return tuple(parts)


def _collect(content_type: str, content_id: str | None, content: bytes, depth: int, parts: list[BodyPart]) -> None:
    media_type, _, params = content_type.partition(";")
    media_type = media_type.strip().lower()
    boundary = parse_params(params).get("boundary") if media_type.startswith("multipart/") else None
    if not boundary or depth >= MAX_BODY_DEPTH:
        parts.append(BodyPart(media_type, content, content_id.strip("<> ") if content_id else None))
        return
    for section in _sections(content, boundary.encode("utf-8", "surrogateescape")):
        if len(parts) >= MAX_BODY_PARTS:
            return
        headers, inner = _part_headers(section)
        _collect(headers.get("content-type", "text/plain"), headers.get("content-id"), inner, depth + 1, parts)


def _sections(content: bytes, boundary: bytes) -> list[bytes]:
    delimiter = b"--" + boundary
    pieces = (b"\r\n" + content).replace(b"\r\n", b"\n").split(b"\n" + delimiter)
    sections: list[bytes] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            break
        _, newline, rest = piece.partition(b"\n")
        if newline:
            sections.append(rest)
    return sections


def _part_headers(section: bytes) -> tuple[dict[str, str], bytes]:
    if section.startswith(b"\n"):
        return {}, section[1:]
    head, _, inner = section.partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in head.decode("utf-8", "surrogateescape").replace("\n ", " ").replace("\n\t", " ").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(canonical_name(name.strip()), value.strip())
    return headers, inner
