"""RFC 5118 §4: IPv6 addresses in SIP and SDP."""

from tests.conformance.vectors import Vector, message, sdp

_CALL_ID = "SSG9559905523997077@hlau_4100"


def _register(section: str, name: str, request_uri: str, *anomalies: str) -> Vector:
    return Vector(
        section,
        name,
        message(
            f"REGISTER {request_uri} SIP/2.0",
            "To: sip:user@example.com",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
            f"Call-ID: {_CALL_ID}",
            "Max-Forwards: 70",
            'Contact: "Caller" <sip:caller@[2001:db8::1]>',
            "CSeq: 98176 REGISTER",
            "Content-Length: 0",
        ),
        ("REGISTER", request_uri),
        _CALL_ID,
        (98176, "REGISTER"),
        ("81x2", None),
        "z9hG4bKas3-111",
        anomalies,
    )


def _options(name: str, host: str, *anomalies: str) -> Vector:
    return Vector(
        "4.10",
        name,
        message(
            f"OPTIONS sip:user@{host} SIP/2.0",
            f"To: sip:user@{host}",
            "From: sip:user@example.com;tag=810x2",
            "Via: SIP/2.0/UDP lab1.east.example.com;branch=z9hG4bKas3-111",
            "Call-ID: G9559905523997077@hlau_4100",
            "CSeq: 689 OPTIONS",
            "Max-Forwards: 70",
            "Content-Length: 0",
        ),
        ("OPTIONS", f"sip:user@{host}"),
        "G9559905523997077@hlau_4100",
        (689, "OPTIONS"),
        ("810x2", None),
        "z9hG4bKas3-111",
        anomalies,
    )


def _invite(section: str, name: str, lines: tuple[str, ...], cseq: int, body: bytes) -> Vector:
    request_uri = lines[0].split()[1]
    return Vector(
        section,
        name,
        message(
            *lines,
            f"Call-ID: {_CALL_ID}",
            f"CSeq: {cseq} INVITE",
            "Max-Forwards: 70",
            "Content-Type: application/sdp",
            f"Content-Length: {len(body)}",
            body=body,
        ),
        ("INVITE", request_uri),
        _CALL_ID,
        (cseq, "INVITE"),
        ("81x2", None),
        "z9hG4bKbh19" if section == "4.9" else "z9hG4bKas3-111",
    )


