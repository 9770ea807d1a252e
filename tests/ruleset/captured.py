"""Captured messages, with two readers of them: Wireshark (``tshark``) and sosgate."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import wrpcap

from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.facts import Facts
from firewall.ruleset.parse import parse_expression
from firewall.sip.message import parse_message
from tests.ruleset.strategies import PLACE

DECODE_AS = ("-d", "udp.port==5070,sip")

SDP = """v=0
o=bob 1 1 IN IP4 192.0.2.10
s=call
c=IN IP4 192.0.2.10
t=0 0
a=group:BUNDLE a
m=audio 40000 RTP/AVP 0 8 101
b=TIAS:1
a=rtpmap:0 PCMU/8000
a=sendrecv
m=video 40002/2 RTP/AVP 96
c=IN IP4 233.252.0.1/127
a=rtpmap:96 H264/90000
"""
MULTIPART = f"""--b1
Content-Type: application/sdp

{SDP}--b1
Content-Type: text/plain

hello
--b1--
"""


@dataclass(frozen=True)
class Captured:
    """One UDP datagram on the wire."""

    src: str
    dst: str
    src_port: int
    dst_port: int
    payload: bytes


def sip(
    start: str = "INVITE sip:bob@example.com SIP/2.0",
    *,
    frm: str = "<sip:alice@example.com>;tag=1",
    to: str = "<sip:bob@example.com>",
    more: str = "",
    body: str = "",
) -> bytes:
    """Return a message; ``more`` are header lines."""
    lines = f"{start}\nVia: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKabc\nFrom: {frm}\nTo: {to}\n"
    lines += f"Call-ID: c{len(more)}\nCSeq: 7 {start.split()[0] if not start.startswith('SIP/') else 'INVITE'}\n{more}"
    wire_body = body.replace("\n", "\r\n").encode()
    return f"{lines}Content-Length: {len(wire_body)}\n\n".replace("\n", "\r\n").encode() + wire_body


def captured(
    payload: bytes, src: str = "192.0.2.10", dst: str = "198.51.100.1", ports: tuple[int, int] = (5060, 5060)
) -> Captured:
    """Return a datagram with a payload."""
    return Captured(src, dst, *ports, payload)


MESSAGES: tuple[Captured, ...] = (
    captured(
        sip(
            "INVITE sip:alice@198.51.100.1:5070;user=phone SIP/2.0",
            frm='"Bob B" <sip:bob@example.org:5080;user=phone>;tag=ft1',
            to="Alice <sip:alice@example.com>",
            more="Via: SIP/2.0/UDP proxy.example.com;branch=z9hG4bKdef;received=192.0.2.3;rport\n"
            "Max-Forwards: 70\nRoute: <sip:p1.example.com;lr>, <sip:p2.example.com:5062;lr>\n"
            "Contact: <sip:bob@192.0.2.10:5060;transport=udp>;expires=60\n"
            'P-Asserted-Identity: "Bob" <sip:+12025550100@example.org>\n'
            "User-Agent: Friéndly-Scanner/1.0\nX-Weird: hello\nX-Weird: second\nExpires: 300\n"
            "Content-Type: application/sdp\n",
            body=SDP,
        ),
        ports=(5060, 5070),
    ),
    captured(
        b"SIP/2.0 200 OK\r\nv: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bKabc\r\n"
        b'f: "Bob B" <sip:bob@example.org:5080>;tag=ft1\r\nt: sip:alice@example.com;tag=tt1\r\n'
        b"i: c1@example.org\r\nCSeq: 7 INVITE\r\nm: <sip:alice@198.51.100.1>\r\nk: 100rel\r\nl: 0\r\n\r\n",
        src="198.51.100.1",
        dst="192.0.2.10",
    ),
    captured(
        sip(
            "REGISTER sip:example.com SIP/2.0",
            more="Via: SIP/2.0/UDP [2001:db8:1::1]:5060;branch=z9hG4bKreg\nContact: <sip:bob@[2001:db8:1::1]>\n"
            'Authorization: Digest username="bob", realm = "x, y" ,nonce="n", uri="sip:example.com", response="ab"\n',
        ),
        src="2001:db8:1::1",
        dst="2001:db8:2::2",
    ),
    captured(sip("BYE urn:service:sos SIP/2.0", to="<urn:service:sos>;tag=2"), ports=(5062, 5060)),
    captured(
        sip(
            "MESSAGE tel:911;phone-context=+1 SIP/2.0",
            frm="anonymous <sip:anonymous@anonymous.invalid>;tag=q",
            to="<tel:911>",
            more="Supported: 100rel,timer\nContent-Type: text/plain\n",
            body="help",
        ),
        src="203.0.113.9",
    ),
    captured(
        sip(
            to="sip:bob@example.com:5070;tag=x;foo=bar",
            more="CONTENT-TYPE: multipart/mixed;boundary=b1\n",
            body=MULTIPART,
        )
    ),
    captured(
        sip(
            "INVITE sip:bob@[2001:db8::1]:5061 SIP/2.0",
            to="<sip:[2001:db8::1]>",
            more="Contact: *\nExpires: 0\nSIP-ETag: e1\nSIP-If-Match: m1\nUser-to-User: u1\nPolicy-ID: p1\n"
            "o: refer\ns: subj\nu: presence\nb: <sip:rb2@x.com>\nr: <sip:rt@x.com>\nx: 1800\ne: gzip\ny: ident\n",
        )
    ),
    captured(
        sip(
            "SIP/2.0 404 Not Found here",
            more='Contact: <sip:al@192.0.2.1>;q=0.5, "B, ob" <sip:bo@192.0.2.2:5070;transport=tcp>\n'
            "Record-Route: <sip:rr1;lr>,<sip:rr2.example.com:5070;lr>\nRecord-Route: <sip:rr3;lr>\nPath: <sip:pa;lr>\n"
            "Reason: Q.850;cause=16\nPriority: emergency\nResource-Priority: esnet.1\nRSeq: 988789\n"
            'WWW-Authenticate: Digest realm="www", nonce="q"\nuser-agent: lower\nUSER-AGENT: upper\n',
        )
    ),
    captured(
        sip(
            "OPTIONS sip:host SIP/2.0",
            frm="sip:nobody",
            more="Via: SIP/2.0/UDP h1.example.com;branch=z1, SIP/2.0/TCP h2.example.com:5070;branch=z2\n"
            "Geolocation: <cid:x@h>\nMax-Forwards:   10\nMin-SE: 90\n",
        )
    ),
)


@cache
def capture_file(folder: str) -> str:
    """Write the messages as a capture file; return its path."""
    path = Path(folder) / "captured.pcap"
    frames = []
    for message in MESSAGES:
        layer = IPv6 if ":" in message.src else IP
        ethernet = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        udp = UDP(sport=message.src_port, dport=message.dst_port)
        frames.append(ethernet / layer(src=message.src, dst=message.dst) / udp / Raw(message.payload))
    wrpcap(str(path), frames)
    return str(path)


def facts() -> list[Facts]:
    """Return what sosgate's rules see of each message."""
    return [
        Facts(
            Datagram(message.src, message.src_port, message.dst, message.dst_port, message.payload),
            parse_message(message.payload),
        )
        for message in MESSAGES
    ]


def tshark(folder: str, *arguments: str) -> str:
    """Run tshark on the capture and return what it prints."""
    done = subprocess.run(
        ["tshark", "-n", "-r", capture_file(folder), *DECODE_AS, *arguments],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode("utf-8", "surrogateescape")


def sosgate_frames(expression: str) -> list[int]:
    """Return the 1-based numbers of the messages that sosgate's expression of this text matches."""
    matches = compile_condition(parse_expression(expression, sets={}, place=PLACE))
    return [number for number, each in enumerate(facts(), start=1) if matches(each)]
