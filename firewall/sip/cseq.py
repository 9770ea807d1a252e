"""The CSeq header: the number and the method of a transaction (RFC 3261 §20.16)."""

from firewall.net.remembered import remembered
from firewall.sip.number import MAX_UINT32, read_number

MAX_CSEQ = 2**31 - 1
"""RFC 3261 §8.1.1.5: what is above is invalid, and still names a transaction up to 32 bits."""


@remembered(4096)  # most senders begin to count at the same few numbers
def read_cseq(text: str) -> tuple[int | None, str | None]:
    """Return number and method: (None, None) unless it is two words, no number where it is none or over 32 bits."""
    words = text.split()
    if len(words) != 2:
        return None, None
    number, method = words
    return read_number(number, MAX_UINT32), method