VECTORS = (
    _register("4.1", "ipv6-good", "sip:[2001:db8::10]"),
    _register("4.2", "ipv6-bad", "sip:2001:db8::10", "request_uri_host_invalid"),
    _register("4.3", "port-ambiguous", "sip:[2001:db8::10:5070]"),
    _register("4.4", "port-unambiguous", "sip:[2001:db8::10]:5070"),
    Vector(
        "4.5",
        "via-received-param-with-delim",
        message(
            "BYE sip:[2001:db8::10] SIP/2.0",
            "To: sip:user@example.com;tag=bd76ya",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111",
            f"Call-ID: {_CALL_ID}",
            "Max-Forwards: 70",
            "CSeq: 321 BYE",
            "Content-Length: 0",
        ),
        ("BYE", "sip:[2001:db8::10]"),
        _CALL_ID,
        (321, "BYE"),
        ("81x2", "bd76ya"),
        "z9hG4bKas3-111",
    ),
    Vector(
        "4.5",
        "via-received-param-no-delim",
        message(
            "OPTIONS sip:[2001:db8::10] SIP/2.0",
            "To: sip:user@example.com",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3",
            "Call-ID: SSG95523997077@hlau_4100",
            "Max-Forwards: 70",
            'Contact: "Caller" <sip:caller@[2001:db8::9:1]>',
            "CSeq: 921 OPTIONS",
            "Content-Length: 0",
        ),
        ("OPTIONS", "sip:[2001:db8::10]"),
        "SSG95523997077@hlau_4100",
        (921, "OPTIONS"),
        ("81x2", None),
        "z9hG4bKas3",
    ),
    _invite(
        "4.6",
        "ipv6-in-sdp",
        (
            "INVITE sip:user@[2001:db8::10] SIP/2.0",
            "To: sip:user@[2001:db8::10]",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::20];branch=z9hG4bKas3-111",
            'Contact: "Caller" <sip:caller@[2001:db8::20]>',
        ),
        8612,
        sdp(
            "v=0",
            "o=assistant 971731711378798081 0 IN IP6 2001:db8::20",
            "s=Live video feed for today's meeting",
            "c=IN IP6 2001:db8::20",
            "t=3338481189 3370017201",
            "m=audio 6000 RTP/AVP 2",
            "a=rtpmap:2 G726-32/8000",
            "m=video 6024 RTP/AVP 107",
            "a=rtpmap:107 H263-1998/90000",
        ),
    ),
    Vector(
        "4.7",
        "mult-ip-in-header",
        message(
            "BYE sip:user@host.example.net SIP/2.0",
            "Via: SIP/2.0/UDP [2001:db8::9:1]:6050;branch=z9hG4bKas3-111",
            "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKjhja8781hjuaij65144",
            "Via: SIP/2.0/TCP [2001:db8::9:255];branch=z9hG4bK451jj;received=192.0.2.200",
            "Call-ID: 997077@lau_4100",
            "Max-Forwards: 70",
            "CSeq: 89187 BYE",
            "To: sip:user@example.net;tag=9817--94",
            "From: sip:user@example.com;tag=81x2",
            "Content-Length: 0",
        ),
        ("BYE", "sip:user@host.example.net"),
        "997077@lau_4100",
        (89187, "BYE"),
        ("81x2", "9817--94"),
        "z9hG4bKas3-111",
    ),
    _invite(
        "4.8",
        "mult-ip-in-sdp",
        (
            "INVITE sip:user@[2001:db8::10] SIP/2.0",
            "To: sip:user@[2001:db8::10]",
            "From: sip:user@example.com;tag=81x2",
            "Via: SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKas3-111",
            'Contact: "Caller" <sip:caller@[2001:db8::9:1]>',
        ),
        8912,
        sdp(
            "v=0",
            "o=bob 280744730 28977631 IN IP4 host.example.com",
            "s=",
            "t=0 0",
            "m=audio 22334 RTP/AVP 0",
            "c=IN IP4 192.0.2.1",
            "m=video 6024 RTP/AVP 107",
            "c=IN IP6 2001:db8::1",
            "a=rtpmap:107 H263-1998/90000",
        ),
    ),
    _invite(
        "4.9",
        "ipv4-mapped-ipv6",
        (
            "INVITE sip:user@example.com SIP/2.0",
            "To: sip:user@example.com",
            "From: sip:user@east.example.com;tag=81x2",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.10]:19823;branch=z9hG4bKbh19",
            "Via: SIP/2.0/UDP [::ffff:192.0.2.2];branch=z9hG4bKas3-111",
            'Contact: "T. desk phone" <sip:ted@[::ffff:192.0.2.2]>',
        ),
        612,
        sdp(
            "v=0",
            "o=assistant 971731711378798081 0 IN IP6 ::ffff:192.0.2.2",
            "s=Call me soon, please!",
            "c=IN IP6 ::ffff:192.0.2.2",
            "t=3338481189 3370017201",
            "m=audio 6000 RTP/AVP 2",
            "a=rtpmap:2 G726-32/8000",
            "m=video 6024 RTP/AVP 107",
            "a=rtpmap:107 H263-1998/90000",
        ),
    ),
    _options("ipv6-bug-abnf-3-colons", "[2001:db8:::192.0.2.1]", "request_uri_host_invalid"),
    _options("ipv6-correct-abnf-2-colons", "[2001:db8::192.0.2.1]"),
)
