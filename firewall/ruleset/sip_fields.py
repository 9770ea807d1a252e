"""Wireshark's fields of a SIP message (its ``packet-sip`` dissector), read from ours.

Text is as on the wire, as Wireshark shows it: a display name keeps its quotes, an address its case and escapes.
"""

import re
from collections.abc import Callable
from typing import Final, TypeVar

from firewall.net.datagram import MAX_PORT
from firewall.net.remembered import remembered
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import MAX_UINT32, FieldSpec, Reader, Values, single
from firewall.ruleset.literal import bytes_text
from firewall.sip.headers import QUOTED, canonical_name, parse_params, split_outside, split_values
from firewall.sip.message import Message, Request, Response
from firewall.sip.name_addr import opening_bracket
from firewall.sip.uri import Uri, parse_uri
from firewall.sip.via import Via, parse_via

_CACHED_LINES = 1024
M = TypeVar("M", Request, Response)
_DIGITS = re.compile(r"\s*(\d{1,20})")
_LINE_END = re.compile(rb"\r\n?|\n")

# One value per header line. Names are Wireshark's: its table of known headers (wireshark 4.0, packet-sip.c).
_TEXT_HEADERS: Final = """
Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Additional-Identity Alert-Info Allow
Allow-Events Answer-Mode Attestation-Info Authentication-Info Authorization CSeq Call-ID Call-Info
Cellular-Network-Info Contact Content-Disposition Content-Encoding Content-Language Content-Type Date Diversion
Error-Info Event Feature-Caps Flow-Timer From Geolocation Geolocation-Error Geolocation-Routing History-Info Identity
Identity-info In-Reply-To Info-Package Join MIME-Version Min-Expires Min-SE Organization Origination-Id
P-Access-Network-Info P-Answer-State P-Asserted-Identity P-Asserted-Service P-Associated-URI P-Called-Party-ID
P-Charge-Info P-Charging-Function-Addresses P-Charging-Vector P-DCS-Billing-Info P-DCS-LAES P-DCS-OSPS P-DCS-Redirect
P-DCS-Trace-Party-ID P-Early-Media P-Media-Authorization P-Preferred-Identity P-Preferred-Service P-Profile-Key
P-Refused-URI-List P-Served-User P-User-Database P-Visited-Network-ID Path Permission-Missing Priority Priority-Share
Priv-Answer-mode Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason Reason-Phrase Record-Route
Recv-Info Refer-Sub Refer-To Referred-by Reject-Contact Relayed-Charge Replaces Reply-To Request-Disposition Require
Resource-Priority Resource-Share Response-Source Restoration-Info Route Security-Client Security-Server
Security-Verify Server Service-Interact-Info Service-Route Session-Expires Session-ID Subject Subscription-State
Supported Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent Via WWW-Authenticate Warning
"""
NUMBER_HEADERS = ("Content-Length", "Expires", "Max-Breadth", "Max-Forwards", "RSeq", "Retry-After")
RENAMED_HEADERS = {
    "sip.ETag": "SIP-ETag",
    "sip.If_Match": "SIP-If-Match",
    "sip.Policy_Contact": "Policy-Contact",
    "sip.Policy_ID": "Policy-ID",
    "sip.Suppress_If_Match": "Suppress-If-Match",
    "sip.uui": "User-to-User",
}
ADDRESS_HEADERS = (
    ("sip.from", "From", "addr"),
    ("sip.to", "To", "addr"),
    ("sip.contact", "Contact", "uri"),
    ("sip.Route", "Route", "uri"),
    ("sip.Record-Route", "Record-Route", "uri"),
    ("sip.Service-Route", "Service-Route", "uri"),
    ("sip.Path", "Path", "uri"),
    ("sip.pai", "P-Asserted-Identity", "addr"),
    ("sip.ppi", "P-Preferred-Identity", "addr"),
)
"""The headers that are a name-addr: the prefix of their fields, the header, the name of the URI's field."""
ONE_PER_LINE = frozenset({"From", "To"})
AUTH_HEADERS = ("Authorization", "Proxy-Authorization", "WWW-Authenticate", "Proxy-Authenticate")


