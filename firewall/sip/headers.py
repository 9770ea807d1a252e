"""Header field names and the splitting of their values (RFC 3261 §7.3, §20, §25.1)."""

import re
from hashlib import blake2b

import msgspec

from firewall.net.remembered import remembered
from firewall.sip.limits import MAX_IDENTIFIER

_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
# What is quoted or in brackets, to the end of the text where it has no end of its own.
_QUOTED = r'"(?:[^"\\]++|\\.)*+'
_BRACKETED = rf'<(?:[^">]++|{_QUOTED}"?)*+>?'
_PARTS = {
    separator: re.compile(rf'(?:\A|{separator})((?:[^"<{separator}]++|{_QUOTED}"?|{_BRACKETED})*+)', re.DOTALL)
    for separator in ",;"
}
QUOTED = re.compile(rf'{_QUOTED}("?)', re.DOTALL)
"""A quoted-string (RFC 3261 §25.1): its group is empty where it has no end."""

_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")
_BLANKS = " \t\r"
_BLANK_LINE = re.compile(r"\n[ \t]+\r?(?=\n|\Z)")
_FOLD = re.compile(r"\r?\n[ \t]+")

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

# Names as senders write them, each with its canonical name: there are few, and looking one up is cheaper than
# lowering it. Whether a name is in it changes no reading, only how fast it is.
_canonical_names: dict[str, str] = {}
_MOST_KNOWN_NAMES = 4096
_LONGEST_KNOWN_NAME = 64


@remembered(1024)
def canonical_name(name: str) -> str:
    """Return a header name as sosgate compares it: lower case, compact forms expanded (RFC 3261 §7.3.1, §7.3.3)."""
    lowered = name.lower()
    return COMPACT_FORMS.get(lowered, lowered)


class Head(msgspec.Struct, frozen=True):
    """The part of a message before the empty line. A ``msgspec.Struct`` because one is made for every message."""

    start_line: str
    lines: list[str]
    """Those below the start line, folded ones joined (RFC 3261 §7.3.1)."""
    first: dict[str, str]
    """The first value of each header, by its canonical name."""
    repeated: dict[str, list[str]]
    """All values of the headers that stand more than once, by their canonical names."""
    anomalies: tuple[str, ...] = ()
    """Codes of what is wrong with its lines."""
    has_empty_line: bool = False
    """An empty line is among them: the head should have been cut there."""

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Name as written and value, in wire order. Few ask for it."""
        lines = [line.partition(":") for line in self.lines]
        return [(name.strip(_BLANKS), value.strip(_BLANKS)) for name, colon, value in lines if colon]

    def values(self, canonical: str) -> tuple[str, ...]:
        """Return all values of a header, by its canonical name, in wire order."""
        if canonical in self.repeated:
            return tuple(self.repeated[canonical])
        return (self.first[canonical],) if canonical in self.first else ()


def read_head(head: bytes) -> Head:
    """Split a message's head into its lines. Any bytes give a head."""
    return read_lines(head.decode("utf-8", "surrogateescape").split("\n"))


def read_lines(lines: list[str]) -> Head:
    """Read a head of which the lines were split at their line feeds."""
    first: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    known = _canonical_names
    start_line, *lines = lines
    for line in lines:
        name, colon, value = line.partition(":")
        canonical = known.get(name)
        if canonical is None or not colon:
            return _read_uncommon_head(start_line, lines)
        if canonical in first:
            repeated.setdefault(canonical, [first[canonical]]).append(value.strip(_BLANKS))
        else:
            first[canonical] = value.strip(_BLANKS)
    return Head(start_line.rstrip("\r"), lines, first, repeated)


def _read_uncommon_head(start_line: str, lines: list[str]) -> Head:
    """Read a head with folded lines, names not seen before, lines without a colon or the like."""
    first: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    lines, anomalies = _unfolded(lines)
    has_empty_line = False
    for line in lines if lines != [""] else ():  # a start line with its line end, and nothing behind it
        name, colon, value = line.partition(":")
        if not colon:
            if line in ("", "\r"):
                has_empty_line = True
            else:
                anomalies.add("header_without_colon")
            continue
        # Not strip() alone: it would take U+00A0 and control characters for blanks, which other readers do not.
        written = name.strip(_BLANKS)
        canonical = canonical_name(written)
        if _TOKEN.fullmatch(written) is None:
            anomalies.add("header_name_invalid")
        elif written == name and len(name) <= _LONGEST_KNOWN_NAME:
            if len(_canonical_names) >= _MOST_KNOWN_NAMES:
                _canonical_names.clear()
            _canonical_names[name] = canonical
        value = value.strip(_BLANKS)
        if canonical in first:
            repeated.setdefault(canonical, [first[canonical]]).append(value)
        else:
            first[canonical] = value
    return Head(start_line.rstrip("\r"), lines, first, repeated, tuple(sorted(anomalies)), has_empty_line)


def _unfolded(lines: list[str]) -> tuple[list[str], set[str]]:
    """Join folded lines; return the codes of what is wrong with the folding too."""
    text = "\n".join(lines)
    anomalies: set[str] = set()
    if text.startswith((" ", "\t")):
        anomalies.add("start_line_folded")
    if "\n " in text or "\n\t" in text:
        if _BLANK_LINE.search(text):
            anomalies.add("blank_line")
        lines = _FOLD.sub(" ", text).split("\n")
    return lines, anomalies


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
