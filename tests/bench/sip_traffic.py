"""Captures of signalling as a busy border sees it: many endpoints, every call with names, headers and media of its own.

Of every ten transactions seven are calls (INVITE with SDP, 100, 180, 200 with SDP, ACK, BYE, 200), two registrations
(REGISTER, 401, REGISTER with credentials, 200) and one a keep-alive (OPTIONS, 200); many go on at the same time.
"""

import random
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

BEGIN_NS = 1_800_000_000_000_000_000
_MESSAGE_EVERY_NS = 1_000_000
_AT_ONCE = 400  # transactions and calls that go on at the same time
_SEED = 2024
_AGENTS = ("trunk-gateway 7.2", "Acme SBC/8.4.1", "Polycom-VVX500-UA/5.9.6", "SIPPhone 3.1", "ngSBC R12 build 4471")
_ALLOW = ("INVITE, ACK, BYE, CANCEL, OPTIONS", "INVITE,ACK,CANCEL,OPTIONS,BYE,REFER,NOTIFY,UPDATE,PRACK,INFO")
_CODECS = (
    ("0 8 101", ("0 PCMU/8000", "8 PCMA/8000")),
    ("9 0 101", ("9 G722/8000", "0 PCMU/8000")),
    ("96 0 101", ("96 opus/48000/2", "0 PCMU/8000")),
)

Frame = tuple[int, bytes]
"""Capture time in nanoseconds, and an Ethernet frame."""
Ends = tuple[str, int, str, int]
"""Source address and port, destination address and port."""
Sent = tuple[bool, bytes]
"""Whether it goes from the carrier's side, and a message."""


def udp_frame(src: tuple[str, int], dst: tuple[str, int], payload: bytes) -> bytes:
    """Return an Ethernet frame with an IPv4 UDP datagram; without checksums, which none of the readers checks."""
    udp = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0)
    return _ip_frame(src[0], dst[0], 17, udp + payload)


def tcp_frame(ends: Ends, sequence: int, acknowledged: int, payload: bytes) -> bytes:
    """Return an Ethernet frame with a segment of an established connection over IPv4."""
    tcp = struct.pack("!HHIIBBHHH", ends[1], ends[3], sequence, acknowledged, 0x50, 0x18, 65_535, 0, 0)
    return _ip_frame(ends[0], ends[2], 6, tcp + payload)


def _ip_frame(src: str, dst: str, protocol: int, payload: bytes) -> bytes:
    addresses = bytes(int(part) for ip in (src, dst) for part in ip.split("."))
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses
    return b"\x02" * 12 + b"\x08\x00" + ip + payload


