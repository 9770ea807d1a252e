"""Header field names and the splitting of their values (RFC 3261 §7.3, §20, §25.1)."""

import re

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

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


def canonical_name(name: str) -> str:
    """Return a header name as sosgate compares it: lower case, compact forms expanded (RFC 3261 §7.3.1, §7.3.3)."""
    lowered = name.lower()
    return COMPACT_FORMS.get(lowered, lowered)


def split_values(value: str) -> list[str]:
    """Split a header value at its commas, not those inside quotes or angle brackets (RFC 3261 §7.3.1)."""
    return split_outside(value, ",") if "," in value else [value.strip()]


def split_outside(value: str, separator: str) -> list[str]:
    """Split at a one-character separator wherever it stands outside a quoted string and outside ``<>``."""
    if '"' not in value and "<" not in value:
        return [part.strip() for part in value.split(separator)]
    parts: list[str] = []
    start = 0
    quoted = bracketed = escaped = False
    for index, char in enumerate(value):
        if escaped:
            escaped = False
        elif quoted:
            if char == "\\":
                escaped = True
            elif char == '"':
                quoted = False
        elif char == '"':
            quoted = True
        elif bracketed:
            bracketed = char != ">"
        elif char == "<":
            bracketed = True
        elif char == separator:
            parts.append(value[start:index].strip())
            start = index + 1
    parts.append(value[start:].strip())
    return parts


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