class _Address:
    """One name-addr value: the display name and URI as written, and the header parameters behind them."""

    __slots__ = ("display_info", "params", "uri")

    def __init__(self, text: str) -> None:
        opened = opening_bracket(text)
        if opened >= 0:
            # Wireshark keeps the blank before "<" of a name without quotes, and of other names what is quoted first.
            name = text[:opened].lstrip()
            quoted = QUOTED.match(name)
            self.display_info = quoted[0] if quoted is not None and quoted[1] else name
            self.uri, _, rest = text[opened + 1 :].partition(">")
            self.params = split_outside(rest.strip().removeprefix(";"), ";") if rest.strip() else []
        else:
            self.display_info = ""
            self.uri, semicolon, rest = text.partition(";")
            self.params = split_outside(rest, ";") if semicolon else []
        self.uri = self.uri.strip()


def _addresses_of_line(line: str, header: str) -> list[_Address]:
    return [_Address(line)] if header in ONE_PER_LINE else [_Address(part) for part in split_values(line)]


def _addresses(message: Message, header: str) -> list[_Address]:
    return [address for line in message.header_values(header) for address in _addresses_of_line(line, header)]


def _of_lines(header: str, read: Callable[[str], Values]) -> Reader:
    """The values that each line of a header gives; a line seen again (as in every message of a call) is not reread."""
    cached = remembered(_CACHED_LINES)(read)

    def of_lines(facts: Facts) -> Values:
        message = facts.message
        if message is None:
            return ()
        lines = message.header_values(header)
        if len(lines) == 1:
            return cached(lines[0])
        return tuple([value for line in lines for value in cached(line)])

    return of_lines


def _of_addresses(header: str, read: Callable[[_Address], tuple[str, ...]]) -> Reader:
    return _of_lines(
        header, lambda line: tuple([v for address in _addresses_of_line(line, header) for v in read(address)])
    )


def _of_vias(read: Callable[[Via], Values]) -> Reader:
    def of_line(line: str) -> Values:
        hops = [parse_via(part) for part in split_values(line)]
        return tuple([value for hop in hops if hop is not None for value in read(hop)])

    return _of_lines("via", of_line)


def _of_message(read: Callable[[Message], Values]) -> Reader:
    def of_message(facts: Facts) -> Values:
        message = facts.message
        return read(message) if message is not None else ()

    return of_message


def _of_kind(kind: type[M], read: Callable[[M], Values]) -> Reader:
    def of_kind(facts: Facts) -> Values:
        message = facts.message
        return read(message) if isinstance(message, kind) else ()

    return of_kind


def _method(facts: Facts) -> str | None:
    message = facts.message
    return message.method if isinstance(message, Request) else None


def _cseq_number(facts: Facts) -> int | None:
    return facts.message.cseq_number if facts.message is not None else None


def _cseq_method(facts: Facts) -> str | None:
    return facts.message.cseq_method if facts.message is not None else None


def header_reader(header: str) -> Reader:
    """Return the reader of a header by its name, any case, compact form included: one value per header line."""
    name = canonical_name(header)

    def lines(facts: Facts) -> Values:
        message = facts.message
        return message.head.values(name) if message is not None else ()

    return lines


def _number(text: str) -> int | None:
    digits = _DIGITS.match(text)
    return min(int(digits[1]), MAX_UINT32) if digits else None


def _numbers(header: str) -> Reader:
    def numbers(message: Message) -> Values:
        read = (_number(value) for value in message.header_values(header))
        return tuple(number for number in read if number is not None)

    return _of_message(numbers)


def _present(text: str | None) -> tuple[str, ...]:
    return (text,) if text else ()


def _uri_params(uri: Uri) -> tuple[str, ...]:
    hostpart = uri.text.rpartition("@")[2].partition("?")[0]
    return tuple(part for part in hostpart.split(";")[1:] if part)


