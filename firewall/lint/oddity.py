"""Messages that are wrong in one way each: what rules about ``sip.anomaly`` and ``malformed.reason`` are shown."""

from collections.abc import Iterator

from firewall.sip.limits import MAX_HEADER_COMMAS, MAX_HEADER_LINES, MAX_START_LINE_BYTES

_REQUEST = (
    b"INVITE sip:1000@psap.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP caller.example;branch=z9hG4bK-odd;rport\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:2000@caller.example>;tag=odd\r\n"
    b"To: <sip:1000@psap.example>\r\n"
    b"Call-ID: odd@caller.example\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_MORE = b"Max-Forwards:"
"""Before this line one more is written."""
_WHOLE_VIA = b"Via: SIP/2.0/UDP caller.example;branch=z9hG4bK-odd;rport\r\n"
_TARGET = b"INVITE sip:1000@psap.example"

# Each code with what is written in the place of something else.
_WRITTEN: dict[str, tuple[bytes, bytes]] = {
    "missing_via": (_WHOLE_VIA, b""),
    "missing_from": (b"From: <sip:2000@caller.example>;tag=odd\r\n", b""),
    "missing_to": (b"To: <sip:1000@psap.example>\r\n", b""),
    "missing_call_id": (b"Call-ID: odd@caller.example\r\n", b""),
    "missing_cseq": (b"CSeq: 1 INVITE\r\n", b""),
    "conflicting_call_id": (_MORE, b"Call-ID: other\r\nMax-Forwards:"),
    "conflicting_cseq": (_MORE, b"CSeq: 2 INVITE\r\nMax-Forwards:"),
    "conflicting_from": (_MORE, b"From: <sip:3000@caller.example>;tag=x\r\nMax-Forwards:"),
    "conflicting_to": (_MORE, b"To: <sip:3000@psap.example>\r\nMax-Forwards:"),
    "conflicting_max_forwards": (_MORE, b"Max-Forwards: 69\r\nMax-Forwards:"),
    "conflicting_content_type": (_MORE, b"Content-Type: text/plain\r\nContent-Type: text/html\r\nMax-Forwards:"),
    "repeated_header": (_MORE, b"Max-Forwards: 70\r\nMax-Forwards:"),
    "cseq_method_mismatch": (b"1 INVITE", b"1 BYE"),
    "cseq_invalid": (b"1 INVITE", b"INVITE"),
    "via_branch_empty": (b"z9hG4bK-odd", b"z9hG4bK"),
    "via_unreadable": (b"SIP/2.0/UDP caller.example;", b"caller.example;"),
    "repeated_parameter": (b";tag=odd", b";tag=odd;tag=other"),
    "content_length_invalid": (b"Length: 0", b"Length: none"),
    "content_length_conflicting": (b"Length: 0", b"Length: 0\r\nContent-Length: 9"),
    "content_length_beyond_end": (b"Length: 0", b"Length: 9"),
    "content_length_short": (b"Length: 0\r\n\r\n", b"Length: 0\r\n\r\nmore"),
    "multipart_unterminated": (
        b"Content-Length: 0\r\n\r\n",
        b"Content-Type: multipart/mixed;boundary=b\r\nContent-Length: 8\r\n\r\n--b\r\n\r\nx",
    ),
    "head_unterminated": (b"Content-Length: 0\r\n\r\n", b"Content-Length: 0"),
    "bare_cr": (_MORE, b"Subject: a\rb\r\nMax-Forwards:"),
    "line_end_lf": (b"\r\n", b"\n"),
    "line_ends_mixed": (b"70\r\n", b"70\n"),
    "blank_line": (_MORE, b"Subject: a\r\n \r\nMax-Forwards:"),
    "start_line_folded": (b"\r\nVia", b"\r\n Via"),
    "nul_byte": (_MORE, b"Subject: a\0b\r\nMax-Forwards:"),
    "control_character": (_MORE, b"Subject: a\x0bb\r\nMax-Forwards:"),
    "not_utf8": (_MORE, b"Subject: \xfc\r\nMax-Forwards:"),
    "header_without_colon": (_MORE, b"no header\r\nMax-Forwards:"),
    "header_name_invalid": (_MORE, b"Call ID: x\r\nMax-Forwards:"),
    "method_case": (b"INVITE", b"invite"),
    "version_unknown": (b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia"),
    "request_line_blanks": (b" SIP/2.0\r\nVia", b"  SIP/2.0\r\nVia"),
    "request_uri_blanks": (_TARGET, b"INVITE sip:10 00@psap.example"),
    "request_uri_brackets": (_TARGET, b"INVITE <sip:1000@psap.example>"),
    "request_uri_headers": (_TARGET, b"INVITE sip:1000@psap.example?Subject=x"),
    "request_uri_user_ambiguous": (_TARGET, b"INVITE sip:1000@psap.example;x=@h"),
    "request_uri_host_invalid": (_TARGET, b"INVITE sip:1000@[2001:db8:::1]"),
    "request_uri_escape_invalid": (_TARGET, b"INVITE sip:10%0@psap.example"),
    "request_uri_scheme_missing": (_TARGET, b"INVITE 1000"),
    "max_forwards_zero": (b"Forwards: 70", b"Forwards: 0"),
    "max_forwards_invalid": (b"Forwards: 70", b"Forwards: 256"),
    "expires_invalid": (_MORE, b"Expires: soon\r\nMax-Forwards:"),
    "retry_after_invalid": (_MORE, b"Retry-After: soon\r\nMax-Forwards:"),
    "date_invalid": (_MORE, b"Date: today\r\nMax-Forwards:"),
    "warning_invalid": (_MORE, b"Warning: none\r\nMax-Forwards:"),
    "unterminated_quote": (b"From: <", b'From: "a <'),
    "unterminated_bracket": (b"caller.example>;tag", b"caller.example;tag"),
    "address_unbracketed": (_MORE, b"Refer-To: sip:a@b.example?Replaces=x\r\nMax-Forwards:"),
    "address_blanks": (_MORE, b"Refer-To: < sip:a@b.example>\r\nMax-Forwards:"),
    "address_without_uri": (_MORE, b"Refer-To: <1000>\r\nMax-Forwards:"),
    "display_name_unquoted": (b"From: <", b"From: Bell, A. <"),
    "stray_separators": (b";rport", b";;rport"),
}


def odd_messages() -> Iterator[tuple[str, bytes]]:
    """Yield an ordinary request for each anomaly that a datagram's request can have, with the anomaly's code."""
    for code, (old, new) in _WRITTEN.items():
        yield code, _REQUEST.replace(old, new)
    yield "status_code_unknown", b"SIP/2.0 999 Odd\r\n" + _REQUEST.partition(b"\r\n")[2]


def unreadable_messages() -> Iterator[tuple[str, bytes]]:
    """Yield bytes for each reason why a datagram of a size that fits one is no message, with the reason's code."""
    yield "not_sip", b"\x00\x01\x02 no SIP at all\r\n\r\n"
    yield "start_line_too_long", _REQUEST.replace(b"1000@", b"1" * MAX_START_LINE_BYTES + b"@", 1)
    yield "too_many_headers", _REQUEST.replace(_MORE, b"X: y\r\n" * MAX_HEADER_LINES + _MORE, 1)
    commas = b"," * (MAX_HEADER_COMMAS + 1)
    yield "too_many_values", _REQUEST.replace(_MORE, b"Subject: " + commas + b"\r\n" + _MORE, 1)
    yield "status_code_invalid", b"SIP/2.0 OK\r\n" + _REQUEST.partition(b"\r\n")[2]
    yield "stun", bytes.fromhex("000100002112a442") + bytes(12)
