"""What is wrong with a message that could still be read: one code for each thing (``engine/reasons.py`` has the words).

A valid message costs a few scans of its head in C; only where one of them finds something is it looked at closely.
Everything here takes time linear in the head.
"""

import ipaddress
import re
from collections.abc import Iterator

from firewall.net.datagram import MAX_PORT
from firewall.net.remembered import remembered
from firewall.sip.head import Head
from firewall.sip.headers import QUOTED, QUOTED_TEXT, multipart_delimiter, split_outside, split_values
from firewall.sip.name_addr import opening_bracket, parse_name_addr
from firewall.sip.number import MAX_UINT32, read_number
from firewall.sip.start_line import KNOWN_METHODS, SIP_VERSION
from firewall.sip.via import MAGIC_COOKIE, without_comment

_PRINTABLE = bytes(range(0x20, 0x7F))

# RFC 3261 §8.1.1: what every request and response must carry.
_REQUIRED = {
    "via": "missing_via",
    "from": "missing_from",
    "to": "missing_to",
    "call-id": "missing_call_id",
    "cseq": "missing_cseq",
}
# RFC 3261 §7.3.1: a header that is no comma-separated list stands at most once. Two that differ are read differently
# by different elements, which is how a message is made to pass as another.
_SINGLE = {
    "call-id": "conflicting_call_id",
    "cseq": "conflicting_cseq",
    "from": "conflicting_from",
    "to": "conflicting_to",
    "max-forwards": "conflicting_max_forwards",
    "content-type": "conflicting_content_type",
    "content-length": None,  # content_length_conflicting, where the body is cut
}
_ADDRESSES = ("from", "to", "contact", "route", "record-route", "refer-to", "referred-by", "reply-to")
_LISTS = frozenset({"contact", "route", "record-route"})

