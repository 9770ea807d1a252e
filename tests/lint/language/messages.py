"""Random well-formed messages, and random conditions with their truth for one of them, made by hand."""

import random
from collections.abc import Iterator

from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.settle import Literal
from firewall.ruleset.expression import (
    Atom,
    Call,
    Comparison,
    Contains,
    Exists,
    Field,
    Matches,
    Membership,
    Operand,
    Range,
    SetMembers,
    Slice,
)
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS

TEMPLATE = (
    b"INVITE urn:service:sos SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:+16175550142@192.0.2.10>;tag=f1\r\n"
    b"To: <urn:service:sos>\r\n"
    b"Call-ID: probe-0@192.0.2.10\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\n"
    b"Contact: <sip:+16175550142@192.0.2.10:5060>\r\n"
    b"User-Agent: sosgate-probe\r\n"
    b"Content-Type: application/sdp\r\n"
    b"Content-Length: 122\r\n"
    b"\r\n"
    b"v=0\r\no=- 2890844526 2890844526 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
    b"m=audio 49170 RTP/AVP 0 8\r\na=ptime:20\r\n"
)
ANSWER = (
    b"SIP/2.0 200 OK\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:+16175550142@192.0.2.10>;tag=f1\r\n"
    b"To: <urn:service:sos>;tag=t1\r\n"
    b"Call-ID: probe-0@192.0.2.10\r\n"
    b"CSeq: 1 INVITE\r\n"
    b"Contact: <sip:desk@198.51.100.10:5060>\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
_FIELDS = [
    name for name, spec in FIELDS.items() if name.startswith(("sip.", "sdp.")) and spec.type in ("text", "number")
]
_NEVER_ASKED = frozenset({"sip.anomaly", "sip.header", "sip.msg_hdr"})


class RandomMessage:
    """Writes well-formed messages of the template's dialog and transaction, by hand and not by the prover's grammar."""

    def __init__(self, rnd: random.Random) -> None:
        self._rnd = rnd

    def request(self) -> bytes:
        """Return an INVITE."""
        rnd = self._rnd
        uri = rnd.choice((self.uri(), self.uri(), "urn:service:sos", "URN:service:sos.fire", "911"))
        return self._message(f"INVITE {uri} SIP/2.0", "")

    def response(self) -> bytes:
        """Return an answer to it."""
        status = self._rnd.choice(("180 Ringing", "200 OK", "503 ", "404 Not here"))
        return self._message(f"SIP/2.0 {status}", ";tag=t1")

    def _message(self, start_line: str, to_tag: str) -> bytes:
        rnd = self._rnd
        lines = [start_line, *self._vias(), f"From: {self.address()}{self.params()};tag=f1"]
        lines += [f"To: {self.address()}{to_tag}{self.params()}", "Call-ID: probe-0@192.0.2.10", "CSeq: 1 INVITE"]
        lines.append(f"Max-Forwards: {rnd.randint(1, 255)}")
        for name in ("Contact", "P-Asserted-Identity"):
            lines += [
                f"{name}: " + ", ".join(self.address() + self.params() for _ in range(rnd.randint(1, 2)))
                for _ in range(rnd.choice((0, 1, 1, 2)))
            ]
        lines += [f"Route: <{self.uri()}>" for _ in range(rnd.choice((0, 0, 1, 2)))]
        for name in ("User-Agent", "Subject", "X-Mark", "Supported", "Geolocation"):
            lines += [f"{name}: {self.text()}" for _ in range(rnd.choice((0, 1, 1, 2)))]
        if rnd.random() < 0.4:
            lines.append(f"Expires: {rnd.choice((0, 60, 3600, 4294967295))}")
        if rnd.random() < 0.3:
            lines.append(f'Authorization: Digest username="{self.word()}",realm="{self.word()}", nonce={self.word()}')
        body, kind = self._body()
        if kind:
            lines.append(f"Content-Type: {kind}")
        if body or rnd.random() < 0.8:
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def word(self) -> str:
        """Return a short token."""
        return "".join(self._rnd.choice("abAB19x-.") for _ in range(self._rnd.randint(1, 4)))

    def text(self) -> str:
        """Return a line of text."""
        return " ".join(self.word() for _ in range(self._rnd.randint(1, 3)))

    def uri(self) -> str:
        """Return a sip: or sips: URI."""
        rnd = self._rnd
        user = rnd.choice(("", f"{self.word()}@", f"{self.word()};{self.word()}@", "%39%31%31@", f"{self.word()}:x@"))
        host = rnd.choice(("192.0.2.10", "a.example", "[2001:db8::1]", "b"))
        port = rnd.choice(("", ":5060", ":0", ":65535"))
        return (
            rnd.choice(("sip:", "sip:", "SIPS:"))
            + user
            + host
            + port
            + rnd.choice(("", ";lr", ";user=phone;a=1", "?h=1"))
        )

    def address(self) -> str:
        """Return a URI with a display name, or in brackets, or bare."""
        rnd = self._rnd
        form = rnd.randrange(4)
        if form == 0:
            return f"sip:{self.word()}@a.example"
        uri = rnd.choice((self.uri(), self.uri(), "tel:+1-911;phone-context=x", "urn:service:sos"))
        name = ("", f"{self.text().replace('.', '')} ", f'"{self.text()}, \\"x\\" <y>" ')[form - 1]
        return f"{name}<{uri}>"

    def params(self) -> str:
        """Return header parameters, or none."""
        return self._rnd.choice(("", "", ";x", ';y="a;b,c"', ";expires=60;q=0.5"))

    def _vias(self) -> Iterator[str]:
        rnd = self._rnd
        top = f"SIP/2.0/{rnd.choice(('UDP', 'TCP', 'udp'))} 192.0.2.10:5060;branch=z9hG4bK-1"
        others = []
        for _ in range(rnd.choice((0, 0, 1, 3))):
            host = rnd.choice(("p.example", "[2001:db8::2]:5070", "192.0.2.1:5060"))
            params = rnd.choice(("", ";branch=z9hG4bK-2", ";rport;branch=b3", ";received=192.0.2.9;ttl=7", ";rport=9"))
            others.append(f"SIP/2.0/UDP {host}{params}")
        if others and rnd.random() < 0.4:
            yield f"Via: {top}, {others.pop()}"
        else:
            yield f"Via: {top}"
        for other in others:
            yield f"Via: {other}"

    def _body(self) -> tuple[bytes, str]:
        rnd = self._rnd
        kind = rnd.randrange(6)
        if kind == 0:
            return b"", ""
        if kind == 1:
            return b"Help me. " * rnd.randint(1, 40), "text/plain;charset=utf-8"
        sdp = self._sdp()
        if kind == 2:
            part = b"--b1\r\nContent-Type: application/sdp\r\n\r\n" + sdp
            return part + b"--b1\r\nContent-Type: a/b\r\n\r\nxyz\r\n--b1--\r\n", "multipart/mixed;boundary=b1"
        return sdp, "" if kind == 3 else "application/sdp"

    def _sdp(self) -> bytes:
        rnd = self._rnd
        lines = ["v=0", f"o={self.word()} 1 1 IN IP4 192.0.2.10", f"s={self.text()}"]
        lines += rnd.choice(([], ["i=about"])) + rnd.choice((["c=IN IP4 192.0.2.10"], ["c=IN IP6 2001:db8::1"]))
        lines += [*rnd.choice(([], ["b=AS:64"])), "t=0 0", *rnd.choice(([], ["a=tool:x"]))]
        for _ in range(rnd.choice((0, 1, 1, 2))):
            port = rnd.choice((0, 9, 49170))
            lines.append(
                f"m={rnd.choice(('audio', 'text'))} {port} {rnd.choice(('RTP/AVP 0 101', 'RTP/SAVP 8', 'TCP/MSRP *'))}"
            )
            lines += rnd.choice(([], ["a=rtpmap:101 telephone-event/8000"], ["a=sendonly", "a=ptime:20"]))
        return "".join(f"{line}\r\n" for line in lines).encode()


def random_literals(rnd: random.Random, payload: bytes, count: int) -> list[Literal]:
    """Return conditions with their truth for a message; they speak of its own values, so that most are close calls."""
    facts = facts_of(payload)
    assert facts is not None
    found = []
    for _ in range(count):
        atom = _atom(rnd, facts)
        found.append(Literal(atom, holds_of_message(atom, facts)))
    return found


def _atom(rnd: random.Random, facts: Facts) -> Atom:
    present = [name for name in _FIELDS if name not in _NEVER_ASKED and FIELDS[name].read(facts)]
    name = rnd.choice(present) if rnd.random() < 0.85 else rnd.choice(_FIELDS[1:])
    if name in _NEVER_ASKED:
        name = "sip.User-Agent"
    field = Field(name)
    values = FIELDS[name].read(facts)
    value = rnd.choice(values) if values else "ab"
    if rnd.random() < 0.1:
        return rnd.choice(
            (Exists(field), Comparison(Call("count", field), rnd.choice(("==", ">", "<")), rnd.randint(0, 3)))
        )
    if FIELDS[name].type == "number":
        number = value if isinstance(value, int) else 5
        shifted = max(0, number + rnd.choice((-1, 0, 0, 1)))
        if rnd.random() < 0.3:
            return Membership(field, (Range(shifted, shifted + rnd.randint(0, 5)), 0))
        return Comparison(field, rnd.choice(("==", "!=", "<", ">", "<=", ">=")), shifted)
    return _text_atom(rnd, field, str(value))


def _text_atom(rnd: random.Random, field: Field, value: str) -> Atom:
    first = rnd.randrange(len(value) + 1)
    last = min(len(value), first + rnd.randint(1, 4))
    piece = value[first:last] or "a"
    other = rnd.choice((value, value[:-1] or "q", value + "x", value.upper()))
    match rnd.randrange(8):
        case 0:
            return Comparison(field, rnd.choice(("==", "!=", "<", ">=")), other)
        case 1:
            return Contains(field, piece)
        case 2:
            return Membership(field, (other, SetMembers("s", frozenset({piece, "zz"})), Range(piece, piece + "m")))
        case 3:
            return Comparison(
                Call("len", field), rnd.choice(("==", "<", ">", "!=")), len(value) + rnd.choice((0, 0, 1))
            )
        case 4:
            return Comparison(Call(rnd.choice(("lower", "upper")), field), "==", other.lower())
        case 5:
            start = first if rnd.random() < 0.6 else first - len(value)
            sliced: Operand = Slice(field, start, rnd.choice((None, last - first)))
            return rnd.choice((Comparison(sliced, rnd.choice(("==", "!=", ">")), value[first:last]), Exists(sliced)))
        case _:
            quoted = "".join(
                char if char.isalnum() else f"\\x{ord(char):02x}" if char.isascii() else "." for char in piece
            )
            regex = rnd.choice(("{}", "^{}", "{}$", r"\b{}", "({}|zz)+", "^.{{0,9}}{}", "[^a]{}", "{}.*")).format(
                quoted
            )
            return Matches(field, regex)
