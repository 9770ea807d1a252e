"""What can be told of bytes before they are read, or where they are no SIP message."""

import re

from firewall.sip.limits import MAX_IDENTIFIER

_CALL_ID = re.compile(rb"[\r\n](?:call-id|i)[ \t]*:[ \t]*([^\s\0]{1,%d})" % MAX_IDENTIFIER, re.IGNORECASE)
_SEARCHED_BYTES = 16_384


def call_id_in(payload: bytes) -> str | None:
    """Return what stands in the first line that looks like a Call-ID header (RFC 3261 §20.8), None without one."""
    found = _CALL_ID.search(b"\n" + payload[:_SEARCHED_BYTES])
    return found[1].decode("utf-8", "surrogateescape") if found is not None else None
