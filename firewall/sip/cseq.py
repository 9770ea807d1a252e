"""The CSeq header: the number and the method of a transaction (RFC 3261 §20.16)."""

from firewall.net.remembered import remembered

MAX_CSEQ = 2**31 - 1
"""RFC 3261 §8.1.1.5: what is above is invalid, and still names a transaction up to 32 bits."""

_MAX_UINT32 = 0xFFFF_FFFF
_MOST_DIGITS = 20


@remembered(4096)  # most senders begin to count at the same few numbers
def read_cseq(text: str) -> tuple[int | None, str | None]:
    """Return number and method: (None, None) unless it is two words, no number where it is none or over 32 bits."""
    words = text.split()
    if len(words) != 2:
        return None, None
    number, method = words
    if not (number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS):
        return None, method
    value = int(number)
    return (value if value <= _MAX_UINT32 else None), method