def _of_sip(read: Callable[[Uri], tuple[str, ...]]) -> Callable[[Uri], tuple[str, ...]]:
    """Wireshark splits only sip: and sips: URIs; a tel: or urn: URI has no user and no host there."""
    return lambda uri: read(uri) if uri.scheme in ("sip", "sips") else ()


_URI_PARTS: tuple[tuple[str, str, Callable[[Uri], tuple[str, ...]]], ...] = (
    ("user", "user part", _of_sip(lambda uri: _present(uri.user))),
    ("host", "host part", _of_sip(lambda uri: _present(uri.host))),
    ("port", "port, as text", _of_sip(lambda uri: (str(uri.port),) if uri.port is not None else ())),
    ("param", "each parameter", _of_sip(_uri_params)),
)


def _request_uri_fields() -> list[FieldSpec]:
    fields = [FieldSpec("sip.r-uri", "text", "Request-URI", _of_kind(Request, lambda request: (request.request_uri,)))]
    for part, what, read in _URI_PARTS:
        reader = _of_kind(Request, lambda request, read=read: read(request.uri))  # type: ignore[misc]
        fields.append(FieldSpec(f"sip.r-uri.{part}", "text", f"Request-URI, {what}", reader))
    return fields


def _address_fields(prefix: str, header: str, uri_name: str) -> list[FieldSpec]:
    display_infos = _of_addresses(header, lambda address: _present(address.display_info))
    uris = _of_addresses(header, lambda address: (address.uri,) if address.uri not in ("", "*") else ())
    fields = [
        FieldSpec(f"{prefix}.display.info", "text", f"{header}, display name as written", display_infos),
        FieldSpec(f"{prefix}.{uri_name}", "text", f"{header}, URI", uris),
    ]
    fields += [_address_part(prefix, header, part, what, read) for part, what, read in _URI_PARTS]
    return fields


def _address_part(prefix: str, header: str, part: str, what: str, read: Callable[[Uri], tuple[str, ...]]) -> FieldSpec:
    reader = _of_addresses(header, lambda address: read(parse_uri(address.uri)))
    return FieldSpec(f"{prefix}.{part}", "text", f"{header}, URI's {what}", reader)


def _tags(*headers: str) -> Reader:
    def tags(message: Message) -> Values:
        return tuple(
            param[4:]
            for header in headers
            for address in _addresses(message, header)
            for param in address.params
            if param[:4].lower() == "tag="
        )

    return _of_message(tags)


def _all_display_infos(message: Message) -> Values:
    return tuple(
        address.display_info
        for _, header, _ in ADDRESS_HEADERS
        for address in _addresses(message, header)
        if address.display_info
    )


def _via_param(name: str) -> Reader:
    """The values of a parameter, the name itself where it stands alone; nothing may stand behind the ``=``.

    Every one of its name is read, though one may stand once (RFC 3261 §7.3.1): elements differ in which they take.
    """

    def of_hop(hop: str) -> list[str]:
        if parse_via(hop) is None:
            return []
        written = [param for param in split_outside(hop, ";")[1:] if param[: len(name)].lower() == name]
        params = [parse_params(param) for param in written]
        return [name if (value := param[name]) is None else value for param in params if name in param]

    return _of_lines("via", lambda line: tuple([value for hop in split_values(line) for value in of_hop(hop)]))


def _via_fields() -> list[FieldSpec]:
    address = _of_vias(lambda hop: (hop.host.strip("[]"),))
    port = _of_vias(lambda hop: (hop.port,) if hop.port is not None else ())
    fields = [
        FieldSpec("sip.Via.transport", "text", "Via, transport as written", _of_vias(lambda hop: (hop.transport,))),
        FieldSpec("sip.Via.sent-by.address", "text", "Via, sent-by host (an IPv6 address without brackets)", address),
        FieldSpec("sip.Via.sent-by.port", "number", "Via, sent-by port", port, maximum=MAX_PORT),
    ]
    fields += [
        FieldSpec(f"sip.Via.{name}", "text", f"Via, parameter {name}", _via_param(name))
        for name in ("branch", "maddr", "rport", "received", "ttl", "comp")
    ]
    return fields


