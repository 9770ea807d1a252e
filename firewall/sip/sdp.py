"""Session descriptions, read far enough to know their media (RFC 8866 §5, RFC 3264)."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from firewall.net.datagram import MAX_PORT
from firewall.sip.limits import MAX_MEDIA
from firewall.sip.number import MAX_UINT32, read_number

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]
_DIRECTIONS: Mapping[str, Direction] = {
    "sendrecv": "sendrecv", "sendonly": "sendonly", "recvonly": "recvonly", "inactive": "inactive",
}  # fmt: skip
# A description is looked at several times while a message is decided, and said again in other messages.
_REMEMBERED = 64
_LONGEST_KEPT_BYTES = 4096
_OCTETS_PER_BYTE = 8  # where it is kept as it was read
_LONGEST_REMEMBERED_SECTION = 1024
_TRANSPORT = ("candidate", "altc", "rtcp", "rtcp-mux")  # what says where a medium goes, beside its port and c=
_MEDIUM = re.compile(r"\nm=(?!\n|\Z)")  # a line says something behind the "="
_CONNECTION_OR_ATTRIBUTE = re.compile(r"\n([ac])=([^\n]+)")


class PayloadMap(Struct, frozen=True):
    """``a=rtpmap``: the encoding's name in lower case, clock rate in Hz (§6.6)."""

    encoding: str
    clock_rate: int | None


class Candidate(Struct, frozen=True):
    """``a=candidate``: an address that ICE may choose (RFC 8839 §5.1)."""

    component: int
    transport: str
    address: str
    port: int


class Section(Struct, frozen=True, gc=False):
    """What the lines of the session say, or those below one ``m=``.

    ``addresses`` are those of its ``c=`` (None where one names none), ``by_name`` the values of its ``a=`` ('' for a
    flag). ``is_text``: one of the formats is T.140 (RFC 4103).
    """

    addresses: tuple[str | None, ...]
    by_name: Mapping[str, tuple[str, ...]]
    direction: Direction | None
    is_text: bool


class MediaDescription(Struct, frozen=True, gc=False):
    """One ``m=`` section; ``port`` is 0 for a rejected stream (RFC 3264 §6), ``address`` from the ``c=`` that holds.

    ``direction`` is which way media flows, from the describing side's view (RFC 8866 §6.7); that of the session stands
    where the section has none of its own. ``tagged`` is the place of the medium whose address and port it has where the
    description bundles them (``a=group:BUNDLE``, RFC 9143 §4).
    """

    media: str
    port: int
    proto: str
    formats: tuple[str, ...]
    address: str | None
    own: Section
    direction: Direction
    number_of_ports: int = 1
    tagged: int | None = None

    def sharing(self, other: "MediaDescription") -> "MediaDescription":
        """Return it with the address, port and candidates of another, whatever it says of its own."""
        own = {name: values for name, values in self.own.by_name.items() if name not in _TRANSPORT}
        own |= {name: values for name, values in other.own.by_name.items() if name in _TRANSPORT}
        return replace(self, port=other.port, address=other.address, own=replace(self.own, by_name=own))

    def attribute(self, name: str) -> str | None:
        """Return the value of the first attribute of this name ('' for a flag); None when absent."""
        values = self.own.by_name.get(name)
        return values[0] if values else None

    def attribute_values(self, name: str) -> tuple[str, ...]:
        """Return the values of every attribute of this name in the section ('' for a flag)."""
        return self.own.by_name.get(name, ())

    @property
    def said_rtcp(self) -> tuple[int, str | None] | None:
        """Port and address of RTCP where ``a=rtcp`` names them (RFC 3605)."""
        words = (self.attribute("rtcp") or "").split()
        port = read_number(words[0], MAX_PORT) if words else None
        if not port:
            return None
        return port, words[3] if len(words) > 3 else self.address

    @property
    def msrp_path(self) -> tuple[str, ...]:
        """The MSRP URIs of ``a=path`` (RFC 4975 §8.2)."""
        return tuple((self.attribute("path") or "").split())

    @property
    def is_msrp(self) -> bool:
        """Session messages: ``m=message`` over MSRP (RFC 4975)."""
        return self.proto.upper().endswith("MSRP")


class SessionDescription(Struct, eq=False, gc=False):
    """A session: its media sections, and every line as (type, value) in order. What says the same is equal.

    A call keeps its descriptions, and what was read of one may take twenty times the room of its bytes: of a long one
    it is read again where it is not remembered.
    """

    _body: bytes
    _short: tuple[MediaDescription, ...] | None
    _lines: tuple[tuple[str, str], ...] | None = None

    @property
    def media(self) -> tuple[MediaDescription, ...]:
        """The media sections."""
        return self._short if self._short is not None else _long_media(self._body)

    @property
    def octets(self) -> int:
        """How much memory it takes, roughly."""
        return len(self._body) * (_OCTETS_PER_BYTE if self._short is not None else 1)

    def with_candidates(self, fragment: bytes) -> "SessionDescription":
        """Return it with the ICE candidates that a later fragment names for its media.

        A medium is told by its ``mid``, which no other one has.
        Source: RFC 8840 §9, ``application/trickle-ice-sdpfrag``.
        """
        later = {medium.attribute("mid"): medium.attribute_values("candidate") for medium in parse_sdp(fragment).media}
        session, *texts = _MEDIUM.split("\n" + _text(self._body))
        for index, medium in enumerate(self.media):
            known = medium.attribute_values("candidate")
            new = [value for value in later.pop(medium.attribute("mid"), ()) if value not in known]
            texts[index] += "".join([f"\na=candidate:{value}" for value in new])
        return parse_sdp("\nm=".join([session, *texts]).encode("utf-8", "surrogateescape"))

    @property
    def lines(self) -> tuple[tuple[str, str], ...]:
        """Every line as (type, value), blanks included."""
        if self._lines is None:
            self._lines = _lines(self._body)
        return self._lines

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionDescription) and (self._body == other._body or self._said == other._said)

    def __hash__(self) -> int:
        return hash(self._said)

    @property
    def _said(self) -> tuple[tuple[str, str], ...]:
        return tuple([(kind, value.strip()) for kind, value in _lines(self._body)])


