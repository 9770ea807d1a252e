r"""What well-formed values look like: regexes with a named group for each part that a field reads.

They follow the ABNF of RFC 3261 §25.1 and RFC 8866 §9, read widely where the field is known to be wide (``#`` in a user
part, bytes beyond ASCII in text). Letters stand for themselves; a line of a header or of SDP ends in ``\n``.
"""

# RFC 3261 §25.1 token, one character of it.
TCHAR = r"[A-Za-z0-9\-.!%*_+`'~]"
TEXT = r"[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?"
_ESCAPED = r"%[0-9A-Fa-f]{2}"
_UNRESERVED = r"A-Za-z0-9\-_.!~*'()"
_QUOTED = r'"(?:[\t !#-\[\]-~\x80-\xff]|\\[\t -~])*"'


def number_up_to(maximum: int) -> str:
    """Return a regex of the numbers from 0 to a maximum, in decimal without leading zeros."""
    return f"(?:{_positive_up_to(str(maximum))}|0)"


def positive_up_to(maximum: int) -> str:
    """Return a regex of the numbers from 1 to a maximum."""
    return f"(?:{_positive_up_to(str(maximum))})"


def _positive_up_to(digits: str) -> str:
    shorter = f"[1-9][0-9]{{0,{len(digits) - 2}}}" if len(digits) > 1 else None
    same = _same_length(digits, first=True)
    return f"{shorter}|{same}" if shorter else same


def _same_length(digits: str, *, first: bool) -> str:
    """The numbers of as many digits that are not greater."""
    if not digits:
        return ""
    head, lowest = int(digits[0]), 1 if first else 0
    rest = digits[1:]
    equal = f"{head}{_same_length(rest, first=False)}"
    if head == lowest:
        return f"(?:{equal})"
    lower = f"[{lowest}-{head - 1}]" + (f"[0-9]{{{len(rest)}}}" if rest else "")
    return f"(?:{lower}|{equal})"


_BLANKS = r"[\t ]*"
_SEMICOLON = rf"{_BLANKS};{_BLANKS}"
_COMMA = rf"{_BLANKS},{_BLANKS}"
_EQUALS = rf"{_BLANKS}={_BLANKS}"
_SLASH = rf"{_BLANKS}/{_BLANKS}"
PORT = number_up_to(65_535)
UINT32 = number_up_to(2**32 - 1)
_USER = rf"(?:[{_UNRESERVED}&=+$,;?/#]|{_ESCAPED})+"
# With a colon in it: sip:urn:service:sos@host is seen in the field, and stands in From and To of a whole call.
_PASSWORD = rf"(?:[{_UNRESERVED}&=+$,:]|{_ESCAPED})*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]+\])"
_URI_PARAM = rf"(?:[{_UNRESERVED}\[\]/:&+$=]|{_ESCAPED})+"
_URI_HEADERS = rf"(?:[{_UNRESERVED}\[\]/?:+$=&]|{_ESCAPED})+"
_SCHEME = r"(?i:sips?)"
SIP_URI = (
    rf"{_SCHEME}:(?:(?P<user>{_USER})(?::{_PASSWORD})?@)?(?P<host>{_HOST})(?::0*(?P<port>{PORT}))?"
    rf"(?:;(?P<param>{_URI_PARAM}))*(?:\?{_URI_HEADERS})?"
)
# What has no sip: or sips: before it has no parts for Wireshark: tel:, urn:, and the "911" alone that i3 lets pass.
OPAQUE_URI = rf"(?P<opaque>[{_UNRESERVED};/?:@&=+$,#\[\]%]+)"
_ABSOLUTE_URI = rf"(?P<opaque>[A-Za-z][A-Za-z0-9+.\-]*:[{_UNRESERVED};/?:@&=+$,#\[\]%]+)"
# RFC 3261 §20: without angle brackets a URI has no comma, question mark or semicolon.
_BARE_SIP_URI = (
    rf"{_SCHEME}:(?:(?P<user>(?:[{_UNRESERVED}&=+$/#]|{_ESCAPED})+)(?::(?:[{_UNRESERVED}&=+$:]|{_ESCAPED})*)?@)?"
    rf"(?P<host>{_HOST})(?::0*(?P<port>{PORT}))?"
)
_BARE_URI = rf"(?P<opaque>[A-Za-z][A-Za-z0-9+.\-]*:[{_UNRESERVED}/:@&=+$#\[\]%]+)"
_DISPLAY = rf"(?:(?P<display>{_QUOTED})[ \t]*|(?P<display>{TCHAR}+(?:[ \t]+{TCHAR}+)*[ \t]*))?"
_HEADER_PARAM = rf"{TCHAR}+(?:{_EQUALS}(?:[A-Za-z0-9\-.!%*_+`'~\[\]:]+|{_QUOTED}))?"
NAME_ADDR = rf"{_DISPLAY}<(?P<uri>{SIP_URI}|{_ABSOLUTE_URI})>"
ADDR_SPEC = rf"(?P<uri>{_BARE_SIP_URI}|{_BARE_URI})"