def _auth_values(header_value: str, name: str) -> list[str]:
    _, _, params = header_value.strip().partition(" ")
    pairs = [part.partition("=") for part in split_values(params)]
    return [value.strip() for key, equals, value in pairs if equals and key.strip().lower() == name]


def _auth_fields() -> list[FieldSpec]:
    def lines(message: Message) -> list[str]:
        return [value for header in AUTH_HEADERS for value in message.header_values(header)]

    def param_reader(name: str) -> Reader:
        def values(message: Message) -> Values:
            return tuple([value for line in lines(message) for value in _auth_values(line, name)])

        return _of_message(values)

    schemes = _of_message(lambda message: tuple(line.split(None, 1)[0] for line in lines(message) if line.strip()))
    fields = [FieldSpec("sip.auth.scheme", "text", "Authentication scheme", schemes)]
    for field_name in ("username", "realm", "nonce", "uri", "algorithm", "digest.response"):
        name = field_name.removeprefix("digest.")
        what = f"Authentication, {name} as written (with its quotes)"
        fields.append(FieldSpec(f"sip.auth.{field_name}", "text", what, param_reader(name)))
    return fields


def _after_start_line(facts: Facts) -> Values:
    """None for a message that a capture cuts and of which the start line alone was read."""
    message = facts.message
    if message is None:
        return ()
    behind = b"".join(_LINE_END.split(message.raw.lstrip(b"\r\n"), maxsplit=1)[1:])
    is_cut = not behind and len(message.raw) < len(facts.datagram.payload)
    return () if is_cut else (bytes_text(behind),)


def _raw(facts: Facts) -> Values:
    """The payload: for a message of which a capture holds the beginning, also what was not read of it."""
    return (bytes_text(facts.datagram.payload),) if facts.message is not None else ()


def _header_fields() -> list[FieldSpec]:
    named = {f"sip.{header}": header for header in _TEXT_HEADERS.split()} | RENAMED_HEADERS
    fields = [
        FieldSpec(name, "text", f"Header {header}, one value per line", header_reader(header))
        for name, header in sorted(named.items())
    ]
    fields += [
        FieldSpec(f"sip.{header}", "number", f"Header {header}", _numbers(header), maximum=MAX_UINT32)
        for header in NUMBER_HEADERS
    ]
    return fields


_STATUS = _of_kind(Response, lambda response: (response.status_code,))
_CONTACT_PARAMS = _of_addresses("Contact", lambda address: tuple(filter(None, address.params)))

SIP_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("sip", "protocol", "A SIP message that could be read", _raw, searchable=True),
    single("sip.Method", "text", "Method of a request", _method),
    FieldSpec("sip.Request-Line", "text", "Start line of a request", _of_kind(Request, lambda r: (r.start_line,))),
    FieldSpec("sip.Status-Line", "text", "Start line of a response", _of_kind(Response, lambda r: (r.start_line,))),
    FieldSpec("sip.Status-Code", "number", "Status code of a response", _STATUS, maximum=MAX_UINT32),
    *_request_uri_fields(),
    FieldSpec("sip.msg_hdr", "text", "Everything after the start line, as on the wire", _after_start_line),
    FieldSpec("sip.display.info", "text", "Every display name, as written", _of_message(_all_display_infos)),
    FieldSpec("sip.tag", "text", "Tags of From and To", _tags("From", "To")),
    FieldSpec("sip.from.tag", "text", "From, tag", _tags("From")),
    FieldSpec("sip.to.tag", "text", "To, tag", _tags("To")),
    *(field for prefix, header, uri in ADDRESS_HEADERS for field in _address_fields(prefix, header, uri)),
    FieldSpec("sip.contact.parameter", "text", "Contact, header parameters", _CONTACT_PARAMS),
    single("sip.CSeq.seq", "number", "CSeq, sequence number", _cseq_number, most=MAX_UINT32),
    single("sip.CSeq.method", "text", "CSeq, method", _cseq_method),
    *_via_fields(),
    *_auth_fields(),
    *_header_fields(),
)
