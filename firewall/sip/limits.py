"""Every size limit of the SIP reader: above one, a message is malformed, with the limit's reason code."""

MAX_MESSAGE_BYTES = 65_535
"""A UDP datagram's largest payload; real emergency calls with PIDF-LO reach 10 KB."""

MAX_START_LINE_BYTES = 8_192
"""Request-URIs with embedded headers (RFC 3261 §19.1.1) run to a few hundred bytes; this is far above."""

MAX_HEADER_LINES = 512
"""RFC 4475 §3.1.1.1 and long Via/Record-Route/Identity chains stay under 100."""

MAX_HEADER_COMMAS = 1_024
"""Each may divide two values, and each value costs time; the longest lists in use (Allow, Via, Contact) have dozens."""

MAX_BODY_PARTS = 64
"""Parts of a multipart body, over all levels."""

MAX_BODY_DEPTH = 8
"""Levels of nested multipart bodies (RFC 5621 §3)."""

MAX_MEDIA = 256
"""Media of a session description, each of which costs time; the largest conferences of browsers have some dozens."""

MAX_IDENTIFIER = 1_024
"""Characters of a Call-ID, tag or branch that is remembered as it is, of a longer one its beginning and a digest: the
table of calls keeps them. RFC 4475 §3.1.1.7 has 217."""
