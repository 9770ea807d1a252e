"""Session descriptions, read far enough to know their media (RFC 8866 §5)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One ``m=`` section; ``port`` is 0 for a rejected stream (RFC 3264 §6), ``address`` from the ``c=`` that holds."""

    media: str
    port: int
    proto: str
    formats: tuple[str, ...]
    address: str | None
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session: every line as (type, value) in order, and its media sections."""

    lines: tuple[tuple[str, str], ...]
    media: tuple[MediaDescription, ...]


def parse_sdp(body: bytes) -> SessionDescription:
    """Read a session description. Any bytes give one; lines that are none are left out."""
    lines = tuple(
        (line[0], line[2:].strip())
        for line in body.decode("utf-8", "surrogateescape").replace("\r", "\n").split("\n")
        if len(line) > 2 and line[1] == "="
    )
    session_address: str | None = None
    sections: list[list[tuple[str, str]]] = []
    for kind, value in lines:
        if kind == "m":
            sections.append([(kind, value)])
        elif sections:
            sections[-1].append((kind, value))
        elif kind == "c":
            session_address = _connection_address(value)
    media = tuple(_media(section, session_address) for section in sections)
    return SessionDescription(lines, media)


def _media(section: list[tuple[str, str]], session_address: str | None) -> MediaDescription:
    words = section[0][1].split()
    port_text = words[1].partition("/")[0] if len(words) > 1 else ""
    is_port = port_text.isascii() and port_text.isdigit() and len(port_text) <= 5 and int(port_text) <= 65535
    own = [_connection_address(value) for kind, value in section if kind == "c"]
    return MediaDescription(
        media=words[0] if words else "",
        port=int(port_text) if is_port else 0,
        proto=words[2] if len(words) > 2 else "",
        formats=tuple(words[3:]),
        address=own[0] if own else session_address,
        attributes=tuple(value for kind, value in section if kind == "a"),
    )


def _connection_address(value: str) -> str | None:
    """``IN IP4 192.0.2.1/127`` → ``192.0.2.1`` (RFC 8866 §5.7)."""
    words = value.split()
    return words[2].partition("/")[0] if len(words) >= 3 else None
