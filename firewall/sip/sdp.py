"""Session descriptions, read far enough to know their media (RFC 8866 §5, RFC 3264)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: tuple[Direction, ...] = ("sendrecv", "sendonly", "recvonly", "inactive")
_NO_ADDRESSES = ("0.0.0.0", "::", "addr.invalid")  # noqa: S104 - RFC 3264 §8.4: an address that receives nothing
_MAX_PORT = 65535
# A description is looked at several times while a message is decided, and said again in other messages.
_REMEMBERED = 64
_LONGEST_REMEMBERED_BYTES = 4096


@dataclass(frozen=True, slots=True)
class PayloadMap:
    """``a=rtpmap``: the encoding's name in lower case, clock rate (Hz), channels or other parameters (§6.6)."""

    encoding: str
    clock_rate: int | None
    parameters: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """``a=candidate``: an address that ICE may choose (RFC 8839 §5.1)."""

    component: int
    transport: str
    address: str
    port: int
    type: str


@dataclass(frozen=True, slots=True)
class MediaDescription:
    """One ``m=`` section; ``port`` is 0 for a rejected stream (RFC 3264 §6), ``address`` from the ``c=`` that holds.

    Attributes are read when asked for; one of the session stands where the section has none of its own.
    """

    media: str
    port: int
    proto: str
    formats: tuple[str, ...]
    address: str | None
    attributes: tuple[str, ...]
    number_of_ports: int = 1
    session_attributes: tuple[str, ...] = ()

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of this name ('' for a flag); None when absent. Section only."""
        values = self.attribute_values(name)
        return values[0] if values else None

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """Return the values of every attribute of this name in the section ('' for a flag)."""
        return _by_name(self.attributes).get(name, ())

    def inherited(self, name: str) -> str | None:
        """Return an attribute's first value from the section, else from the session; None when absent."""
        values = self.attribute_values(name) or _by_name(self.session_attributes).get(name, ())
        return values[0] if values else None

    @property
    def is_rejected(self) -> bool:
        """Port 0: the stream is refused, or offered to be closed (RFC 3264 §6, §8.2)."""
        return self.port == 0

    @property
    def direction(self) -> Direction:
        """Which way media flows, from the describing side's view (RFC 8866 §6.7)."""
        for attributes in (self.attributes, self.session_attributes):
            for attribute in attributes:
                if attribute in _DIRECTIONS:
                    return attribute
        return "sendrecv"

    @property
    def is_held(self) -> bool:
        """The describing side takes no media (RFC 3264 §8.4: by direction; before that by the address 0.0.0.0)."""
        return self.direction in ("sendonly", "inactive") or self.address in _NO_ADDRESSES

    @property
    def rtpmap(self) -> Mapping[str, PayloadMap]:
        """The encoding of each payload type that has one (RFC 8866 §6.6)."""
        return _payload_maps(self.attribute_values("rtpmap"))

    @property
    def fmtp(self) -> dict[str, str]:
        """The format parameters of each payload type that has some (RFC 8866 §6.15)."""
        pairs = (value.partition(" ") for value in self.attribute_values("fmtp"))
        return {payload_type: parameters.strip() for payload_type, _, parameters in pairs}

    @property
    def has_rtcp_mux(self) -> bool:
        """RTCP shares the RTP port (RFC 5761)."""
        return self.attribute("rtcp-mux") is not None

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port and address of RTCP: as ``a=rtcp`` says (RFC 3605), the RTP port with rtcp-mux, else the port above.

        None for a rejected stream and for media that are not RTP.
        """
        if self.is_rejected or "RTP/" not in self.proto.upper():
            return None
        value = self.attribute("rtcp")
        if value is not None:
            words = value.split()
            port = _number(words[0]) if words else None
            if port is not None and 0 < port <= _MAX_PORT:
                return port, words[3] if len(words) > 3 else self.address
        if self.has_rtcp_mux:
            return self.port, self.address
        return (self.port + 1, self.address) if self.port < _MAX_PORT else None

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The ICE candidates that can be read (RFC 8839 §5.1)."""
        found = (_candidate(value) for value in self.attribute_values("candidate"))
        return tuple(candidate for candidate in found if candidate is not None)

    @property
    def crypto(self) -> tuple[str, ...]:
        """SRTP keys offered or chosen in the description itself (RFC 4568)."""
        return self.attribute_values("crypto")

    @property
    def fingerprint(self) -> str | None:
        """The certificate's hash for DTLS-SRTP (RFC 8122 §5)."""
        return self.inherited("fingerprint")

    @property
    def setup(self) -> str | None:
        """Who begins the connection: active, passive, actpass, holdconn (RFC 4145 §4)."""
        return self.inherited("setup")

    @property
    def msrp_path(self) -> tuple[str, ...]:
        """The MSRP URIs of ``a=path`` (RFC 4975 §8.2)."""
        return tuple((self.attribute("path") or "").split())

    @property
    def is_real_time_text(self) -> bool:
        """T.140 text over RTP (RFC 4103), alone or behind redundancy."""
        return any(payload.encoding == "t140" for payload in self.rtpmap.values())

    @property
    def is_msrp(self) -> bool:
        """Session messages: ``m=message`` over MSRP (RFC 4975)."""
        return self.proto.upper().endswith("MSRP")


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """A session: every line as (type, value) in order, its own attributes, and its media sections."""

    lines: tuple[tuple[str, str], ...]
    media: tuple[MediaDescription, ...]
    attributes: tuple[str, ...] = ()