def write_pcap(path: Path, frames: Iterable[Frame]) -> None:
    """Write a nanosecond pcap of Ethernet frames."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for at_ns, frame in frames:
            seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
            out.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


def busy_border(messages: int, *, over_tcp: float = 0.0) -> Iterator[Frame]:
    """Yield that many SIP messages; ``over_tcp`` is the share of transactions that go over connections."""
    chance = random.Random(_SEED)
    running: list[tuple[Ends, bool, Iterator[Sent]]] = []
    streams: dict[Ends, int] = {}
    number = 0
    for sent in range(messages):
        while True:
            if len(running) < _AT_ONCE:
                number += 1
                is_tcp = chance.random() < over_tcp
                ends = _ends(chance, is_tcp=is_tcp)
                running.append((ends, is_tcp, _transaction(chance, number, ends, "TCP" if is_tcp else "UDP")))
            place = chance.randrange(len(running))
            ends, is_tcp, script = running[place]
            message = next(script, None)
            if message is not None:
                break
            running[place] = running[-1]
            running.pop()
        is_up, payload = message
        way = ends if is_up else (ends[2], ends[3], ends[0], ends[1])
        frame = udp_frame(way[:2], way[2:], payload)
        if is_tcp:
            sequence = streams.get(way, 1)
            frame = tcp_frame(way, sequence, streams.get((way[2], way[3], way[0], way[1]), 1), payload)
            streams[way] = sequence + len(payload)
        yield BEGIN_NS + sent * _MESSAGE_EVERY_NS, frame


def _ends(chance: random.Random, *, is_tcp: bool) -> Ends:
    port = chance.randint(20_000, 20_003) if is_tcp else 5060
    return f"192.0.2.{chance.randint(1, 250)}", port, f"198.51.100.{chance.randint(1, 40)}", 5060


def _transaction(chance: random.Random, number: int, ends: Ends, transport: str) -> Iterator[Sent]:
    kind = chance.randrange(10)
    if kind < 7:
        return _call(chance, number, ends, transport)
    return _registration(chance, number, ends, transport) if kind < 9 else _keep_alive(chance, number, ends, transport)


def _token(chance: random.Random) -> str:
    return f"{chance.getrandbits(64):016x}"


def _message(start: str, headers: list[str], body: str = "") -> bytes:
    return "\r\n".join([start, *headers, f"Content-Length: {len(body)}", "", body]).encode()


def _via(chance: random.Random, ends: Ends, transport: str) -> str:
    return f"Via: SIP/2.0/{transport} {ends[0]}:{ends[1]};branch=z9hG4bK{_token(chance)};rport"


def _sdp(chance: random.Random, ip: str) -> str:
    formats, maps = chance.choice(_CODECS)
    media_ip = f"{ip.rpartition('.')[0]}.{chance.randint(1, 250)}"
    lines = [
        "v=0",
        f"o=- {chance.getrandbits(31)} {chance.getrandbits(31)} IN IP4 {media_ip}",
        "s=-",
        f"c=IN IP4 {media_ip}",
        "t=0 0",
        f"m=audio {chance.randrange(16_384, 32_766, 2)} RTP/AVP {formats}",
        *(f"a=rtpmap:{each}" for each in maps),
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-15",
        "a=ptime:20",
        "a=sendrecv",
        "",
    ]
    return "\r\n".join(lines)


def _call(chance: random.Random, number: int, ends: Ends, transport: str) -> Iterator[Sent]:
    caller, callee = f"1617555{chance.randint(1000, 9999)}", f"1413555{chance.randint(1000, 9999)}"
    if chance.randrange(100) == 0:
        callee = "911"
    uri = f"sip:+{callee}@{ends[2]}:5060" if callee != "911" else f"sip:911@{ends[2]}"
    from_ = f'From: "Caller {number}" <sip:+{caller}@{ends[0]}>;tag={_token(chance)}'
    to, tag = f"To: <{uri}>", f";tag={_token(chance)}"
    call_id = f"Call-ID: {_token(chance)}{_token(chance)}@{ends[0]}"
    agent = f"User-Agent: {chance.choice(_AGENTS)}"
    contact = f"Contact: <sip:+{caller}@{ends[0]}:{ends[1]};transport={transport.lower()}>"
    answering = f"Contact: <sip:{callee}@{ends[2]}:5060;transport={transport.lower()}>"
    allow, sdp_type = f"Allow: {chance.choice(_ALLOW)}", "Content-Type: application/sdp"
    via, sequence = _via(chance, ends, transport), chance.randint(1, 30_000)
    invite = [via, "Max-Forwards: 70", from_, to, call_id, f"CSeq: {sequence} INVITE", contact, agent, allow]
    if chance.randrange(2):
        invite += ["Supported: 100rel, timer, replaces", "Session-Expires: 1800;refresher=uac", "Min-SE: 90"]
    if chance.randrange(3) == 0:
        invite += [f"P-Asserted-Identity: <sip:+{caller}@{ends[0]};user=phone>", "Privacy: none"]
    yield True, _message(f"INVITE {uri} SIP/2.0", [*invite, sdp_type], _sdp(chance, ends[0]))
    back = [via, from_, to, call_id, f"CSeq: {sequence} INVITE"]
    tagged = [via, from_, to + tag, call_id, f"CSeq: {sequence} INVITE", answering]
    yield False, _message("SIP/2.0 100 Trying", back)
    yield False, _message("SIP/2.0 180 Ringing", tagged)
    yield False, _message("SIP/2.0 200 OK", [*tagged, allow, "Supported: timer", sdp_type], _sdp(chance, ends[2]))
    inside = f"sip:{callee}@{ends[2]}:5060;transport={transport.lower()}"
    ack = [_via(chance, ends, transport), "Max-Forwards: 70", from_, to + tag, call_id, f"CSeq: {sequence} ACK", agent]
    yield True, _message(f"ACK {inside} SIP/2.0", ack)
    via = _via(chance, ends, transport)
    bye = [via, "Max-Forwards: 70", from_, to + tag, call_id, f"CSeq: {sequence + 1} BYE", agent]
    yield True, _message(f"BYE {inside} SIP/2.0", bye)
    yield False, _message("SIP/2.0 200 OK", [via, from_, to + tag, call_id, f"CSeq: {sequence + 1} BYE"])


def _registration(chance: random.Random, number: int, ends: Ends, transport: str) -> Iterator[Sent]:
    user, realm = f"user{chance.randint(1, 5000)}", ends[2]
    ids = [
        f"From: <sip:{user}@{realm}>;tag={_token(chance)}",
        f"To: <sip:{user}@{realm}>",
        f"Call-ID: {number}-{_token(chance)}",
    ]
    rest = [
        f"Contact: <sip:{user}@{ends[0]}:{ends[1]};line={_token(chance)}>;expires=3600",
        f"User-Agent: {chance.choice(_AGENTS)}",
        "Expires: 3600",
    ]
    nonce = _token(chance)
    via = _via(chance, ends, transport)
    yield True, _message(f"REGISTER sip:{realm} SIP/2.0", [via, "Max-Forwards: 70", *ids, "CSeq: 1 REGISTER", *rest])
    challenge = f'WWW-Authenticate: Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"'
    yield False, _message("SIP/2.0 401 Unauthorized", [via, *ids, "CSeq: 1 REGISTER", challenge])
    via = _via(chance, ends, transport)
    proof = f'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="sip:{realm}"'
    proof += f', response="{_token(chance)}{_token(chance)}", algorithm=MD5, cnonce="{_token(chance)}", qop=auth'
    again = [via, "Max-Forwards: 70", *ids, "CSeq: 2 REGISTER", *rest, proof]
    yield True, _message(f"REGISTER sip:{realm} SIP/2.0", again)
    yield False, _message("SIP/2.0 200 OK", [via, *ids, "CSeq: 2 REGISTER", rest[0]])


def _keep_alive(chance: random.Random, number: int, ends: Ends, transport: str) -> Iterator[Sent]:
    via = _via(chance, ends, transport)
    ids = [
        f"From: <sip:{ends[0]}:{ends[1]}>;tag={_token(chance)}",
        f"To: <sip:{ends[2]}:5060>",
        f"Call-ID: ping-{number}-{_token(chance)}@{ends[0]}",
        f"CSeq: {chance.randint(1, 60_000)} OPTIONS",
    ]
    yield (
        True,
        _message(f"OPTIONS sip:{ends[2]}:5060 SIP/2.0", [via, "Max-Forwards: 70", *ids, "Accept: application/sdp"]),
    )
    yield False, _message("SIP/2.0 200 OK", [via, *ids, "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS"])
