"""Where sosgate and Wireshark 4.0 read a frame differently: every case, and why it stays so.

The table is exact: the tests fail on a difference that is not in it, and on an entry that is no difference any more.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Difference:
    """Frames (named in tests/oracle/captures.py), the fields that differ in each of them, and the reason; * is any."""

    frames: tuple[str, ...]
    fields: tuple[str, ...]
    reason: str

    def explains(self, frame: str, field: str) -> bool:
        """Tell whether this is the reason of a difference."""
        return _fits(frame, self.frames) and _fits(field, self.fields)

    def unused(self, found: set[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return the (frames, fields) of this entry that no difference found, each (frame, field), needs."""
        return [
            (frames, fields)
            for frames in self.frames
            for fields in self.fields
            if not any(fnmatchcase(frame, frames) and fnmatchcase(field, fields) for frame, field in found)
        ]


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


_FOLDED = "RFC 3261 §7.3.1: a folded value is the same as one with a blank instead; Wireshark keeps the line ends"

DIFFERENCES: tuple[Difference, ...] = (
    Difference(
        (
            "strange/number alone",
            "strange/old version",
            "strange/tabs",
            "strange/many blanks",
            "strange/blank in the URI",
            "strange/no reason",
            "strange/NUL in the start line",
            "torture/lwsruri",
            "torture/lwsstart",
            "torture/trws",
            "torture/badvers",
        ),
        ("sip", "sip.*"),
        "Wireshark takes the message for none. NENA-STA-010.3 §3.1.1 asks elements to accept what can be read, so "
        "sosgate reads it and notes an anomaly",
    ),
    Difference(
        ("strange/CRLF before",),
        ("sip", "sip.*"),
        "RFC 3261 §7.5: line ends before the start line are ignored; Wireshark sees no start line behind them",
    ),
    Difference(
        ("strange/CR in a header",),
        ("sip.Subject", "sip.Organization"),
        "RFC 3261 §7.3: CRLF ends a line; Wireshark takes a CR alone for one, the anomaly bare_cr tells of it",
    ),
    Difference(
        ("tcp/two messages",),
        ("sip.*",),
        "sosgate decides each message of a segment by itself; Wireshark pools the values of all messages of the frame",
    ),
    Difference(
        ("tcp/continuation",),
        ("sip",),
        "the rest of a message whose beginning the capture lacks is no message; to Wireshark it is SIP, Continuation",
    ),
    Difference(
        ("ip/source route",),
        ("ip.dst", "ip.addr"),
        "RFC 791 §3.1: the header has the next address of the route, where it is seen; Wireshark shows the last",
    ),
    Difference(
        ("udp/UDP-Lite",),
        ("udp",),
        "UDP-Lite is read like UDP; Wireshark has a protocol of its own for it, with the ports of UDP",
    ),
    Difference(
        ("*",),
        ("sip.r-uri.param",),
        "Wireshark 4.0 knows the field and never fills it; sosgate gives each parameter, as of any other URI",
    ),
    Difference(
        ("strange/one character",),
        ("sip.r-uri.user",),
        "Wireshark has no user part of one character; a rule about the user 0 must not be blind",
    ),
    Difference(
        ("strange/password", "torture/intmeth"),
        ("sip.r-uri.user",),
        "Wireshark takes user:password for the user part; RFC 3261 §19.1.1 ends the user at the colon",
    ),
    Difference(
        ("strange/sips",),
        ("sip.r-uri.user", "sip.r-uri.host"),
        "RFC 3261 §19.1.4: schemes are compared in any case; Wireshark splits only URIs of lower case ones",
    ),
    Difference(
        ("torture/ltgtruri",),
        ("sip.r-uri", "sip.r-uri.user", "sip.r-uri.host"),
        "RFC 4475 §3.1.2.4: a Request-URI in angle brackets; Wireshark keeps the brackets and finds no parts",
    ),
    Difference(
        ("strange/any case",),
        ("sip.from.tag", "sip.tag"),
        "RFC 3261 §7.3.1: parameter names are of any case; Wireshark looks for tag in lower case only",
    ),
    Difference(
        ("strange/port over 65535",),
        ("sip.r-uri.port", "sip.Via.sent-by.port"),
        "a port that no packet can have is none for sosgate; Wireshark shows a URI's digits, and 65535 for a Via's",
    ),
    Difference(
        ("strange/headers behind parameters",),
        ("sip.to.param",),
        "RFC 3261 §19.1.1: what follows the ? are headers; Wireshark takes them for a part of the last parameter",
    ),
    Difference(
        ("torture/multi01",),
        ("sip.CSeq.seq", "sip.CSeq.method"),
        "RFC 3261 §20.16: a message has one; the first tells its transaction, sip.CSeq and an anomaly tell the others",
    ),
    Difference(
        ("strange/two tags",),
        ("sip.from.tag", "sip.tag"),
        "RFC 3261 §7.3.1 allows one; sosgate shows both to a rule, Wireshark the first",
    ),
    Difference(
        ("strange/routes with parameters",),
        ("sip.Route.uri", "sip.Route.host"),
        "RFC 3261 §20.34: each value may have parameters; Wireshark finds no value behind them",
    ),
    Difference(
        ("strange/port ends the Via",),
        ("sip.Via.sent-by.port",),
        "a Via without parameters, as many emergency calls have it: Wireshark sees no port at the value's end",
    ),
    Difference(
        ("strange/no brackets", "torture/unksm2"),
        ("sip.to.addr",),
        "To: urn:service:sos without brackets, seen in real emergency calls; Wireshark finds no address",
    ),
    Difference(
        ("strange/blanks",),
        ("sip.Via", "sip.Via.*"),
        "RFC 3261 §7.3.1 allows blanks before the colon; Wireshark does not know the header then",
    ),
    Difference(
        ("strange/blanks",),
        ("sip.CSeq", "sip.CSeq.method", "sip.Call-ID"),
        "blanks around a value are not part of it (RFC 3261 §7.3.1); Wireshark keeps them",
    ),
    Difference(
        ("strange/bad numbers",),
        ("sip.CSeq.seq", "sip.CSeq.method", "sip.Content-Length", "sip.Expires", "sip.Max-Forwards"),
        "what is no number has no value for sosgate, and is an anomaly; Wireshark reads 0 or wraps around",
    ),
    Difference(
        ("strange/empty reason",),
        ("sip.Retry-After",),
        "RFC 3261 §20.33: a comment and parameters may follow the seconds; Wireshark reads 0",
    ),
    Difference(("strange/folded",), ("sip.Subject",), _FOLDED),
    Difference(
        ("strange/not UTF-8",),
        ("sip.Subject", "sip.msg_hdr"),
        "a byte that is no UTF-8 is one byte for sosgate, as on the wire; Wireshark puts a replacement character there",
    ),
    Difference(
        ("strange/NUL",),
        ("sip.Organization",),
        "a NUL is a byte of the value for sosgate; to Wireshark the text ends there",
    ),
    Difference(
        ("strange/NUL", "torture/intmeth", "torture/mpart01"),
        ("sip.msg_hdr",),
        "a NUL is a byte of the value for sosgate; to Wireshark the text ends there",
    ),
    Difference(
        ("strange/display names",),
        ("sip.pai.addr",),
        "RFC 3325 §9.1: P-Asserted-Identity may have two values; Wireshark reads the first",
    ),
    Difference(
        ("strange/odd description",),
        (
            "sdp.connection_info.address",
            "sdp.connection_info.address_type",
            "sdp.media.format",
            "sdp.media.proto",
            "sdp.owner.address",
        ),
        "lines that lack their words: Wireshark repeats the word before, sosgate has no value",
    ),
    Difference(
        ("strange/odd description",),
        ("sdp.media_attr",),
        "Wireshark reads no further than a line without =; a sender could hide attributes behind one",
    ),
    Difference(
        ("torture/lwsruri", "torture/lwsstart"),
        ("sdp", "sdp.*"),
        "Wireshark takes the message for none, so that there is no description either",
    ),
    Difference(
        ("torture/ncl",),
        ("sip.Content-Length", "sdp", "sdp.*"),
        "no number is no length: the body goes to the datagram's end; Wireshark reads 0 and no body",
    ),
    Difference(
        ("torture/scalar02", "torture/scalarlg"),
        ("sip.CSeq.seq",),
        "over 32 bits: Wireshark shows the largest number, which could match a rule; ours is absent",
    ),
    Difference(
        ("torture/wsinv",),
        (
            *("sip.CSeq", "sip.Contact", "sip.contact.parameter", "sip.Content-Length", "sip.display.info", "sip.From"),
            *("sip.from.*", "sip.Subject", "sip.To", "sip.to.*", "sip.Via", "sip.Via.*"),
        ),
        "RFC 3261 §7.3.1, §25.1: folded lines, and blanks before colons and around equals signs; Wireshark keeps the "
        "line ends and knows neither header nor parameter",
    ),
    Difference(("torture/scalar02",), ("sip.Contact",), _FOLDED),
    Difference(("torture/longreq",), ("sip.Via",), _FOLDED),
    Difference(("torture/semiuri",), ("sip.Accept",), _FOLDED),
    Difference(
        ("torture/intmeth",),
        (
            *("sip.CSeq", "sip.CSeq.method", "sip.Content-Length", "sip.Max-Forwards"),
            *("sip.display.info", "sip.To", "sip.to.display.info"),
        ),
        "RFC 3261 §25.1 sets no limit to a method and allows an escaped NUL; Wireshark shows no method of more than 16 "
        "characters, and its texts end at a NUL",
    ),
    Difference(
        ("torture/ipv6-bad",),
        ("sip.r-uri.port",),
        "an IPv6 address without brackets: what follows its first colon is no port, which is a number",
    ),
    Difference(
        ("torture/quotbal",),
        ("sip.to.addr", "sip.to.user", "sip.to.host", "sip.to.display.info", "sip.display.info"),
        "a quote without an end: Wireshark finds no address, which would hide it from rules",
    ),
    Difference(
        ("torture/badaspec",),
        ("sip.to.addr",),
        "blanks at its ends are no part of an address; Wireshark keeps the last",
    ),
    Difference(
        ("torture/badinv01",),
        ("sip.contact.parameter",),
        "between two separators stands no parameter; Wireshark shows the separator",
    ),
    Difference(
        ("torture/badinv01", "torture/longreq"),
        ("sip.Via.sent-by.address",),
        "where a blank or separator too many follows, Wireshark shows an empty second address",
    ),
)
