"""What is wrong with a message that could still be read: one code for each thing (``engine/reasons.py`` has the words).

A valid message costs a few scans of its head in C; only where one of them finds something is it looked at closely.
Everything here takes time linear in the head.
"""

import ipaddress
import re
from collections.abc import Iterator

from firewall.net.remembered import remembered
from firewall.sip.headers import Head, split_outside, split_values
from firewall.sip.start_line import KNOWN_METHODS, SIP_VERSION

_PRINTABLE = bytes(range(0x20, 0x7F))
_MAX_UINT32 = 2**32 - 1
_MOST_DIGITS = 20

# RFC 3261 §8.1.1: what every request and response must carry.
_REQUIRED = {
    "via": "missing_via",
    "from": "missing_from",
    "to": "missing_to",
    "call-id": "missing_call_id",
    "cseq": "missing_cseq",
}
_REQUIRED_NAMES = frozenset(_REQUIRED)
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
_SIP_DATE = re.compile(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", re.ASCII)
_DISPLAY_TOKENS = re.compile(r"[A-Za-z0-9.!%*_+`'~\s\x80-\U0010ffff-]*")


def head_anomalies(head_bytes: bytes, head: Head) -> list[str]:
    """Return the codes of what is wrong with a message's head, whether request or response."""
    found: list[str] = []
    odd_bytes = head_bytes.translate(None, _PRINTABLE)
    if odd_bytes != b"\r\n" * (len(odd_bytes) // 2):
        found += _byte_anomalies(head_bytes)
    first = head.first
    if not first.keys() >= _REQUIRED_NAMES:
        found += (code for name, code in _REQUIRED.items() if name not in first)
    found += _number_anomalies(first)
    for name in _ADDRESSES:
        if name in first:
            for value in head.values(name):
                found += _list_anomalies(value) if name in _LISTS else _address_anomalies(value)
    for value in head.values("via"):
        # RFC 4475 §3.2.1: the magic cookie alone names no transaction (RFC 3261 §8.1.1.7).
        if value.endswith("=z9hG4bK") or "=z9hG4bK;" in value:
            found.append("via_branch_empty")
        if _has_stray_separators(value):
            found.append("stray_separators")
    return found if len(found) < 2 else list(dict.fromkeys(found))


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
    if " " in request_uri:
        found.append("request_uri_blanks")
    if "?" in request_uri and request_uri[:4].lower().startswith(("sip:", "sips")):
        found += ["request_uri_headers"] if "?" in request_uri.rpartition("@")[2] else []
    if request_uri.count("@") > 1:
        found.append("request_uri_user_ambiguous")
    if request_uri.count(":") > 2 and not _is_host_readable(request_uri):
        found.append("request_uri_host_invalid")
    if max_forwards and not max_forwards.strip("0"):
        found.append("max_forwards_zero")
    return found


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
    if "max-forwards" in first and not _is_number(first["max-forwards"], 255):
        found.append("max_forwards_invalid")
    if "expires" in first and not _is_number(first["expires"], _MAX_UINT32):
        found.append("expires_invalid")
    if "retry-after" in first:
        # RFC 3261 §20.33: a comment or parameters may follow the seconds.
        seconds = first["retry-after"].partition(";")[0].partition("(")[0].strip()
        if not _is_number(seconds, _MAX_UINT32):
            found.append("retry_after_invalid")
    if "date" in first and _SIP_DATE.fullmatch(first["date"]) is None:
        found.append("date_invalid")
    return found


def _is_number(text: str, maximum: int) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) <= maximum


def _is_host_readable(request_uri: str) -> bool:
    """Tell whether the host part can be told from the port: an IPv6 address needs its brackets (RFC 5118 §4.2)."""
    scheme, _, rest = request_uri.partition(":")
    if scheme.lower() not in ("sip", "sips"):
        return True
    hostport = rest.rpartition("@")[2].partition("?")[0].partition(";")[0]
    if not hostport.startswith("["):
        return hostport.count(":") <= 1
    try:
        ipaddress.IPv6Address(hostport[1:].partition("]")[0])
    except ValueError:
        return False
    return True


@remembered(4096)
def _address_anomalies(value: str) -> tuple[str, ...]:
    return _with_separators(value, list(_address_value(value)))


@remembered(4096)
def _list_anomalies(value: str) -> tuple[str, ...]:
    return _with_separators(value, [code for part in split_values(value) for code in _address_value(part)])


def _with_separators(value: str, found: list[str]) -> tuple[str, ...]:
    if _has_stray_separators(value):
        found.append("stray_separators")
    return tuple(dict.fromkeys(found))


def _has_stray_separators(value: str) -> bool:
    if ";;" not in value and ",," not in value and ";," not in value and value[-1:] not in (";", ","):
        return False
    return any("" in split_outside(part, ";") for part in split_outside(value, ","))


def _address_value(value: str) -> Iterator[str]:
    """RFC 3261 §20.10: display names of other than tokens need quotes, URIs with commas, ``?`` or ``;`` brackets."""
    before, bracket, rest = _outside_quotes(value)
    if before is None:
        yield "unterminated_quote"
        return
    if not bracket:
        if "?" in value and value[:5].lower().startswith(("sip:", "sips:")):
            yield "address_unbracketed"
        return
    uri, closed, _ = rest.partition(">")
    if not closed:
        yield "unterminated_bracket"
    if uri[:1] in (" ", "\t") or uri[-1:] in (" ", "\t"):
        yield "address_blanks"
    if before and before[0] != '"' and _DISPLAY_TOKENS.fullmatch(before) is None:
        yield "display_name_unquoted"


def _outside_quotes(value: str) -> tuple[str | None, str, str]:
    """Split at the first ``<`` outside a quoted string; the first part is None when a quote has no end."""
    if '"' not in value:
        return value.partition("<")
    quoted = escaped = False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted and char == "\\":
            escaped = True
        elif char == '"':
            quoted = not quoted
        elif char == "<" and not quoted:
            return value[:index], "<", value[index + 1 :]
    return (None if quoted else value), "", ""