REQUEST_LINE = rf"(?P<line>(?P<method>{TCHAR}+) (?P<uri>{SIP_URI}|{OPAQUE_URI}) SIP/2\.0)\n"
STATUS_LINE = rf"(?P<line>SIP/2\.0 (?P<code>[0-9]{{3}}) (?:{TEXT})?)\n"

FROM_OR_TO = (
    rf"(?P<line>(?:{NAME_ADDR}|{ADDR_SPEC})(?:{_SEMICOLON}(?P<other>{_HEADER_PARAM}))*"
    rf"(?:{_SEMICOLON}(?i:tag)=(?P<tag>{TCHAR}+)(?:{_SEMICOLON}(?P<other>{_HEADER_PARAM}))*)?)\n"
)
_ADDRESS = rf"(?:{NAME_ADDR}|{ADDR_SPEC})(?:{_SEMICOLON}(?P<parameter>{_HEADER_PARAM}))*"
ADDRESSES = rf"(?:(?P<line>{_ADDRESS}(?:{_COMMA}{_ADDRESS})*)\n)*"
CONTACTS = rf"(?:(?P<line>\*)\n|{ADDRESSES})"
_ROUTE = rf"{NAME_ADDR}(?:{_SEMICOLON}(?P<parameter>{_HEADER_PARAM}))*"
ROUTES = rf"(?:(?P<line>{_ROUTE}(?:{_COMMA}{_ROUTE})*)\n)*"

_VIA_VALUE = r"[A-Za-z0-9\-.!%*_+`'~\[\]:]+"


def _hop(branch: str) -> str:
    params = (
        rf"(?i:branch){_EQUALS}(?P<{branch}>{_VIA_VALUE})|(?i:maddr){_EQUALS}(?P<maddr>{_VIA_VALUE})"
        rf"|(?i:received){_EQUALS}(?P<received>{_VIA_VALUE})|(?i:ttl){_EQUALS}(?P<ttl>{number_up_to(255)})"
        rf"|(?i:comp){_EQUALS}(?P<comp>{TCHAR}+)|(?i:rport){_EQUALS}(?P<rport>{PORT})|(?P<rport>rport)"
        rf"|(?P<other>{_HEADER_PARAM})"
    )
    return (
        rf"(?P<hop>SIP{_SLASH}2\.0{_SLASH}(?P<transport>{TCHAR}+)[\t ]+"
        rf"(?:(?P<address>[A-Za-z0-9](?:[A-Za-z0-9._\-]*[A-Za-z0-9])?\.?)"
        rf"|\[(?P<address>[0-9A-Fa-f:.]+)\])(?:{_BLANKS}:{_BLANKS}0*(?P<port>{PORT}))?(?:{_SEMICOLON}(?:{params}))*)"
    )


_TOP, _HOP = _hop("top"), _hop("branch")
VIAS = rf"(?P<line>{_TOP}(?:{_COMMA}{_HOP})*)\n(?:(?P<line>{_HOP}(?:{_COMMA}{_HOP})*)\n)*"
VIA_PARAMETERS = ("branch", "maddr", "received", "ttl", "comp", "rport")

