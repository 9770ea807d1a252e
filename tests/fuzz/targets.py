"""What is fuzzed: for each parser, and for the engine, one function that must hold for any bytes.

The first line of each says what holds. ``tests/fuzz/test_targets.py`` runs every target over the committed corpus
(tests/fuzz/corpus) and mutations of it; ``make fuzz`` runs them under coverage guidance.
"""

from collections.abc import Callable

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Started
from firewall.engine.media_flow import MAX_STREAMS, Ends, MediaFlow
from firewall.engine.media_plan import MAX_WAYS, Planner
from firewall.engine.negotiation import Negotiation, Offer, Party, Session
from firewall.engine.outputs import Forward, Reply, Write
from firewall.engine.reasons import REASONS
from firewall.engine.record import SipDecision, encode
from firewall.errors import SipSyntaxError
from firewall.net.address import address_number
from firewall.net.datagram import Datagram
from firewall.net.rtcp import read_rtcp
from firewall.net.rtp import is_rtp
from firewall.sip.body import body_parts
from firewall.sip.emergency_data import emergency_data
from firewall.sip.framing import Framer, Piece
from firewall.sip.head import read_head
from firewall.sip.headers import parse_params, split_values, unquote
from firewall.sip.limits import MAX_MEDIA
from firewall.sip.media_endpoint import Formats
from firewall.sip.message import Message, Request, Response, parse_message
from firewall.sip.name_addr import parse_name_addr
from firewall.sip.response import build_response, response_target
from firewall.sip.sdp import parse_sdp
from firewall.sip.start_line import find_empty_line, is_start_line
from firewall.sip.stun import is_stun
from firewall.sip.uri import parse_uri, unescape
from firewall.sip.via import parse_via
from tests.messages import CARRIER, PSAP
from tests.scene import policy

RULES = """
  - {name: odd, when: 'sip.anomaly in {"bare_cr", "nul_byte"} and not emergency', action: reject, status: 400}
  - {name: agent, when: 'sip.User-Agent matches "scan" or sip.Via.branch contains "x"', action: drop}
  - {name: port, when: 'sdp.media.port == 9 or sip.contact.host == "x"', action: drop, mode: shadow}
  - {name: limit, when: 'sip.Method == "OPTIONS"', limit: {rate: 2/1s, per: net.src}, action: drop, ban: 1s}
  - {name: calls, when: 'sip.r-uri.user matches "9|sos" or sip.to.host == "h"', action: allow}
"""  # fmt: skip
MEDIA_POLICIES = (policy(RULES), policy(RULES, more="media: {nat: latch, source: port, early: answer}"))
SOAK_POLICY = policy(RULES, guard="enforce")
_NOW_NS = 1_800_000_000_000_000_000
_SEPARATOR = b"\xff\xfe|"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _parsed(data: bytes) -> Message | str:
    """Return the message, or the reason why there is none."""
    try:
        return parse_message(data)
    except SipSyntaxError as error:
        return error.reason


def message(data: bytes) -> None:
    """Any bytes give a message with known anomalies or a SipSyntaxError with a known reason, and keep every byte."""
    read = _parsed(data)
    if isinstance(read, str):
        assert REASONS[read].kind == "malformed"
        return
    assert all(REASONS[code].kind == "anomaly" for code in read.anomalies)
    assert len(set(read.anomalies)) == len(read.anomalies)
    assert read.raw is data
    assert read.body in data
    assert is_start_line(read.start_line)
    assert sum(len(read.header_values(name)) for name in {name.lower() for name, _ in read.headers}) >= len(
        read.headers
    )
    for value in (read.from_, read.to, read.via, read.cseq_number, read.cseq_method):
        repr(value)
    if isinstance(read, Request):
        repr(read.uri)
        answer = parse_message(build_response(read, 486, "tag", "192.0.2.1", 5060))
        assert isinstance(answer, Response)
        assert answer.call_id == read.call_id or (answer.call_id or "") == (read.call_id or "")
        response_target(read, "192.0.2.1", 5060)


def framing(data: bytes) -> None:
    """However a stream is cut, its pieces are the same and joined they are the stream."""
    whole, cut = Framer(), Framer()
    at_once = whole.feed(data) + whole.flush()
    step = data[0] % 7 + 1 if data else 1
    one_by_one = [piece for at in range(0, len(data), step) for piece in cut.feed(data[at : at + step])] + cut.flush()
    assert b"".join(piece.data for piece in at_once) == data
    assert _joined(at_once) == _joined(one_by_one)
    assert whole.lost == cut.lost
    assert whole.pending == cut.pending == 0


def _joined(pieces: list[Piece]) -> list[tuple[str, bytes]]:
    joined: list[tuple[str, bytes]] = []
    for piece in pieces:
        if joined and piece.kind == "junk" == joined[-1][0]:
            joined[-1] = ("junk", joined[-1][1] + piece.data)
        else:
            joined.append((piece.kind, piece.data))
    return joined


