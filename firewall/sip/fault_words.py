"""The words of all that can be wrong with a message: code, title, page. ``reasons.py`` puts them into the one table.

``ANOMALIES`` are of messages that can be read, ``MALFORMED`` says why one could not be.
"""

_ATTACK = "Attack tools send it; no phone or trunk should."

ANOMALIES: tuple[tuple[str, str, str], ...] = (
    *(
        (
            f"missing_{header.lower().replace('-', '_')}",
            f"No {header} header",
            f"RFC 3261 §8.1.1 asks every message for {header}; one without a value is none. "
            "The message is read all the same; without it a transaction or dialog may not be recognised.",
        )
        for header in ("Via", "From", "To", "Call-ID", "CSeq")
    ),
    *(
        (
            f"conflicting_{header.lower().replace('-', '_')}",
            f"Two {header} headers that differ",
            f"RFC 3261 §7.3.1: {header} may stand once. The first is read here, but another element may read the last: "
            f"a way to make a message pass as another. {_ATTACK}",
        )
        for header in ("Call-ID", "CSeq", "From", "To", "Max-Forwards", "Content-Type")
    ),
    (
        "repeated_header",
        "A header that may stand once is repeated",
        "RFC 3261 §7.3.1. From, To, Call-ID, CSeq, Max-Forwards, Content-Type or Content-Length stands twice with the "
        "same value: careless, but every element reads the same.",
    ),
    (
        "cseq_method_mismatch",
        "CSeq names another method",
        "RFC 3261 §8.1.1.5: the method in CSeq must be the request's. Attack tools make them differ.",
    ),
    (
        "cseq_invalid",
        "CSeq is no number and method",
        "RFC 3261 §8.1.1.5: a number below 2^31 and a method. Without a number the transaction is not recognised.",
    ),
    (
        "via_branch_empty",
        "The branch of a Via is empty or only its magic cookie",
        "RFC 3261 §8.1.1.7 (RFC 4475 §3.2.1): nothing follows z9hG4bK, so transactions cannot be told apart by it.",
    ),
    (
        "via_unreadable",
        "The topmost Via names no transport and sender",
        "RFC 3261 §20.42: a Via is SIP/2.0, a transport and where the sender is: a host or an address (of IPv6 in "
        "brackets), perhaps a port up to 65535. No response finds its way by it.",
    ),
    (
        "repeated_parameter",
        "A parameter stands twice in an address or a Via",
        "RFC 3261 §7.3.1: each may stand once. The first is read here, but another element may read the last: with two "
        f"tags or two branches they see other dialogs and transactions. {_ATTACK}",
    ),
    (
        "content_length_invalid",
        "Content-Length is no number",
        "RFC 3261 §20.14. In a datagram the body is taken to the end; in a TCP stream there is none.",
    ),
    (
        "content_length_conflicting",
        "Two Content-Length headers that differ",
        "RFC 3261 §20.14. A known way to smuggle a second message past a firewall (RFC 4475 §3.3.9): who takes the "
        "first and who takes the last see other messages. In a datagram the body is taken to the end; in a TCP "
        f"stream there is none, and the next start line begins a message. {_ATTACK}",
    ),
    (
        "content_length_missing",
        "No Content-Length in a message over TCP",
        "RFC 3261 §18.3, §20.14 demand it on a stream. With a Content-Type there is a body: it is taken to go on to "
        "the next start line, or until nothing has come for 0.1 s. Without one the message ends with its headers.",
    ),
    (
        "content_length_beyond_end",
        "Content-Length goes beyond the datagram",
        "RFC 3261 §18.3. The message was cut or its author counted wrongly; the body is taken to the datagram's end.",
    ),
    (
        "content_length_short",
        "Bytes after the body",
        "RFC 3261 §18.3: what is beyond Content-Length is no part of the message. It is forwarded unchanged.",
    ),
    (
        "multipart_unterminated",
        "A multipart body without its end",
        "RFC 2046 §5.1.1: the boundary with two hyphens before and behind it ends such a body. The last part is taken "
        "to the body's end; where no boundary is named, the body is one part. The message may have been cut.",
    ),
    (
        "head_unterminated",
        "No empty line after the headers",
        "RFC 3261 §7: an empty line ends the headers, also without a body. The message may have been cut.",
    ),
    (
        "bare_cr",
        "Carriage return inside a line",
        "RFC 3261 §7.3.1: lines end with CR LF. Some elements take a CR alone for a line end and so see headers that "
        "others see as part of a value (CR injection). Where the start line itself goes on behind one, each is read as "
        f"a line end. {_ATTACK}",
    ),
    (
        "line_end_lf",
        "Lines end with LF alone",
        "RFC 3261 §7.3.1 wants CR LF. Scripts and some gateways send LF alone; it is read as a line end.",
    ),
    (
        "line_ends_mixed",
        "Some lines end with CR LF, some with LF",
        "RFC 3261 §7.3.1 wants CR LF. Where one element takes LF alone for a line end and another does not, they see "
        "different headers.",
    ),
    (
        "blank_line",
        "A line of blanks among the headers",
        "RFC 3261 §7.3.1 takes it for a folded line; other elements take it for the end of the headers and see another "
        f"body. {_ATTACK}",
    ),
    (
        "start_line_folded",
        "The line after the start line begins with a blank",
        "RFC 3261 §7.1: a start line is not folded. The line is read as a header.",
    ),
    (
        "nul_byte",
        "NUL among the headers",
        "RFC 3261 §25.1 allows it only behind a backslash in quotes. Programs in C may see the message end there. "
        f"{_ATTACK}",
    ),
    (
        "control_character",
        "Control character among the headers",
        "RFC 3261 §25.1 allows none but line ends and tabs, or behind a backslash in quotes.",
    ),
    (
        "not_utf8",
        "Bytes that are no UTF-8",
        "RFC 3261 §7.3.1: headers are UTF-8. Old phones send names in Latin-1; the bytes pass unchanged.",
    ),
    (
        "header_without_colon",
        "A line that is no header",
        "RFC 3261 §7.3.1: a header line is a name, a colon and a value. The line is passed over.",
    ),
    (
        "header_name_invalid",
        "A header's name is no token",
        "RFC 3261 §25.1. The name is empty or has blanks or other characters inside that a name may not have.",
    ),
    (
        "method_case",
        "Method not in capitals",
        "RFC 3261 §7.1: methods are case-sensitive, so this is none of the known methods. Some elements read it as "
        "one all the same.",
    ),
    (
        "version_unknown",
        "SIP version is not 2.0",
        "RFC 3261 §7.1. An element answers 505 to it (RFC 4475 §3.1.2.16).",
    ),
    (
        "request_line_blanks",
        "Blanks too many in the request line",
        "RFC 3261 §7.1: one space stands between its parts and none around them (RFC 4475 §3.1.2.9, §3.1.2.10).",
    ),
    (
        "request_uri_blanks",
        "Blanks inside the Request-URI",
        "RFC 3261 §7.1 allows none (RFC 4475 §3.1.2.8). The Request-URI is read from the method to the version.",
    ),
    (
        "request_uri_brackets",
        "Angle brackets around the Request-URI",
        "RFC 3261 §7.1 allows none (RFC 4475 §3.1.2.7). They are left out of the Request-URI that rules see.",
    ),
    (
        "request_uri_headers",
        "Headers inside the Request-URI",
        "RFC 3261 §19.1.1 allows none there (RFC 4475 §3.1.2.11). They could add a Route or other headers downstream.",
    ),
    (
        "request_uri_user_ambiguous",
        "More than one @ in the Request-URI",
        "RFC 3261 §25.1 wants all but one escaped. Here the user part goes up to the last; an element that takes it "
        f"up to the first calls someone else. {_ATTACK}",
    ),
    (
        "request_uri_host_invalid",
        "Host or port of the Request-URI is unreadable",
        "RFC 5118 §4.2, §4.10: an IPv6 address stands in brackets, without a zone, and is a valid one, else address "
        "and port cannot be told apart. RFC 3261 §25.1: a host has letters, digits, dots and hyphens (an underscore is "
        "let pass) and is not empty, a port is a number up to 65535.",
    ),
    (
        "request_uri_escape_invalid",
        "A % in the Request-URI that begins no escape",
        "RFC 3261 §25.1: two hexadecimal digits stand behind it. It is read as it is; other elements drop it or the "
        "call, and so may call someone else.",
    ),
    (
        "request_uri_scheme_missing",
        "The Request-URI has no scheme",
        "RFC 3261 §25.1: a URI begins with sip:, sips:, tel:, urn: or the like. What stands here is read as it is.",
    ),
    (
        "status_code_unknown",
        "Status code below 100 or above 699",
        "RFC 3261 §7.2 has six classes, 1xx to 6xx.",
    ),
    (
        "max_forwards_zero",
        "Max-Forwards is used up",
        "RFC 3261 §16.3: a proxy answers 483 to it. Either the request went in circles or its sender asks for the "
        "first hop.",
    ),
    (
        "max_forwards_invalid",
        "Max-Forwards is no number from 0 to 255",
        "RFC 3261 §20.22 (RFC 4475 §3.1.2.4). Elements differ in what they take such a value for.",
    ),
    (
        "expires_invalid",
        "Expires is no number of seconds",
        "RFC 3261 §20.10, §20.19: the header, or a Contact's parameter, is a number below 2^32 (RFC 4475 §3.1.2.4); "
        "scanners send longer ones to break number reading.",
    ),
    (
        "retry_after_invalid",
        "Retry-After is no number of seconds",
        "RFC 3261 §20.33: a number below 2^32, perhaps with a comment (RFC 4475 §3.1.2.5).",
    ),
    (
        "date_invalid",
        "Date is not in SIP's form",
        "RFC 3261 §20.17: a SIP date is always GMT (RFC 4475 §3.1.2.12).",
    ),
    (
        "warning_invalid",
        "Warning is not in SIP's form",
        "RFC 3261 §20.43: a code of three digits, an agent and a quoted text (RFC 4475 §3.1.2.5).",
    ),
    (
        "unterminated_quote",
        "Quote without an end in an address",
        "RFC 3261 §25.1 (RFC 4475 §3.1.2.6). From, To, Contact or another address has a quoted string that never "
        "ends: elements guess differently where the URI begins.",
    ),
    (
        "unterminated_bracket",
        "Angle bracket without an end in an address",
        "RFC 3261 §20.10. From, To, Contact or another address has `<` without `>`; the rest is taken for the URI.",
    ),
    (
        "address_unbracketed",
        "URI with headers without angle brackets",
        "RFC 3261 §20.10: a URI with a comma, question mark or semicolon stands in brackets (RFC 4475 §3.1.2.13).",
    ),
    (
        "address_blanks",
        "Blanks inside the URI of an address",
        "RFC 3261 §25.1 allows none (RFC 4475 §3.1.2.14). Those at its ends are left out of the URI that rules see.",
    ),
    (
        "address_without_uri",
        "Address without a URI",
        "RFC 3261 §25.1: From, To, Contact or another address holds a URI, which begins with sip:, tel: or another "
        "scheme.",
    ),
    (
        "display_name_unquoted",
        "Display name needs quotes",
        "RFC 3261 §25.1: a display name with a comma, a quote or the like stands in quotes as a whole (RFC 4475 "
        "§3.1.2.15).",
    ),
    (
        "stray_separators",
        "Separators without values",
        "RFC 3261 §7.3.1 (RFC 4475 §3.1.2.1). An address or Via has commas or semicolons with nothing between them.",
    ),
)