CSEQ = rf"(?P<line>0*(?P<seq>{number_up_to(2**31 - 1)})[\t ]+(?P<method>{TCHAR}+))\n"
CALL_ID = r"(?P<line>[!-~]+)\n"
CONTENT_TYPE = rf"(?:(?P<line>{TCHAR}+{_SLASH}{TCHAR}+(?:{_SEMICOLON}{_HEADER_PARAM})*)\n)?"
TEXT_HEADER = rf"(?:(?P<line>(?:{TEXT})?)\n)*"


def number_header(numbers: str, *, tail: str = "") -> str:
    """Return the regex of a header that is a number."""
    return rf"(?:(?P<line>0*(?P<number>{numbers}){tail})\n)?"


RETRY_AFTER = number_header(UINT32, tail=rf"(?: ?\([ -'*-\[\]-~]*\))?(?:{_SEMICOLON}{_HEADER_PARAM})*")

_CREDENTIAL_VALUE = rf"(?:{TCHAR}+|{_QUOTED})"
CREDENTIAL_NAMES = ("username", "realm", "nonce", "uri", "algorithm", "response")
_CREDENTIAL = "|".join(
    [
        *(rf"{name}=(?P<{name}>{_CREDENTIAL_VALUE})" for name in CREDENTIAL_NAMES),
        rf"(?P<other>{TCHAR}+={_CREDENTIAL_VALUE})",
        r"[A-Za-z0-9\-._~+/]+=*",
    ]
)
CREDENTIALS = rf"(?:(?P<line>(?P<scheme>{TCHAR}+)(?: (?:{_CREDENTIAL})(?:{_COMMA}(?:{_CREDENTIAL}))*)?)\n)*"

_WORD = r"[!-~\x80-\xff]+"
_FORMAT = r"[!-~]+"
_SAID = r"[\t -~\x80-\xff]+"
"""What may stand in a line of a session description, blanks at its ends included: RFC 8866 §5.3 has ``s= ``."""
_INFORMATION = rf"(?:i=(?P<information>{_SAID})\n)?"
_CONNECTION = r"c=(?P<connection>IN (?P<address_type>IP[46]) (?P<address>[A-Za-z0-9.:_\-]+)(?:/[0-9]+(?:/[0-9]+)?)?)\n"
_BANDWIDTH = rf"(?:b=(?P<bandwidth>{TCHAR}+:[0-9]+)\n)*"
_KEY = rf"(?:k={TEXT}\n)?"


def _attributes(group: str) -> str:
    mapped = rf"(?:rtpmap|fmtp):(?P<format>{_FORMAT})(?: {TEXT})?"
    return rf"(?:a=(?P<{group}>{mapped}|(?P<plain>{_SAID}))\n)*"


NAMED_TRANSPORTS = "RTP/S?AVPF?|UDP/TLS/RTP/SAVPF?"
_MEDIA = (
    rf"m=(?P<media>(?P<kind>{TCHAR}+) (?P<port>{PORT})(?:/[1-9][0-9]{{0,4}})? "
    rf"(?:(?P<rtp>{NAMED_TRANSPORTS})(?: (?P<payload>[0-9]|[!-~]+))+"
    rf"|(?P<transport>[A-Za-z0-9\-.!*_+/]+)(?: (?P<format>{_FORMAT}))+))\n"
    rf"(?:i={TEXT}\n)?(?:{_CONNECTION})*{_BANDWIDTH}{_KEY}{_attributes('media_attribute')}"
)
SDP = (
    rf"(?:(?P<sdp>v=(?P<version>0)\no=(?P<owner>(?P<username>{_WORD}) [0-9]+ [0-9]+ IN IP[46] (?P<host>{_WORD}))\n"
    rf"s=(?P<session>{_SAID})\n{_INFORMATION}(?:u={TEXT}\n)?(?:e={TEXT}\n)*(?:p={TEXT}\n)*(?:{_CONNECTION})?{_BANDWIDTH}"
    rf"(?:t=(?P<time>[0-9]+ [0-9]+)\n(?:r={TEXT}\n)*)+(?:z={TEXT}\n)?{_KEY}{_attributes('session_attribute')}"
    rf"(?:{_MEDIA})*))?"
)
