"""SIP as the field writes it, and as nobody should: one datagram each."""


def sip(
    start: str,
    *more: str,
    via: str = "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKx",
    frm: str = "From: <sip:al@example.com>;tag=1",
    to: str = "To: <sip:bo@example.com>",
    cseq: str = "CSeq: 3 INVITE",
    body: str = "",
) -> bytes:
    """A message of header lines as they are given, without a Content-Length unless there is one among them."""
    lines = [start, via, frm, to, "Call-ID: strange", cseq, *more, "", body.replace("\n", "\r\n")]
    return "\r\n".join(lines).encode()


def bare(*lines: str) -> bytes:
    return "\r\n".join([*lines, "", ""]).encode()


INVITE = "INVITE sip:bo@example.com SIP/2.0"
DESCRIPTIONS = """v=0
o=- 1 2 IN IP6 ::1
s=-
i=info
u=http://x
c=IN IP6 2001:db8::9
b=AS:64
t=1 2
r=7d 1h 0 25h
k=clear:x
a=recvonly
m=audio 40000/2 RTP/SAVP 0 18 101 200
a=rtpmap:101 telephone-event/8000/1
a=fmtp:101 0-15
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz
m=message 9 TCP/MSRP *
a=path:msrp://x:1/y;tcp
m=text 0 RTP/AVP 98
a=rtpmap:98 t140/1000
m=image 41000 udptl t38
"""
BROWSER = """v=0
o=- 1 2 IN IP4 192.0.2.7
s=-
i=of the session
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8
i=of the medium
c=IN IP4 0.0.0.0
a=rtpmap:111 opus/48000/2
m=audio 9 UDP/TLS/RTP/SAVP 9
m=audio 9 UDP/TLS/RTP/AVP 9
m=audio 9 RTP/SAVPF 3
m=audio 9 RTP/AVP/UDP 3
m=video 9 TCP/RTP/AVP 31
"""
BLANKS = "v=0\no=- 1 2 IN IP4 192.0.2.7\ns= \ni= a \nt=0 0 \na= tool: x \nm=audio 40000 RTP/AVP 0 \na=sendrecv \n"
NOTHING_SAID = "v=0\no=- 1 2 IN IP4 192.0.2.7\ns=\ni=\nt=0 0\na=\nm=audio 40000 RTP/AVP 0\na=\nb=\n"
ODD_DESCRIPTION = "v=0\nm=audio\nm=\nc=IN\nc=IN IP4 1.2.3.4/127/2\no=x\nm=audio x RTP/AVP 0\na\na=\n=\n"
ODD_PORTS = "v=0\no=- 1 1 IN IP4 192.0.2.7\ns=-\nc=IN IP4 192.0.2.7\nt=0 0\n" + "".join(
    f"m=audio {port} RTP/AVP 0\n"
    for port in ("65536", "70000/2", "9" * 30, "0040000", "4e4", "40002.5", "40004x/2", "-1", "+7", "x", "/3")
)
PARTS = """--b 1
Content-Type: application/sdp

v=0
o=- 1 1 IN IP4 192.0.2.7
s=-
c=IN IP4 192.0.2.7
t=0 0
m=audio 42000 RTP/AVP 8

--b 1
Content-Type: application/pidf+xml

<x/>
--b 1--
"""
DIGEST = 'Digest username="a,b", realm="r",nonce="n", uri="sip:x", response="0", algorithm=MD5, qop=auth'

