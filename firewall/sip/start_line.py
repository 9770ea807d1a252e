"""The start line of a message and the empty line that ends its head: one definition for datagrams and streams.

RFC 3261 §7.1, §7.2, §7 (``start-line *message-header CRLF``). Any line end counts, CRLF or a bare LF, in any mixture:
the head ends at the *first* empty line. A reader that preferred a later CRLF CRLF would see other headers than the
element behind the firewall does.
"""

import re

from firewall.errors import SipSyntaxError
from firewall.net.remembered import remembered

# fmt: off
KNOWN_METHODS = frozenset({
    "ACK", "BYE", "CANCEL", "INFO", "INVITE", "MESSAGE", "NOTIFY", "OPTIONS", "PRACK", "PUBLISH", "REFER", "REGISTER",
    "SUBSCRIBE", "UPDATE",
})
# fmt: on
"""The methods of RFC 3261 and its extensions."""
SIP_VERSION = "SIP/2.0"
"""The version of RFC 3261: no other was ever published as a standard."""

TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
"""A method or the name of a header (RFC 3261 §25.1)."""

_SIP_VERSION = re.compile(r"SIP/\d+\.\d+", re.IGNORECASE | re.ASCII)
_STATUS_LINE = re.compile(r"(SIP/\d+\.\d+)[ \t]+(\d{3})(?:[ \t]+(.*))?", re.IGNORECASE | re.DOTALL | re.ASCII)


def find_empty_line(data: bytes | bytearray, start: int = 0) -> tuple[int, int] | None:
    """Return where the line feed before the first empty line stands, and where the body begins; None without one."""
    crlf = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start) if crlf < 0 else data.find(b"\n\n", start, crlf + 1)
    if bare >= 0:
        return bare, bare + 2
    return (crlf, crlf + 3) if crlf >= 0 else None


@remembered(1024)  # the same few, whoever answers
def read_status_line(line: str) -> tuple[str, str, str] | None:
    """Split ``SIP-Version SP Status-Code SP Reason-Phrase`` (RFC 3261 §7.2); None when the line is none."""
    match = _STATUS_LINE.fullmatch(line)
    return (match[1], match[2], match[3] or "") if match is not None else None


def read_request_line(line: str) -> tuple[str, str, str]:
    """Split ``Method SP Request-URI SP SIP-Version`` (RFC 3261 §7.1); blanks inside the URI are kept.

    Raises:
        SipSyntaxError: ``not_sip``; ``status_code_invalid`` for what begins like a status line.
    """
    method, _, rest = line.strip().replace("\t", " ").partition(" ")
    request_uri, _, version = rest.rpartition(" ")
    request_uri = request_uri.strip()
    is_method = method in KNOWN_METHODS or TOKEN.fullmatch(method) is not None
    is_version = version == SIP_VERSION or _SIP_VERSION.fullmatch(version) is not None
    if not (request_uri and is_method and is_version):
        if _SIP_VERSION.fullmatch(method) is not None:
            raise SipSyntaxError("status_code_invalid", f"no status code of three digits: {line[:60]!r}")
        raise SipSyntaxError("not_sip", f"no request or status line: {line[:60]!r}")
    return method, request_uri, version


def is_like_status_line(line: str) -> bool:
    """Tell whether a line begins as a status line does, and no request line: no method has a slash in it."""
    return line[:4].upper() == "SIP/"


def is_start_line(line: str) -> bool:
    """Tell whether a line begins a message."""
    if is_like_status_line(line) and read_status_line(line) is not None:
        return True
    try:
        read_request_line(line)
    except SipSyntaxError:
        return False
    return True