_QUOTED_PAIR = re.compile(rb"\\[\x00-\x09\x0b\x0c\x0e-\x7f]")
_CONTROLS = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_LF_ALONE = re.compile(rb"(?<!\r)\n")
_CR_ALONE = re.compile(rb"\r(?!\n|\Z)")
_SIP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?:[0-2]\d|3[01]) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} "
    r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60) GMT",
    re.ASCII,
)
_DISPLAY_NAME = re.compile(rf"""[A-Za-z0-9.!%*_+`'~\s\x80-\U0010ffff-]*|{QUOTED_TEXT}"\s*""", re.DOTALL)
_WARNING = re.compile(r'[1-9]\d\d [^\s"]+ [ \t]*"[^"\\]*(?:\\.[^"\\]*)*"', re.ASCII | re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
# The underscore of a host is in no standard, and usual.
_HOST_PORT = re.compile(r"(?:\[([\dA-Fa-f:.]+)\]|[\w.-]+)(?::(\d{1,5}))?", re.ASCII)
_SENT_BY = re.compile(r"\s*[^/\s]+\s*/\s*[^/\s]+\s*/\s*\S+\s+(.+)")
_COLON = re.compile(r"\s*:\s*")
_STRAY = (";;", ",,", ";,", ",;")
_PARAMETER_NAMES = re.compile(r";\s*([^=;,\s]+)")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
# As nearly every Request-URI, address and Via is written: nothing is wrong with them.
_SOUND_URI = re.compile(r"sip:(?:[\w.+*#!~-]+@)?[A-Za-z0-9.-]+(?:;[\w.=+;-]*)?", re.ASCII)
_BRANCH = r';branch=z9hG4bK[^;,="\s]+'
_SOUND_VIA = re.compile(
    r"SIP/2\.0/[A-Z]+ [A-Za-z0-9.-]+(?::\d{1,4})?"
    rf"(?:;rport(?:=\d+)?{_BRANCH}|{_BRANCH}(?:;received=[\d.]+)?(?:;rport(?:=\d+)?)?)",
    re.ASCII,
)
_SOUND_ADDRESS = re.compile(r'(?:"[^"\\]*"[ ]*)?<[a-z]+:[!#-;=?-~]+>(?:;tag=[\w.-]+|;expires=\d{1,9})?', re.ASCII)


def head_anomalies(head_bytes: bytes, head: Head, branch: str | None) -> list[str]:
    """Return the codes of what is wrong with a message's head; ``branch`` is that of the topmost Via."""
    found: list[str] = []
    odd_bytes = head_bytes.translate(None, _PRINTABLE)
    if odd_bytes != b"\r\n" * (len(odd_bytes) // 2):
        found += _byte_anomalies(head_bytes)
    first = head.first
    if not all(map(first.get, _REQUIRED)):
        found += (code for name, code in _REQUIRED.items() if not first.get(name))
    found += _number_anomalies(first)
    for name in _ADDRESSES:
        if name in first:
            for value in head.values(name):
                found += _list_anomalies(value) if name in _LISTS else _address_anomalies(value)
    if "via" in first:
        # RFC 4475 §3.2.1: the magic cookie alone names no transaction.
        if branch in ("", MAGIC_COOKIE):
            found.append("via_branch_empty")
        found += _via_anomalies(head.values("via"))
    return found if len(found) < 2 else list(dict.fromkeys(found))


def _via_anomalies(values: tuple[str, ...]) -> Iterator[str]:
    for index, value in enumerate(values):
        if _SOUND_VIA.fullmatch(value) is not None:
            continue
        hop, _, params = value.partition(";")
        if index == 0 and value and not _is_hop_readable(hop):
            yield "via_unreadable"
        if value.endswith("=z9hG4bK") or "=z9hG4bK;" in value:
            yield "via_branch_empty"
        if _has_stray_separators(value):
            yield "stray_separators"
        if ";" in params:
            names = _PARAMETER_NAMES.findall(value.lower())
            if len(set(names)) < len(names) and any(map(_repeats_parameter, split_values(value))):
                yield "repeated_parameter"


@remembered(1024)
def _is_hop_readable(hop: str) -> bool:
    """Tell whether a Via value, read up to its first ``;``, names a transport and a sender (RFC 3261 §20.42)."""
    sent_by = _SENT_BY.fullmatch(without_comment(split_values(hop)[0]))
    return sent_by is not None and _is_host_readable(_COLON.sub(":", sent_by[1]))


def repetitions(repeated: dict[str, list[str]]) -> list[str]:
    """Return the codes of headers that may stand once and stand more often, alike or not."""
    found: list[str] = []
    is_alike = False
    for name, code in _SINGLE.items():
        values = repeated.get(name)
        if values is None:
            continue
        if len(set(values)) == 1:
            is_alike = True
        elif code is not None:
            found.append(code)
    return [*found, "repeated_header"] if is_alike else found


def request_anomalies(
    start_line: str, method: str, request_uri: str, version: str, *, max_forwards: str | None, cseq_method: str | None
) -> list[str]:
    """Return the codes of what is wrong with a request's start line and with how it fits its headers."""
    found: list[str] = []
    if cseq_method is not None and cseq_method != method:
        found.append("cseq_method_mismatch")
    if method not in KNOWN_METHODS and method.upper() in KNOWN_METHODS:
        found.append("method_case")
    if version != SIP_VERSION and version.upper() != SIP_VERSION:
        found.append("version_unknown")
    if start_line != f"{method} {request_uri} {version}":
        if "<" in start_line or ">" in start_line:
            found.append("request_uri_brackets")
        if start_line.replace("<", "").replace(">", "") != f"{method} {request_uri} {version}":
            found.append("request_line_blanks")
    if _SOUND_URI.fullmatch(request_uri) is None:
        found += _request_uri_anomalies(request_uri)
    if max_forwards and not max_forwards.strip("0"):
        found.append("max_forwards_zero")
    return found


def is_multipart_open(content_type: str, body: bytes) -> bool:
    """Tell whether a body is a multipart one without its last delimiter, or none that can be told (RFC 2046 §5.1.1)."""
    if content_type[:9].lower() != "multipart":
        return False
    delimiter = multipart_delimiter(content_type.partition(";")[2])
    if delimiter is None:
        return True
    last = delimiter + b"--"
    return not body.startswith(last) and b"\n" + last not in body


def response_anomalies(status_code: int, version: str) -> list[str]:
    """Return the codes of what is wrong with a response's start line."""
    found = [] if 100 <= status_code < 700 else ["status_code_unknown"]
    if version.upper() != SIP_VERSION:
        found.append("version_unknown")
    return found


def _byte_anomalies(head: bytes) -> Iterator[str]:
    if _CR_ALONE.search(head):
        yield "bare_cr"
    if _LF_ALONE.search(head):
        yield "line_ends_mixed" if b"\r\n" in head else "line_end_lf"
    # RFC 3261 §25.1 quoted-pair: any character but CR and LF may stand behind a backslash.
    unescaped = _QUOTED_PAIR.sub(b"", head) if b"\\" in head else head
    if b"\0" in unescaped:
        yield "nul_byte"
    if _CONTROLS.search(unescaped):
        yield "control_character"
    if not head.isascii():
        try:
            head.decode()
        except UnicodeDecodeError:
            yield "not_utf8"


def _number_anomalies(first: dict[str, str]) -> list[str]:
    found: list[str] = []
    if "max-forwards" in first and read_number(first["max-forwards"], 255) is None:
        found.append("max_forwards_invalid")
    if "expires" in first and read_number(first["expires"], MAX_UINT32) is None:
        found.append("expires_invalid")
    if "retry-after" in first:
        # RFC 3261 §20.33: a comment or parameters may follow the seconds.
        seconds = first["retry-after"].partition(";")[0].partition("(")[0].strip()
        if read_number(seconds, MAX_UINT32) is None:
            found.append("retry_after_invalid")
    if "date" in first and _SIP_DATE.fullmatch(first["date"]) is None:
        found.append("date_invalid")
    if "warning" in first and any(_WARNING.fullmatch(part) is None for part in split_values(first["warning"])):
        found.append("warning_invalid")
    return found


@remembered(4096)
def _request_uri_anomalies(request_uri: str) -> tuple[str, ...]:
    found: list[str] = []
    if " " in request_uri:
        found.append("request_uri_blanks")
    if _SCHEME.match(request_uri) is None:
        found.append("request_uri_scheme_missing")
    if _BROKEN_ESCAPE.search(request_uri):
        found.append("request_uri_escape_invalid")
    scheme, _, rest = request_uri.partition(":")
    is_sip = scheme.lower() in ("sip", "sips")
    if request_uri.count("@") > 1 and (is_sip or "request_uri_scheme_missing" in found):
        found.append("request_uri_user_ambiguous")
    if is_sip:
        host_part, question, _ = rest.rpartition("@")[2].partition("?")
        if question:
            found.append("request_uri_headers")
        if not _is_host_readable(host_part.partition(";")[0]):
            found.append("request_uri_host_invalid")
    return tuple(found)


def _is_host_readable(host_port: str) -> bool:
    """Tell whether the host can be told from the port: an IPv6 address needs its brackets (RFC 5118 §4.2).

    It has no zone (RFC 4007 §11.2) there, for which RFC 3261 §25.1 has no room.
    """
    match = _HOST_PORT.fullmatch(host_port.strip())
    if match is None or int(match[2] or 0) > MAX_PORT:
        return False
    if match[1] is None:
        return True
    try:
        ipaddress.IPv6Address(match[1])
    except ValueError:
        return False
    return True


@remembered(4096)
def _address_anomalies(value: str) -> tuple[str, ...]:
    if _SOUND_ADDRESS.fullmatch(value) is not None:
        return ()
    return _with_separators(value, list(_address_value(value)))


@remembered(4096)
def _list_anomalies(value: str) -> tuple[str, ...]:
    if _SOUND_ADDRESS.fullmatch(value) is not None:
        return ()
    parts = split_values(value)
    found = [code for part in parts for code in _address_value(part)]
    if "xpires" in value.lower() and not all(map(_is_expiry_valid, parts)):
        found.append("expires_invalid")
    return _with_separators(value, found)


def _is_expiry_valid(contact: str) -> bool:
    """RFC 3261 §20.10: the expires parameter of a Contact is a number of seconds."""
    expires = parse_name_addr(contact).params.get("expires", "0")
    return expires is not None and read_number(expires, MAX_UINT32) is not None


def _with_separators(value: str, found: list[str]) -> tuple[str, ...]:
    if _has_stray_separators(value):
        found.append("stray_separators")
    return tuple(dict.fromkeys(found))


def _has_stray_separators(value: str) -> bool:
    dense = value.replace(" ", "").replace("\t", "")
    if not dense.startswith(",") and not dense.endswith((";", ",")) and not any(map(dense.__contains__, _STRAY)):
        return False
    return any("" in split_outside(part, ";") for part in split_outside(value, ","))


def _repeats_parameter(value: str) -> bool:
    """Tell whether a parameter stands twice behind a value. What comes before the first ``;`` is none."""
    params = (part.partition("=")[0].strip().lower() for part in split_outside(value, ";")[1:])
    names = [name for name in params if name]
    return len(set(names)) < len(names)


def _address_value(value: str) -> Iterator[str]:
    """RFC 3261 §20.10: display names of other than tokens need quotes, URIs with commas, ``?`` or ``;`` brackets."""
    if any(not closed for closed in QUOTED.findall(value)):
        yield "unterminated_quote"
        return
    opened = opening_bracket(value)
    before, bracket, rest = (value[:opened], "<", value[opened + 1 :]) if opened >= 0 else (value, "", "")
    uri, closed, params = rest.partition(">")
    if not bracket:
        uri, _, params = value.partition(";")
        uri = uri.rstrip()
        if "?" in QUOTED.sub("", value) and value[:5].lower().startswith(("sip:", "sips:")):
            yield "address_unbracketed"
    elif not closed:
        yield "unterminated_bracket"
    if bracket and _DISPLAY_NAME.fullmatch(before) is None:
        yield "display_name_unquoted"
    if " " in uri or "\t" in uri:
        yield "address_blanks"
    if value and value != "*" and _SCHEME.match(uri.lstrip()) is None:
        yield "address_without_uri"
    if ";" in params and _repeats_parameter(params if bracket else f";{params}"):
        yield "repeated_parameter"
