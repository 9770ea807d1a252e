"""Content-Length: where the body ends (RFC 3261 §18.3, §20.14). One reading of it, for datagrams and for streams."""

from firewall.net.remembered import remembered
from firewall.sip.head import Head

_NAME = "content-length"
_MOST_DIGITS = 10
"""More digits than any length that a message may have; ``int`` of thousands of digits would be slow."""


def announced_length(head: Head) -> tuple[int | None, str | None]:
    """Return the length in bytes that a message's Content-Length headers announce, and the anomaly if they are odd.

    None without the header, and where two headers differ (``content_length_conflicting``) or the value is no number
    (``content_length_invalid``): then nobody can say where other readers take the body to end.
    """
    text = head.first.get(_NAME)
    if text is None:
        return None, None
    if _NAME in head.repeated and len(set(head.repeated[_NAME])) > 1:
        return None, "content_length_conflicting"
    return _length(text)


@remembered(1024)
def _length(text: str) -> tuple[int | None, str | None]:
    if not (text.isascii() and text.isdigit()):
        return None, "content_length_invalid"
    return int(text) if len(text) <= _MOST_DIGITS else 10**_MOST_DIGITS, None
