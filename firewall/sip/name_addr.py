"""``name-addr`` and ``addr-spec``: the value of From, To, Contact, Route (RFC 3261 §20.10, §25.1)."""

import re

import msgspec

from firewall.net.remembered import remembered
from firewall.sip.headers import QUOTED_TEXT, parse_params, unquote

# As nearly every From and To is written: a quoted name without escapes or none, a URI in brackets, a tag or nothing.
_USUAL = re.compile(r'(?:"([^"\\]*)"[ ]*)?<([!-;=?-~]*)>(?:;tag=([!#-:=-~]*))?')
# What stands before the first "<" that is in no quoted string, or before a quote without an end.
_NAME = re.compile(rf'(?>(?:[^"<]++|{QUOTED_TEXT}")*)', re.DOTALL)


class NameAddr(msgspec.Struct, frozen=True, gc=False):
    """A display name, a URI as written (without ``<>``), and the header parameters behind it (names lower case)."""

    display_name: str | None
    uri: str
    params: dict[str, str | None]


@remembered(4096)
def parse_name_addr(text: str) -> NameAddr:
    """Split one From/To/Contact/Route value. Any text gives a ``NameAddr``.

    Without angle brackets everything after the first ``;`` belongs to the header, not to the URI (RFC 3261 §20).
    """
    usual = _USUAL.fullmatch(text)
    if usual is None:
        return _parse_unusual(text)
    display_name, uri, tag = usual.groups()
    return NameAddr(display_name or None, uri, {} if tag is None else {"tag": tag})


def _parse_unusual(text: str) -> NameAddr:
    """Split a value of any form: the usual one as ``parse_name_addr`` does."""
    text = text.strip()
    open_bracket = opening_bracket(text)
    if open_bracket < 0:
        uri, _, params = text.partition(";")
        return NameAddr(None, uri.strip(), parse_params(params) if params else {})
    display_name = unquote(text[:open_bracket].strip()) or None
    uri, closed, rest = text[open_bracket + 1 :].partition(">")
    if not closed:
        return NameAddr(display_name, uri.strip(), {})
    _, semicolon, params = rest.partition(";")
    return NameAddr(display_name, uri.strip(), parse_params(params) if semicolon else {})


def opening_bracket(text: str) -> int:
    """Return where "<" stands first outside a quoted string, -1 where it does not."""
    if '"' not in text:
        return text.find("<")
    rest = _NAME.sub("", text, count=1)
    if rest.startswith('"'):
        return text.find("<")  # a quote without an end (RFC 4475 §3.1.2.6) must not hide the URI
    return len(text) - len(rest) if rest else -1
