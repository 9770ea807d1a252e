"""The names of headers, and the parts of their values (RFC 3261 §7.3, §20, §25.1)."""

import re
from hashlib import blake2b

from firewall.net.remembered import remembered
from firewall.sip.limits import MAX_IDENTIFIER

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# Atomic groups, not "(...)*+": CPython before 3.11.5 goes on behind what a choice in it read before it failed.
QUOTED_TEXT = r'"(?>(?:[^"\\]++|\\.)*)'
"""The pattern of a quoted-string (RFC 3261 §25.1) up to the quote that ends it, which may be missing."""
# What is in brackets, to the end of the text where it has no end of its own.
_BRACKETED = rf'<(?>(?:[^">]++|{QUOTED_TEXT}"?)*)>?'
_PARTS = {
    separator: re.compile(rf'(?:\A|{separator})((?>(?:[^"<{separator}]++|{QUOTED_TEXT}"?|{_BRACKETED})*))', re.DOTALL)
    for separator in ",;"
}
QUOTED = re.compile(rf'{QUOTED_TEXT}("?)', re.DOTALL)
"""A quoted-string (RFC 3261 §25.1): its group is empty where it has no end."""


# RFC 3261 §7.3.3 and the IANA "Header Fields" registry, column "compact".
COMPACT_FORMS = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}


@remembered(1024)
def canonical_name(name: str) -> str:
    """Return a header name as sosgate compares it: lower case, compact forms expanded (RFC 3261 §7.3.1, §7.3.3)."""
    lowered = name.lower()
    return COMPACT_FORMS.get(lowered, lowered)


def split_values(value: str) -> list[str]:
    """Split a header value at its commas, not those inside quotes or angle brackets (RFC 3261 §7.3.1)."""
    return split_outside(value, ",") if "," in value else [value.strip()]


def split_outside(value: str, separator: str) -> list[str]:
    """Split at "," or ";" wherever it stands outside a quoted string and outside ``<>``."""
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(separator)]
    return [part.strip() for part in _PARTS[separator].findall(value)]


def multipart_delimiter(params: str) -> bytes | None:
    """Return what begins each line between the parts of a multipart body, by its Content-Type's parameters.

    None where they name no boundary (RFC 2046 §5.1.1).
    """
    boundary = parse_params(params).get("boundary")
    return b"--" + boundary.encode("utf-8", "surrogateescape") if boundary else None


def parse_params(text: str) -> dict[str, str | None]:
    """Read ``;name=value;flag`` into a mapping with lower-case names; a flag's value is None, quotes are taken off.

    The first of two equal names counts, as in Wireshark. Any text gives a mapping.
    """
    params: dict[str, str | None] = {}
    for part in split_outside(text, ";"):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if name and name not in params:
            params[name] = unquote(value.strip()) if equals else None
    return params


def unquote(text: str) -> str:
    r"""Return the content of a quoted-string (``\`` escapes resolved), or the text itself when it is none."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    return _QUOTED_PAIR.sub(r"\1", text[1:-1])


def identifier(text: str | None, longest: int = MAX_IDENTIFIER) -> str | None:
    """Return what a Call-ID, tag or branch is known by: itself, or its beginning and a digest where it is too long."""
    if text is None or len(text) <= longest:
        return text
    return f"{text[:200]}~{blake2b(text.encode('utf-8', 'surrogateescape'), digest_size=16).hexdigest()}"
