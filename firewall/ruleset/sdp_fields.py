"""Wireshark's fields of a session description (RFC 8866), read from every SDP part of a SIP message."""

from collections.abc import Callable
from functools import lru_cache

from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import FieldSpec, Reader, Values
from firewall.sip.body import body_parts
from firewall.sip.message import Message
from firewall.sip.sdp import SessionDescription, parse_sdp


@lru_cache(maxsize=16)
def _descriptions(message: Message) -> tuple[SessionDescription, ...]:
    """Read the SDP parts once for all the rules that look at one message (a message is its own key)."""
    return tuple(parse_sdp(part.content) for part in body_parts(message) if part.content_type == "application/sdp")


def _of_sdp(read: Callable[[SessionDescription], Values]) -> Reader:
    def of_sdp(facts: Facts) -> Values:
        message = facts.message
        if message is None or not message.body:
            return ()
        descriptions = _descriptions(message)
        if len(descriptions) == 1:
            return read(descriptions[0])
        return tuple(value for description in descriptions for value in read(description))  # type: ignore[return-value]

    return of_sdp


def _lines(kind: str) -> Reader:
    return _of_sdp(lambda sdp: tuple(value for line_kind, value in sdp.lines if line_kind == kind))


def _word(kind: str, index: int) -> Reader:
    def words(sdp: SessionDescription) -> Values:
        split = (value.split() for line_kind, value in sdp.lines if line_kind == kind)
        return tuple(parts[index] for parts in split if len(parts) > index)

    return _of_sdp(words)


def _attributes(of_media: bool) -> Reader:
    def attributes(sdp: SessionDescription) -> Values:
        values = []
        in_media = False
        for kind, value in sdp.lines:
            in_media = in_media or kind == "m"
            if kind == "a" and in_media is of_media:
                values.append(value)
        return tuple(values)

    return _of_sdp(attributes)


_TEXT_FIELDS: tuple[tuple[str, str, Reader], ...] = (
    ("version", "v=", _lines("v")),
    ("owner", "o=, whole", _lines("o")),
    ("owner.username", "o=, user name", _word("o", 0)),
    ("owner.address", "o=, address", _word("o", 5)),
    ("session_name", "s=", _lines("s")),
    ("session_info", "i= of the session", _lines("i")),
    ("connection_info", "c=, whole", _lines("c")),
    ("connection_info.address_type", "c=, address type", _word("c", 1)),
    ("connection_info.address", "c=, address", _word("c", 2)),
    ("bandwidth", "b=", _lines("b")),
    ("time", "t=", _lines("t")),
    ("session_attr", "a= of the session", _attributes(of_media=False)),
    ("media", "m=, whole", _lines("m")),
    ("media.media", "m=, kind of media", _word("m", 0)),
    ("media.proto", "m=, transport", _word("m", 2)),
    ("media_attr", "a= of a medium", _attributes(of_media=True)),
)

SDP_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("sdp", "protocol", "A session description", _of_sdp(lambda _: ("",))),
    *(FieldSpec(f"sdp.{name}", "text", what, read) for name, what, read in _TEXT_FIELDS),
    FieldSpec(
        "sdp.media.port",
        "number",
        "m=, port",
        _of_sdp(lambda sdp: tuple(medium.port for medium in sdp.media)),
        maximum=65535,
    ),
)