def parse_sdp(body: bytes) -> SessionDescription:
    """Read a session description. Any bytes give one; lines that are none are left out."""
    return _parse_short(body) if len(body) <= _LONGEST_KEPT_BYTES else SessionDescription(body, None)


@lru_cache(maxsize=_REMEMBERED)
def _parse_short(body: bytes) -> SessionDescription:
    return SessionDescription(body, _media(body))


def _media(body: bytes) -> tuple[MediaDescription, ...]:
    first, *media = _MEDIUM.split("\n" + _text(body))
    session = _section(first)
    found = [_medium(each, session) for each in media[:MAX_MEDIA]]
    return tuple(_bundled(found, session.by_name["group"]) if "group" in session.by_name else found)


def _bundled(media: list[MediaDescription], groups: tuple[str, ...]) -> list[MediaDescription]:
    places = {medium.attribute("mid"): place for place, medium in enumerate(media)}
    for words in map(str.split, groups):
        members = [places[mid] for mid in words[1:] if mid in places] if words[:1] == ["BUNDLE"] else []
        for place in members:
            if media[place].tagged is None:
                media[place] = replace(media[place], tagged=members[0])
    return media


_long_media = lru_cache(maxsize=_REMEMBERED)(_media)


def _text(body: bytes) -> str:
    return body.decode("utf-8", "surrogateescape").replace("\r", "\n")


def _lines(body: bytes) -> tuple[tuple[str, str], ...]:
    written = [line for line in _text(body).split("\n") if line[1:2] == "="]
    return tuple([(line[0], line[2:]) for line in written])


def _section_below(text: str) -> Section:
    """Read what stands below an ``m=``. Descriptions differ by their addresses and ports; below, many are the same."""
    return _remembered_section(text) if len(text) <= _LONGEST_REMEMBERED_SECTION else _section(text)


def _section(text: str) -> Section:
    addresses: list[str | None] = []
    by_name: dict[str, list[str]] = {}
    direction: Direction | None = None
    for kind, value in _CONNECTION_OR_ATTRIBUTE.findall(text):
        if kind == "c":
            addresses.append(_connection_address(value))
            continue
        # ``name:value`` or the flag ``name`` alone; names are case-sensitive (RFC 8866 §5.13).
        name, colon, of_name = value.strip().partition(":")
        if not colon:
            direction = direction or _DIRECTIONS.get(name)
        if name in by_name:
            by_name[name].append(of_name.strip())
        else:
            by_name[name] = [of_name.strip()]
    values = {name: tuple(each) for name, each in by_name.items()}
    is_text = "rtpmap" in values and "t140" in text.lower() and _has_t140(values["rtpmap"])
    return Section(tuple(addresses), values, direction, is_text)


_remembered_section = lru_cache(maxsize=_REMEMBERED)(_section)


def _medium(text: str, session: Section) -> MediaDescription:
    line, line_end, below = text.partition("\n")
    own = _section_below(line_end + below)
    words = line.split()
    port_text, slash, count_text = words[1].partition("/") if len(words) > 1 else ("", "", "")
    addresses = own.addresses[:1] or session.addresses[-1:]
    return MediaDescription(
        words[0] if words else "",
        read_number(port_text, MAX_PORT) or 0,
        words[2] if len(words) > 2 else "",
        tuple(words[3:]),
        addresses[0] if addresses else None,
        own,
        own.direction or session.direction or "sendrecv",
        (read_number(count_text, MAX_UINT32) or 1) if slash else 1,
    )


def _has_t140(rtpmap: tuple[str, ...]) -> bool:
    return any(each.encoding == "t140" for each in payload_maps(rtpmap).values())


@lru_cache(maxsize=_REMEMBERED)
def payload_maps(values: tuple[str, ...]) -> Mapping[str, PayloadMap]:
    """Return the encoding of each payload type that values of ``a=rtpmap`` name."""
    maps: dict[str, PayloadMap] = {}
    for value in values:
        payload_type, _, encoding = value.partition(" ")
        name, rate, *_ = [*encoding.strip().split("/"), ""]
        if name:
            maps.setdefault(payload_type, PayloadMap(name.lower(), read_number(rate, MAX_UINT32)))
    return maps


def candidates_of(values: tuple[str, ...]) -> tuple[Candidate, ...]:
    """Return the candidates that can be read of values of ``a=candidate``."""
    found = (_candidate(value) for value in values)
    return tuple(candidate for candidate in found if candidate is not None)


def _candidate(value: str) -> Candidate | None:
    """``foundation component transport priority address port typ type ...``"""
    words = value.split()
    if len(words) < 8 or words[6] != "typ":
        return None
    component, port = read_number(words[1], MAX_UINT32), read_number(words[5], MAX_PORT)
    if component is None or port is None:
        return None
    return Candidate(component, words[2].lower(), words[4], port)


def _connection_address(value: str) -> str | None:
    """``IN IP4 192.0.2.1/127`` → ``192.0.2.1`` (RFC 8866 §5.7)."""
    words = value.split()
    return words[2].partition("/")[0] if len(words) >= 3 else None
