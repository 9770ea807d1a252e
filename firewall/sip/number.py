"""Numbers as headers and descriptions write them (RFC 3261 §25.1, ``1*DIGIT``)."""

MAX_UINT32 = 2**32 - 1

_MOST_DIGITS = 20
"""``int`` of thousands of digits would be slow, and takes signs, blanks and the digits of other scripts besides."""


def read_number(text: str, maximum: int) -> int | None:
    """Return a number of ASCII digits, None where it is none or above ``maximum``."""
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        return None
    number = int(text)
    return number if number <= maximum else None
