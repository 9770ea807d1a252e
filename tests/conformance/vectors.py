"""What a test vector of an RFC is, and how its bytes are put together."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Vector:
    """One message of an RFC and the reading expected of it; ``call_id`` None where none is to be read."""

    section: str
    name: str
    raw: bytes
    start: tuple[str, str] | str
    """(method, Request-URI), or (status code, reason phrase); the error's reason where there is no message."""
    call_id: str | None = None
    cseq: tuple[int | None, str | None] = (None, None)
    tags: tuple[str | None, str | None] = (None, None)
    """Of From and To."""
    branch: str | None = None
    anomalies: tuple[str, ...] = ()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values of further headers."""

    @property
    def id(self) -> str:
        return f"{self.section}-{self.name}"


def message(*lines: str, body: bytes = b"") -> bytes:
    """Return a message whose lines end with CR LF, and the empty line behind them."""
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode() + body


def sdp(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def audio_and_video(origin: str, connection: str | None = None, *, time: str = "0 0") -> bytes:
    """Return the session description that most messages of RFC 4475 carry."""
    return sdp(
        "v=0",
        f"o=mhandley 29739 7272939 IN IP4 {origin}",
        "s=-",
        f"c=IN IP4 {connection or origin}",
        f"t={time}",
        "m=audio 49217 RTP/AVP 0 12",
        "m=video 3227 RTP/AVP 31",
        "a=rtpmap:31 LPC",
    )
