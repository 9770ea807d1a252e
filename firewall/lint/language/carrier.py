"""Carriers: the parts of a message that fields are read from, each with the shape of its values.

Conditions on different carriers do not touch each other. A few fields read several (``sip.tag``, ``sip.display.info``,
``sip.auth.*``): they have a place in each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from firewall.lint.language import grammar
from firewall.ruleset.expression import Field
from firewall.ruleset.sip_fields import ADDRESS_HEADERS, AUTH_HEADERS, NUMBER_HEADERS, ONE_PER_LINE, RENAMED_HEADERS
from firewall.sip.headers import canonical_name

Reading = Literal["text", "payload"]
"""How a field's value comes from a group's text: as it is, or a payload type by Wireshark's name."""

LINE = "line"
"""The group of a whole header line, in every shape of a header."""

OF_BODY = frozenset({"sdp", "content-type", "content-length"})
"""The carriers that a held ``body`` holds, too."""


@dataclass(frozen=True, slots=True)
class Group:
    """A named group of a shape that a field reads."""

    name: str
    reading: Reading = "text"


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """A part of a message: its name (``r-uri``, ``status``, ``sdp`` or a canonical header name) and its shape.

    ``groups`` says what each field reads; ``never`` what a group must not match, so that the shape is read in one way
    only; ``once`` which groups stand at most once in a value of another; ``spelling`` how the header is written.
    """

    name: str
    regex: str
    groups: Mapping[str, tuple[Group, ...]]
    never: tuple[tuple[str, str], ...] = ()
    once: Mapping[str, str] = field(default_factory=dict)
    spelling: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a field is read: a carrier and the groups in it."""

    carrier: Carrier
    groups: tuple[Group, ...]


_PARTS = ("user", "host", "port", "param")
_LISTS = {
    "Contact": grammar.CONTACTS,
    "P-Asserted-Identity": grammar.ADDRESSES,
    "P-Preferred-Identity": grammar.ADDRESSES,
}
"""Of the headers with addresses those that are lists of any; others are one address, or routes."""
_SIP_SCHEME = r"^(?i:sips?:)"
_NUMBERS = {
    **{canonical_name(header): grammar.number_header(grammar.UINT32) for header in NUMBER_HEADERS},
    "max-forwards": grammar.number_header(grammar.positive_up_to(255)),
    "retry-after": grammar.RETRY_AFTER,
}
_SPELLINGS = {"rseq": "RSeq", "cseq": "CSeq", "call-id": "Call-ID"}
TOP_BRANCH = Field("sip.Via.branch of the topmost hop")
"""A field that no rule has: the branch that names the transaction."""


def _group(name: str) -> tuple[Group, ...]:
    return (Group(name),)


def _request_line() -> Carrier:
    fields = {"sip.Request-Line": _group(LINE), "sip.Method": _group("method"), "sip.r-uri": _group("uri")}
    fields |= {f"sip.r-uri.{part}": _group(part) for part in _PARTS}
    return Carrier("r-uri", grammar.REQUEST_LINE, fields, never=(("opaque", _SIP_SCHEME),))


def _status_line() -> Carrier:
    fields = {"sip.Status-Line": _group(LINE), "sip.Status-Code": _group("code")}
    return Carrier("status", grammar.STATUS_LINE, fields)


def _address_header(prefix: str, header: str, uri: str) -> Carrier:
    is_one = header in ONE_PER_LINE
    regex = grammar.FROM_OR_TO if is_one else _LISTS.get(header, grammar.ROUTES)
    fields = {
        f"{prefix}.display.info": _group("display"),
        "sip.display.info": _group("display"),
        f"{prefix}.{uri}": _group("uri"),
        **{f"{prefix}.{part}": _group(part) for part in _PARTS},
    }
    never = [("opaque", _SIP_SCHEME)]
    if is_one:
        fields |= {f"{prefix}.tag": _group("tag"), "sip.tag": _group("tag")}
        never.append(("other", "^(?i:tag=)"))
    if prefix == "sip.contact":
        fields["sip.contact.parameter"] = _group("parameter")
    return Carrier(canonical_name(header), regex, fields, tuple(never), spelling=header)


def _via() -> Carrier:
    names = grammar.VIA_PARAMETERS
    fields = {
        "sip.Via.transport": _group("transport"),
        "sip.Via.sent-by.address": _group("address"),
        "sip.Via.sent-by.port": _group("port"),
        TOP_BRANCH.name: _group("top"),
        **{f"sip.Via.{name}": _group(name) for name in names},
        "sip.Via.branch": (Group("top"), Group("branch")),
    }
    never = (("other", rf"^(?i:{'|'.join(names)})(?:[\t ]*=|$)"),)
    return Carrier("via", grammar.VIAS, fields, never, dict.fromkeys(("top", *names), "hop"), spelling="Via")


def _cseq() -> Carrier:
    fields = {"sip.CSeq.seq": _group("seq"), "sip.CSeq.method": _group("method")}
    return Carrier("cseq", grammar.CSEQ, fields, spelling="CSeq")


def _credentials(header: str) -> Carrier:
    names = grammar.CREDENTIAL_NAMES
    fields = {f"sip.auth.{name}": _group(name) for name in names if name != "response"}
    fields |= {"sip.auth.digest.response": _group("response"), "sip.auth.scheme": _group("scheme")}
    never = (("other", f"^(?i:{'|'.join(names)})="),)
    return Carrier(canonical_name(header), grammar.CREDENTIALS, fields, never, dict.fromkeys(names, LINE), header)


def _sdp() -> Carrier:
    fields = {
        "sdp": _group("sdp"),
        "sdp.version": _group("version"),
        "sdp.owner": _group("owner"),
        "sdp.owner.username": _group("username"),
        "sdp.owner.address": _group("host"),
        "sdp.session_name": _group("session"),
        "sdp.session_info": _group("information"),
        "sdp.connection_info": _group("connection"),
        "sdp.connection_info.address_type": _group("address_type"),
        "sdp.connection_info.address": _group("address"),
        "sdp.bandwidth": _group("bandwidth"),
        "sdp.time": _group("time"),
        "sdp.session_attr": _group("session_attribute"),
        "sdp.media": _group("media"),
        "sdp.media.media": _group("kind"),
        "sdp.media.proto": (Group("rtp"), Group("transport")),
        "sdp.media.format": (Group("payload", "payload"), Group("format")),
        "sdp.media_attr": _group("media_attribute"),
        "sdp.media.port": _group("port"),
    }
    never = (("plain", "^(?:rtpmap:|fmtp:)"), ("transport", f"^(?:{grammar.NAMED_TRANSPORTS})$"))
    return Carrier("sdp", grammar.SDP, fields, never)


REQUEST_LINE = _request_line()
STATUS_LINE = _status_line()
SDP = _sdp()
_HEADERS: dict[str, Carrier] = {
    each.name: each
    for each in (
        *(_address_header(*row) for row in ADDRESS_HEADERS),
        *(_credentials(header) for header in AUTH_HEADERS),
        _via(),
        _cseq(),
        Carrier("call-id", grammar.CALL_ID, {}, spelling="Call-ID"),
        Carrier("content-type", grammar.CONTENT_TYPE, {}, spelling="Content-Type"),
    )
}
_BY_FIELD: dict[str, tuple[Place, ...]] = {}
for _carrier in (REQUEST_LINE, STATUS_LINE, SDP, *_HEADERS.values()):
    for _name, _groups in _carrier.groups.items():
        _BY_FIELD[_name] = (*_BY_FIELD.get(_name, ()), Place(_carrier, _groups))


def header_carrier(name: str) -> Carrier:
    """Return the carrier of a header by its name, any case, compact form included."""
    return _header_carrier(canonical_name(name), name)


@lru_cache(maxsize=4096)
def _header_carrier(name: str, written: str) -> Carrier:
    known = _HEADERS.get(name)
    if known is None:
        spelling = _SPELLINGS.get(name) or (written if len(written) > 1 else name)
        if spelling == name:
            spelling = "-".join(part.capitalize() for part in name.split("-"))
        fields = {f"sip.{spelling}": _group("number")} if name in _NUMBERS else {}
        known = Carrier(name, _NUMBERS.get(name, grammar.TEXT_HEADER), fields, spelling=spelling)
        _HEADERS[name] = known
    return known


def places(read: Field) -> tuple[Place, ...]:
    """Return where a field is read; () for a field that is not read from a part of its own, as ``sip`` itself."""
    if read.header is not None:
        return (Place(header_carrier(read.header), _group(LINE)),)
    known = _BY_FIELD.get(read.name)
    if known is not None:
        return known
    if read.name in RENAMED_HEADERS:
        return (Place(header_carrier(RENAMED_HEADERS[read.name]), _group(LINE)),)
    prefix, _, header = read.name.partition(".")
    if prefix != "sip" or not header or "." in header or header in ("msg_hdr", "anomaly", "header"):
        return ()
    carrier = header_carrier(header)
    return (Place(carrier, _group("number") if carrier.name in _NUMBERS else _group(LINE)),)


def is_read_from(read: Field, held: frozenset[str]) -> bool:
    """Tell whether what a field reads may stand in one of these carriers; ``body`` is all of a body."""
    names = held | OF_BODY if "body" in held else held
    found = places(read)
    return not found or any(place.carrier.name in names for place in found)


def reads_method(read: Field) -> bool:
    """Tell whether a field reads the method among other things: the start line, CSeq, all headers."""
    found = places(read)
    return not found or any(
        place.carrier.name == "cseq" or (place.carrier is REQUEST_LINE and Group(LINE) in place.groups)
        for place in found
    )
