"""Content-Length: where the body ends (RFC 3261 §18.3, §20.14). One reading of it, for datagrams and for streams."""

import re
from collections.abc import Sequence

_DIGITS = re.compile(r"\d+", re.ASCII)
_MOST_DIGITS = 10
"""More digits than any length that a message may have; ``int`` of thousands of digits would be slow."""


def announced_length(values: Sequence[str]) -> tuple[int | None, str | None]:
    """Return the length in bytes that a message's Content-Length headers announce, and the anomaly if they are odd.

    None without the header, and where two headers differ (``content_length_conflicting``) or the value is no number
    (``content_length_invalid``): then nobody can say where other readers take the body to end.
    """
    if not values:
        return None, None
    if len(values) > 1 and len(set(values)) > 1:
        return None, "content_length_conflicting"
    text = values[0]
    if _DIGITS.fullmatch(text) is None:
        return None, "content_length_invalid"
    return int(text) if len(text) <= _MOST_DIGITS else 10**_MOST_DIGITS, None
