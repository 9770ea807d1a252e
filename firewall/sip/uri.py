"""URIs as SIP carries them: sip, sips, tel, urn and whatever else (RFC 3261 §19.1 and §25.1, RFC 3966, RFC 8141)."""

import re

import msgspec

from firewall.net.datagram import MAX_PORT
from firewall.net.remembered import remembered
from firewall.sip.headers import parse_params
from firewall.sip.number import read_number

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")


class Uri(msgspec.Struct, frozen=True, gc=False):
    """One URI, split. Text keeps its escapes (``%39``) as written; ``unescape`` resolves them.

    ``scheme`` is lower case, empty where the text has none. ``user`` and ``host`` are None where the scheme has no
    such part: for ``tel:`` the number is the user; for ``urn:`` and other opaque URIs everything after the scheme is
    ``opaque``. ``host`` keeps the brackets of an IPv6 reference.
    """

    text: str
    scheme: str
    user: str | None = None
    password: str | None = None
    host: str | None = None
    port: int | None = None
    params: dict[str, str | None] = msgspec.field(default_factory=dict)
    headers: str | None = None
    opaque: str | None = None


def unescape(text: str) -> str:
    """Resolve percent-escapes (RFC 3261 §19.1.2); a broken escape stays as it is."""
    if "%" not in text:
        return text
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)


@remembered(4096)
def parse_uri(text: str) -> Uri:
    """Split a URI. Any text gives a ``Uri``; what has no scheme is opaque with an empty one (``911``)."""
    text = text.strip()
    scheme_match = _SCHEME.match(text)
    if scheme_match is None:
        return Uri(text, scheme="", opaque=text)
    scheme = scheme_match[1].lower()
    rest = text[scheme_match.end() :]
    if scheme in ("sip", "sips"):
        return _sip_uri(text, scheme, rest)
    if scheme == "tel":
        number, _, params = rest.partition(";")
        return Uri(text, scheme, user=number, params=parse_params(params))
    return Uri(text, scheme, opaque=rest)


def _sip_uri(text: str, scheme: str, rest: str) -> Uri:
    # The user part may itself hold ";" and "?" (RFC 3261 §25.1 user-unreserved), so "@" is looked for first.
    userinfo, at, hostpart = rest.rpartition("@")
    user, colon, password = userinfo.partition(":")
    hostpart, question, headers = hostpart.partition("?")
    hostport, _, params = hostpart.partition(";")
    host, port = split_host_port(hostport)
    return Uri(
        text,
        scheme,
        user=user if at else None,
        password=password if colon else None,
        host=host,
        port=port,
        params=parse_params(params) if params else {},
        headers=headers if question else None,
    )


def split_host_port(hostport: str) -> tuple[str, int | None]:
    """Split ``host[:port]`` (RFC 3261 §25.1); a port that is no number from 0 to 65535 is None."""
    hostport = hostport.strip()
    if hostport.startswith("["):
        reference, bracket, tail = hostport.partition("]")
        # Blanks may stand around the colon of a Via.
        host, port_text = reference + bracket, tail.lstrip().removeprefix(":")
    else:
        host, _, port_text = hostport.partition(":")
    return host.strip(), read_number(port_text.strip(), MAX_PORT)
