"""The head of a message: its start line and header lines, up to the first empty line (RFC 3261 §7, §7.3.1)."""

import re

import msgspec

from firewall.errors import SipSyntaxError
from firewall.sip.headers import canonical_name
from firewall.sip.limits import MAX_HEADER_COMMAS, MAX_HEADER_LINES
from firewall.sip.start_line import TOKEN, find_empty_line

_BLANKS = " \t\r"
_BLANK_LINE = re.compile(r"\n[ \t]+\r?(?=\n|\Z)")
_FOLD = re.compile(r"\r?\n[ \t]+")
_BARE_CR = re.compile(rb"\r(?!\n)")

# Names as senders write them, each with its canonical name: there are few, and looking one up is cheaper than
# lowering it. Whether a name is in it changes no reading, only how fast it is.
_canonical_names: dict[str, str] = {}
_MOST_KNOWN_NAMES = 4096
_LONGEST_KNOWN_NAME = 64


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
        first = self.first.get(canonical)
        if first is None:
            return ()
        return tuple(self.repeated[canonical]) if canonical in self.repeated else (first,)


SplitHead = tuple[Head, bytes, bytes | None]
"""The head of a message, its bytes, and what follows the empty line (None without one)."""


def split_head(message: bytes) -> SplitHead:
    """Find and read the head of a message.

    Raises:
        SipSyntaxError: ``too_many_headers``, ``too_many_values``.
    """
    end = message.find(b"\r\n\r\n")
    head_bytes, rest = (message[:end], message[end + 4 :]) if end >= 0 else (message, None)
    # Not split further than that: a flood of tiny lines is to be cheap.
    lines = head_bytes.decode("utf-8", "surrogateescape").split("\n", MAX_HEADER_LINES)
    head = _read_lines(lines) if len(lines) <= MAX_HEADER_LINES else None
    if head is None or head.has_empty_line:
        head_bytes, rest = _split_at_first_empty_line(message)
        _check_number_of_lines(head_bytes)
        head = read_head(head_bytes)
    if "\r" in head.start_line:
        head = _read_head_of_bare_cr(head_bytes)
    if len(head_bytes) > MAX_HEADER_COMMAS and (commas := head_bytes.count(b",")) > MAX_HEADER_COMMAS:
        raise SipSyntaxError("too_many_values", f"{commas} commas in the headers; limit {MAX_HEADER_COMMAS}")
    return head, head_bytes, rest


def read_head(head: bytes) -> Head:
    """Split a message's head into its lines. Any bytes give a head."""
    return _read_lines(head.decode("utf-8", "surrogateescape").split("\n"))


def _read_lines(lines: list[str]) -> Head:
    """Read a head of which the lines were split at their line feeds."""
    first: dict[str, str] = {}
    repeated: dict[str, list[str]] = {}
    known = _canonical_names
    start_line, *lines = lines
    try:
        for line in lines:
            name, colon, value = line.partition(":")
            canonical = known[name if colon else ""]
            if canonical in first:
                repeated.setdefault(canonical, [first[canonical]]).append(value.strip(_BLANKS))
            else:
                first[canonical] = value.strip(_BLANKS)
    except KeyError:  # a name not known yet
        return _read_uncommon_head(start_line, lines)
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
        if TOKEN.fullmatch(written) is None:
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


def _check_number_of_lines(head_bytes: bytes) -> None:
    lines = head_bytes.count(b"\n") + 1
    if lines > MAX_HEADER_LINES:
        raise SipSyntaxError("too_many_headers", f"{lines} lines; limit {MAX_HEADER_LINES}")


def _read_head_of_bare_cr(head_bytes: bytes) -> Head:
    """Read a head whose start line goes on behind a CR without LF: each CR ends a line, so that the method can be told.

    Wireshark and others read it so; the anomaly ``bare_cr`` says that not all do.
    """
    written = _BARE_CR.sub(b"\n", head_bytes)
    empty_line = find_empty_line(written)
    lines = written[: empty_line[0]] if empty_line is not None else written
    _check_number_of_lines(lines)
    return read_head(lines)


def _split_at_first_empty_line(whole: bytes) -> tuple[bytes, bytes | None]:
    """Return the head without its last line end, and what follows the empty line (None without one)."""
    empty_line = find_empty_line(whole)
    if empty_line is None:
        return whole.rstrip(b"\r\n"), None
    return whole[: empty_line[0]].removesuffix(b"\r"), whole[empty_line[1] :]