def headers(data: bytes) -> None:
    """Any text is split without loss, and any bytes have a head without an empty line in it."""
    text = _text(data)
    assert "".join("".join(split_values(text)).split()) in "".join(text.split()).replace(",", "") or "," in text
    assert all(name == name.lower() for name in parse_params(text))
    unquote(text)
    empty_line = find_empty_line(data)
    head = read_head(data[: empty_line[0]] if empty_line else data)
    assert sum(len(head.values(name)) for name in head.first) == len(head.headers)
    if empty_line:
        assert not head.has_empty_line
        assert data[empty_line[0] : empty_line[1]] in (b"\n\n", b"\n\r\n")


def uri(data: bytes) -> None:
    """Any text gives a URI that keeps it; a port is none or a port."""
    read = parse_uri(_text(data))
    assert read.text == _text(data).strip()
    assert read.port is None or 0 <= read.port <= 65535
    unescape(read.text)


def name_addr(data: bytes) -> None:
    """Any text gives a name-addr whose URI is part of the text."""
    read = parse_name_addr(_text(data))
    assert read.uri in _text(data)
    repr(parse_uri(read.uri))


def via(data: bytes) -> None:
    """Any text gives a hop or none; a port is none or a port."""
    read = parse_via(_text(data))
    assert read is None or read.port is None or 0 <= read.port <= 65535


def sdp(data: bytes) -> None:
    """Any bytes give a session with one medium for each m= line that says anything, up to a bound."""
    read = parse_sdp(data)
    assert len(read.media) == min(sum(kind == "m" and value != "" for kind, value in read.lines), MAX_MEDIA)
    for medium in read.media:
        assert 0 <= medium.port <= 65535
        assert medium.said_rtcp is None or 0 < medium.said_rtcp[0] <= 65535
        for name in dir(medium):
            if not name.startswith("_"):
                getattr(medium, name)


def body(data: bytes) -> None:
    """Any body gives parts whose contents stand in it."""
    head = b"INVITE sip:a@b SIP/2.0\r\nc: multipart/mixed;boundary=b\r\nGeolocation: <cid:x>\r\n\r\n"
    read = parse_message((head + data)[:65_535])
    for part in body_parts(read):
        assert part.content in read.body
        parse_sdp(part.content)
    emergency_data(read)


def stun(data: bytes) -> None:
    """What is STUN is no SIP."""
    if is_stun(data):
        assert _parsed(data) in (
            *("stun", "message_too_large", "start_line_too_long"),
            *("too_many_headers", "too_many_values"),
        )


def rtp(data: bytes) -> None:
    """Any bytes on a media port are RTP, RTCP or neither, are counted, and a flow of them keeps its bounds."""
    flow = MediaFlow(Ends("192.0.2.1", 4000, "198.51.100.1", 4002), Formats(frozenset({0}), ("pcmu",), ((0, 8000),)))
    payloads = data.split(_SEPARATOR)
    for number, payload in enumerate(payloads):
        assert not (is_rtp(payload) and read_rtcp(payload))
        assert sum(4 * (header.words + 1) for header in read_rtcp(payload)[:-1]) <= len(payload)
        flow.take(payload, number * 20_000_000)
    assert (flow.packets, flow.octets) == (len(payloads), sum(map(len, payloads)))
    assert len(flow.streams) <= MAX_STREAMS


def media(data: bytes) -> None:
    """Any offer and any answer give a bounded number of ways, and what may be opened is an address and a port."""
    described = data.partition(_SEPARATOR)
    offer = Offer(parse_sdp(described[0]), Party("carrier", CARRIER[0]), Party("psap", PSAP[0]), 1)
    session = Session(offer, parse_sdp(described[2]), Party("psap", PSAP[0]))
    for rules in MEDIA_POLICIES:
        ways = Planner(rules).ways(Negotiation({("a", 1, "INVITE"): offer}, {("a", "b"): session}))
        assert len(ways) <= MAX_WAYS
        for key, way in ways.items():
            assert key == way.key
            if way.refusal is None:
                address_number(key.dst_ip)
                assert 0 < key.dst_port <= 65535


def engine(data: bytes) -> None:
    """Any messages in any order: one decision each that can be written, and allowed ones go on unchanged."""
    core = Engine(SOAK_POLICY, strict=True)
    core.handle(Started(), _NOW_NS)
    now_ns = _NOW_NS
    for number, payload in enumerate(data.split(_SEPARATOR)[:16]):
        ends = (CARRIER, PSAP) if number % 3 else (PSAP, CARRIER)
        datagram = Datagram(*ends[0], *ends[1], payload)
        now_ns += 1 << (payload[0] % 40 if payload else 20)
        outputs = core.handle(DatagramReceived(datagram), now_ns)
        records = [output.record for output in outputs if isinstance(output, Write)]
        assert sum(isinstance(record, SipDecision) for record in records) == 1
        for record in records:
            assert b"\n" not in encode(record)
        assert all(output.datagram is datagram for output in outputs if isinstance(output, Forward))
        assert sum(isinstance(output, Forward | Reply) for output in outputs) <= 1


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (message, framing, headers, uri, name_addr, via, sdp, body, stun, rtp, media, engine)
}