def parse_sdp(body: bytes) -> SessionDescription:
    """Read a session description. Any bytes give one; lines that are none are left out."""
    return _parse_short(body) if len(body) <= _LONGEST_REMEMBERED_BYTES else _parse(body)


def _parse(body: bytes) -> SessionDescription:
    lines = tuple(
        [
            (line[0], line[2:].strip())
            for line in body.decode("utf-8", "surrogateescape").replace("\r", "\n").split("\n")
            if len(line) > 2 and line[1] == "="
        ]
    )
    session_address: str | None = None
    session_attributes: list[str] = []
    sections: list[list[tuple[str, str]]] = []
    for kind, value in lines:
        if kind == "m":
            sections.append([(kind, value)])
        elif sections:
            sections[-1].append((kind, value))
        elif kind == "c":
            session_address = _connection_address(value)
        elif kind == "a":
            session_attributes.append(value)
    inherited = tuple(session_attributes)
    media = tuple(_media(section, session_address, inherited) for section in sections)
    return SessionDescription(lines, media, inherited)


_parse_short = lru_cache(maxsize=_REMEMBERED)(_parse)


def _media(
    section: list[tuple[str, str]], session_address: str | None, session_attributes: tuple[str, ...]
) -> MediaDescription:
    words = section[0][1].split()
    port_text, _, count_text = words[1].partition("/") if len(words) > 1 else ("", "", "")
    port = _number(port_text)
    own = [_connection_address(value) for kind, value in section if kind == "c"]
    return MediaDescription(
        media=words[0] if words else "",
        port=port if port is not None and port <= _MAX_PORT else 0,
        proto=words[2] if len(words) > 2 else "",
        formats=tuple(words[3:]),
        address=own[0] if own else session_address,
        attributes=tuple([value for kind, value in section if kind == "a"]),
        number_of_ports=_number(count_text) or 1,
        session_attributes=session_attributes,
    )


@lru_cache(maxsize=_REMEMBERED)
def _by_name(attributes: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """``name:value`` or the flag ``name`` alone; names are case-sensitive (RFC 8866 §5.13)."""
    by_name: dict[str, list[str]] = {}
    for attribute in attributes:
        name, _, value = attribute.partition(":")
        by_name.setdefault(name, []).append(value.strip())
    return {name: tuple(values) for name, values in by_name.items()}


@lru_cache(maxsize=_REMEMBERED)
def _payload_maps(values: tuple[str, ...]) -> Mapping[str, PayloadMap]:
    maps: dict[str, PayloadMap] = {}
    for value in values:
        payload_type, _, encoding = value.partition(" ")
        name, _, rest = encoding.strip().partition("/")
        rate, slash, parameters = rest.partition("/")
        if name:
            maps.setdefault(payload_type, PayloadMap(name.lower(), _number(rate), parameters if slash else None))
    return maps


def _candidate(value: str) -> Candidate | None:
    """``foundation component transport priority address port typ type ...``"""
    words = value.split()
    if len(words) < 8 or words[6] != "typ":
        return None
    component, port = _number(words[1]), _number(words[5])
    if component is None or port is None or port > _MAX_PORT:
        return None
    return Candidate(component, words[2].lower(), words[4], port, words[7])


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None


def _connection_address(value: str) -> str | None:
    """``IN IP4 192.0.2.1/127`` → ``192.0.2.1`` (RFC 8866 §5.7)."""
    words = value.split()
    return words[2].partition("/")[0] if len(words) >= 3 else None