MALFORMED: tuple[tuple[str, str, str], ...] = (
    (
        "not_sip",
        "No SIP message",
        "A datagram on a signalling port has no request line or status line (RFC 3261 §7). No rule matched: "
        "`exceptions.malformed` decided.",
    ),
    (
        "message_too_large",
        "Message over the size limit",
        "The message is longer than 65 535 bytes, or its Content-Length says so on a stream (TCP). No rule matched: "
        "`exceptions.malformed` decided, also on that of an emergency call: its head alone would take what follows on "
        "the connection, the messages of other calls, for its body.",
    ),
    (
        "start_line_too_long",
        "Start line over the size limit",
        "The request or status line is longer than 8 192 characters. No rule matched: `exceptions.malformed` decided.",
    ),
    (
        "too_many_headers",
        "Too many header lines",
        "The message has more than 512 header lines. No rule matched: `exceptions.malformed` decided.",
    ),
    (
        "too_many_values",
        "Too many values in header lines",
        "The header lines hold more than 1 024 commas, which divide values (RFC 3261 §7.3.1): more than any list in "
        "use, and slow to read on purpose. No rule matched: `exceptions.malformed` decided.",
    ),
    (
        "status_code_invalid",
        "Status line without a status code",
        "The message begins like a response, but its status code is not three digits (RFC 3261 §7.2, RFC 4475 "
        "§3.1.2.19). No rule matched: `exceptions.malformed` decided.",
    ),
    (
        "stun",
        "STUN on the signalling port",
        "The datagram is a STUN message (RFC 8489 §5): the sender keeps its binding alive or asks for its address "
        "(RFC 5626 §3.5.2). No rule matched: `exceptions.malformed` decided.",
    ),
)