STRANGE: dict[str, bytes] = {
    "compact forms": bare(
        *(INVITE, "v: SIP/2.0/UDP h;branch=z9hG4bK1", "f: <sip:al@x>;tag=1", "t: <sip:bo@y>", "i: compact"),
        *("CSeq: 1 INVITE", "m: <sip:al@192.0.2.7>", "k: timer", "s: hi", "c: text/plain", "l: 0"),
    ),
    "folded": sip(INVITE, "Subject: one", " two", "\tthree", "Content-Length: 0"),
    "any case": sip(INVITE, "CONTENT-LENGTH: 0", frm="fROM: <sip:al@x>;TAG=1", cseq="Cseq: 3 INVITE"),
    "blanks": bare(
        *(INVITE, "Via : SIP/2.0/UDP h ;branch=z9hG4bK2", "From:   A  <sip:al@x> ; tag = 1", "To:<sip:bo@y>"),
        *("Call-ID:  spaced  ", "CSeq:  0009   INVITE ", "Max-Forwards:   70", "Content-Length:    0"),
    ),
    "transport in lower case": sip(INVITE, via="Via: SIP/2.0/udp 192.0.2.7:5062;branch=;rport="),
    "port over 65535": sip(INVITE.replace("@example.com", "@example.com:70000"), via="Via: SIP/2.0/UDP h:70000;rport"),
    "headers behind parameters": sip(INVITE, to="To: <sip:bo@example.com;lr?Subject=x>"),
    "empty addresses": sip(INVITE, "Contact:", "Route: ", "P-Asserted-Identity:", frm="From:", to="To: "),
    "two tags": sip(INVITE, frm="From: <sip:al@example.com>;tag=1;tag=2"),
    "routes with parameters": sip(INVITE, "Route: <sip:p1.example>;x=y,<sip:p2.example>"),
    "port ends the Via": sip(INVITE, via="Via: SIP/2.0/UDP 192.0.2.7:5062"),
    "emergency": sip("INVITE urn:service:sos SIP/2.0", to="To: <urn:service:sos>"),
    "no brackets": sip("INVITE urn:service:sos.fire SIP/2.0", to="To: urn:service:sos"),
    "tel": sip("INVITE tel:+1-911;phone-context=+1 SIP/2.0", to="To: <tel:911;x=y>;tag=2"),
    "number alone": sip("INVITE 911 SIP/2.0"),
    "unknown method": sip("NEWMETHOD sip:bo@example.com SIP/2.0", cseq="CSeq: 3 NEWMETHOD"),
    "lower case method": sip("invite sip:bo@example.com SIP/2.0"),
    "old version": sip("INVITE sip:bo@example.com SIP/1.0"),
    "headers in the URI": sip("INVITE sip:bo@example.com:5062;transport=tcp;lr?Subject=x&To=y SIP/2.0"),
    "password": sip("INVITE sip:bo:secret@example.com SIP/2.0"),
    "escapes": sip("INVITE sip:%62ob%40x@ex%61mple.com SIP/2.0"),
    "sips": sip("INVITE SIPS:bo@EXAMPLE.com SIP/2.0"),
    "no user": sip("REGISTER sip:example.com:5070 SIP/2.0", "Contact: *", "Expires: 0", cseq="CSeq: 3 REGISTER"),
    "no headers": b"OPTIONS sip:bo@example.com SIP/2.0\r\n\r\n",
    "start line alone": b"OPTIONS sip:bo@example.com SIP/2.0\r\n",
    "start line without end": b"OPTIONS sip:bo@example.com SIP/2.0",
    "no end": b"OPTIONS sip:bo@example.com SIP/2.0\r\nCall-ID: endless",
    "no reason": sip("SIP/2.0 200"),
    "empty reason": sip("SIP/2.0 486 ", "Retry-After: 5 (busy);duration=1"),
    "long reason": sip("SIP/2.0 699 Not in the table: (really)", 'Warning: 399 h "text, more"'),
    "many values": sip(
        *(INVITE, 'Contact: <sip:al@192.0.2.7>;q=1, "B, C" <sip:cy@x:5062;lr>;expires=5', "Contact: sip:di@y;q=0.5"),
        *("Route: <sip:r1;lr>,<sip:r2:5062>", "Record-Route: <sip:rr@z;lr>", "Allow: INVITE, ACK", "Allow: BYE"),
        *("Supported:", "Supported: timer"),
        "Via: SIP/2.0/TCP [2001:db8::1]:5062;received=192.0.2.9;rport=5;maddr=1.2.3.4;ttl=3;branch=z9",
    ),
    "display names": sip(
        *(INVITE, 'P-Asserted-Identity: "Q" <sip:qi@x>, <tel:+1555>', "P-Preferred-Identity: sip:pi@x"),
        frm="From: Anna Maria <sip:al@example.com>;tag=1",
        to='To: "" <sip:bo@example.com>',
    ),
    "quotes in display names": sip(
        *(INVITE, 'Contact: "A" B "C" <sip:al@192.0.2.7>;q=1, "D""E" <sip:cy@192.0.2.7>'),
        frm='From: Anna "Ann" Maria <sip:al@example.com>;tag=1',
        to='To: "Bo" B. <sip:bo@example.com>',
    ),
    "numbers": sip(
        *(INVITE, "Max-Forwards: 255", "Expires: 4294967295", "Session-Expires: 90;refresher=uac", "Min-SE: 90"),
        *("RSeq: 1", "RAck: 1 2 INVITE", "Content-Length: 0"),
        cseq="CSeq: 4294967295 INVITE",
    ),
    "bad numbers": sip(INVITE, "Max-Forwards: many", "Expires: -1", "Content-Length: ?", cseq="CSeq: x INVITE"),
    "two From": sip(INVITE, "From: <sip:zo@example.com>;tag=9"),
    "digest": sip(
        *("REGISTER sip:x SIP/2.0", f"Authorization: {DIGEST}", "Proxy-Authorization: Basic abc"),
        'WWW-Authenticate: Digest realm="w"',
    ),
    "line feeds": sip(INVITE).replace(b"\r\n", b"\n"),
    "body of text": sip(
        "MESSAGE sip:bo@example.com SIP/2.0",
        "Content-Type: text/plain;charset=utf-8",
        "Content-Length: 5",
        body="hellomore",
    ),
    "descriptions": sip(INVITE, "Content-Type: application/SDP;x=y", body=DESCRIPTIONS),
    "description without a name": sip(INVITE, "Content-Type: application/sdp", body=NOTHING_SAID),
    "parameters twice": sip(
        *(INVITE, 'Authorization: Digest username="a", realm="r", username="b"'),
        via="Via: SIP/2.0/UDP 192.0.2.7;received=192.0.2.8;branch=z9hG4bKx;received=192.0.2.9",
    ),
    "odd description": sip(INVITE, "Content-Type: application/sdp", body=ODD_DESCRIPTION),
    "description of a browser": sip(INVITE, "Content-Type: application/sdp", body=BROWSER),
    "description with blanks": sip(INVITE, "Content-Type: application/sdp", body=BLANKS),
    "odd ports": sip(INVITE, "Content-Type: application/sdp", body=ODD_PORTS),
    "parts": sip(INVITE, 'Content-Type: multipart/mixed; boundary="b 1"', body=PARTS),
    "tabs": sip("INVITE\tsip:bo@example.com\tSIP/2.0"),
    "many blanks": sip("INVITE  sip:bo@example.com  SIP/2.0"),
    "blank in the URI": sip("INVITE sip:bo@example.com; lr SIP/2.0"),
    "not UTF-8": sip(INVITE, "Subject: caf\xe9").replace("\xe9".encode(), b"\xe9"),
    "NUL": sip(INVITE, "Sub\0ject: x", "Organization: a\0b"),
    "NUL in the start line": sip("INVITE sip:b\0o@example.com SIP/2.0"),
    "CR alone": sip(INVITE).replace(b"\r\n", b"\r"),
    "CR in a header": sip(INVITE, "Subject: a\rOrganization: b"),
    "CRLF before": b"\r\n\r\n" + sip(INVITE),
    "one character": sip(INVITE.replace("bo@", "b@")),
    "long": sip(f"INVITE sip:{'p' * 900}@example.com SIP/2.0"),
}
