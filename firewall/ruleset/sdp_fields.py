"""Wireshark's fields of a session description (RFC 8866), read from every SDP part of a SIP message."""

from collections.abc import Callable
from functools import lru_cache

from firewall.net.datagram import MAX_PORT
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import PRESENT, FieldSpec, Reader, Values
from firewall.sip.body import SDP_TYPE, contents_of_type
from firewall.sip.message import Message
from firewall.sip.sdp import SessionDescription, parse_sdp


@lru_cache(maxsize=16)
def _descriptions(message: Message) -> tuple[SessionDescription, ...]:
    """Read the SDP parts once for all the rules that look at one message (a message is its own key)."""
    return tuple(parse_sdp(content) for content in contents_of_type(message, SDP_TYPE))


def _of_sdp(read: Callable[[SessionDescription], Values]) -> Reader:
    def of_sdp(facts: Facts) -> Values:
        message = facts.message
        if message is None or not message.body:
            return ()
        descriptions = _descriptions(message)
        if len(descriptions) == 1:
            return read(descriptions[0])
        return tuple(value for description in descriptions for value in read(description))

    return of_sdp


def _lines(kind: str) -> Reader:
    return _of_sdp(lambda sdp: tuple(value for line_kind, value in sdp.lines if line_kind == kind))


def _word(kind: str, index: int, read: Callable[[str], str] = str) -> Reader:
    def words(sdp: SessionDescription) -> Values:
        split = (value.split() for line_kind, value in sdp.lines if line_kind == kind)
        return tuple(read(parts[index]) for parts in split if len(parts) > index)

    return _of_sdp(words)


_MAX_PAYLOAD_TYPE = 127
# The transports whose payload types Wireshark names; it compares them as written.
_NAMED_TRANSPORTS = frozenset({"RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"})
_DIGITS = frozenset("0123456789")
# Wireshark shows a payload type of RTP by its name (the static types of RFC 3551 §6).
_PAYLOAD_TYPE_NAMES = {
    0: "ITU-T G.711 PCMU",
    1: "USA Federal Standard FS-1016",
    2: "ITU-T G.721",
    3: "GSM 06.10",
    4: "ITU-T G.723",
    5: "DVI4 8000 samples/s",
    6: "DVI4 16000 samples/s",
    7: "Experimental linear predictive encoding from Xerox PARC",
    8: "ITU-T G.711 PCMA",
    9: "ITU-T G.722",
    10: "16-bit uncompressed audio, stereo",
    11: "16-bit uncompressed audio, monaural",
    12: "Qualcomm Code Excited Linear Predictive coding",
    13: "Comfort noise",
    14: "MPEG-I/II Audio",
    15: "ITU-T G.728",
    16: "DVI4 11025 samples/s",
    17: "DVI4 22050 samples/s",
    18: "ITU-T G.729",
    19: "Comfort noise (old)",
    25: "Sun CellB video encoding",
    26: "JPEG-compressed video",
    28: "'nv' program",
    31: "ITU-T H.261",
    32: "MPEG-I/II Video",
    33: "MPEG-II transport streams",
    34: "ITU-T H.263",
    **dict.fromkeys(range(72, 77), "Reserved for RTCP conflict avoidance"),
    **{number: f"DynamicRTP-Type-{number}" for number in range(96, 128)},
}


def _formats(sdp: SessionDescription) -> Values:
    """Formats of each ``m=`` as Wireshark names them, and the bare payload type of each ``a=rtpmap`` and ``a=fmtp``."""
    found = []
    for kind, value in sdp.lines:
        if kind == "m":
            words = value.split()
            is_named = len(words) > 2 and words[2] in _NAMED_TRANSPORTS
            found += [_format_name(word) if is_named else word for word in words[3:]]
        elif kind == "a" and value.startswith(("rtpmap:", "fmtp:")):
            found += value.partition(":")[2].split()[:1]
    return tuple(found)


def _format_name(word: str) -> str:
    if word.isascii() and word.isdigit() and len(word) <= 3 and int(word) <= _MAX_PAYLOAD_TYPE:
        return _PAYLOAD_TYPE_NAMES.get(int(word), "Unassigned")
    return word


def _media_ports(sdp: SessionDescription) -> Values:
    """Port of each ``m=`` as Wireshark reads the text: what begins with no digit has none, digits and more make 0.

    A port that no datagram can have is the highest one. What media may flow is planned from ``MediaDescription.port``,
    which takes such a port for a refused stream.
    """
    split = (value.split() for kind, value in sdp.lines if kind == "m")
    texts = (words[1].partition("/")[0] for words in split if len(words) > 1)
    return tuple(_port(text) for text in texts if text[:1] in _DIGITS)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        return 0
    significant = text.lstrip("0")
    return min(int(significant[:6] or "0"), MAX_PORT)


def _lines_of(kind: str, *, of_media: bool) -> Reader:
    """The lines of a kind that stand in media sections, or before the first one."""

    def lines(sdp: SessionDescription) -> Values:
        first = next((index for index, (line_kind, _) in enumerate(sdp.lines) if line_kind == "m"), len(sdp.lines))
        part = sdp.lines[first:] if of_media else sdp.lines[:first]
        return tuple(value for line_kind, value in part if line_kind == kind)

    return _of_sdp(lines)


_TEXT_FIELDS: tuple[tuple[str, str, Reader], ...] = (
    ("version", "v=", _lines("v")),
    ("owner", "o=, whole", _lines("o")),
    ("owner.username", "o=, user name", _word("o", 0)),
    ("owner.address", "o=, address", _word("o", 5)),
    ("session_name", "s=", _lines("s")),
    ("session_info", "i= of the session", _lines_of("i", of_media=False)),
    ("connection_info", "c=, whole", _lines("c")),
    ("connection_info.address_type", "c=, address type", _word("c", 1)),
    ("connection_info.address", "c=, address without its TTL", _word("c", 2, lambda word: word.partition("/")[0])),
    ("bandwidth", "b=", _lines("b")),
    ("time", "t=", _lines("t")),
    ("session_attr", "a= of the session", _lines_of("a", of_media=False)),
    ("media", "m=, whole", _lines("m")),
    ("media.media", "m=, kind of media", _word("m", 0)),
    ("media.proto", "m=, transport", _word("m", 2)),
    ("media.format", "m=, formats by Wireshark's names; rtpmap and fmtp, payload type", _of_sdp(_formats)),
    ("media_attr", "a= of a medium", _lines_of("a", of_media=True)),
)

SDP_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("sdp", "protocol", "A session description", _of_sdp(lambda _: PRESENT)),
    *(FieldSpec(f"sdp.{name}", "text", what, read) for name, what, read in _TEXT_FIELDS),
    FieldSpec(
        "sdp.media.port", "number", "m=, port (one over 65535 reads 65535)", _of_sdp(_media_ports), maximum=MAX_PORT
    ),
)
