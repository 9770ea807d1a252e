"""Which media of an emergency call could rules refuse? Any payload type, address, port, size and hour, by the formula.

What SDP negotiates passes unless a rule about media decides against it, so only those rules are encoded. A packet's
header is given: each payload type, each codec and direction that rules name, and each number at which they change.
A rule that refuses one packet closes the flow, so what comes on RTP's port beside it is asked about, too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from struct import pack
from typing import get_args

from firewall.lint.endpoint import Pair, Side
from firewall.lint.proof.asking import MAX_FRAME_BYTES
from firewall.lint.proof.atom import cuts
from firewall.lint.proof.codec import lists_told_apart
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.hosts import between
from firewall.lint.proof.kinds import UntoldError
from firewall.lint.proof.line import PORTS
from firewall.lint.proof.witness import endpoint_in
from firewall.net.datagram import Datagram
from firewall.net.rtcp import is_rtcp
from firewall.net.rtp_stream import RTP_HEADER
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, base_field
from firewall.ruleset.facts import EmergencyMark, Facts, MediaFacts
from firewall.ruleset.policy import Policy, Rule
from firewall.sip.sdp import Direction

PLAIN_BYTES = 172
"""An RTP header and 20 ms of G.711 (RFC 3551 §4.5.14)."""
_RTP_VERSION_2 = 0x80
MARK = EmergencyMark("media", "urn:service:sos", ("same call: request_uri urn:service:sos (RFC 5031 §4.2)",))


MAX_PACKETS = 20_000
_CALLED = {
    "pcmu": "PCMU",
    "pcma": "PCMA",
    "amr-wb": "AMR-WB",
    "cn": "comfort noise",
    "telephone-event": "DTMF digits",
    "t140": "real-time text",
    "red": "real-time text with redundancy",
}
# RFC 3551 table 4, RFC 3389, and the numbers that RFC 4733 and RFC 4103 are mostly given.
_PAYLOAD_TYPES = (0, 8, 3, 9, 13, 18, 96, 97, 98, 100, 101, 111, 127)
_BOTH_WAYS: tuple[Direction, ...] = ("sendrecv",)
_BINDING_REQUEST = bytes.fromhex("000100002112a442") + bytes(range(12))  # RFC 8489 §5


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """The header of one RTP packet (RFC 3550 §5.1), and what its call agreed on."""

    payload_type: int = 0
    kind: str = "audio"
    codecs: tuple[str, ...] = ("pcmu",)
    direction: Direction = "sendrecv"
    sequence_number: int = 50
    timestamp: int = 8000
    ssrc: int = 911
    marker: int = 0
    beside: bytes = b""
    """What comes on the port of this RTP in its stead: how RTCP (RFC 5761 §4) or STUN (RFC 8445 §2.2) begins."""

    @property
    def name(self) -> str:
        """The packet in a few words."""
        rtp = f"{', '.join(_CALLED.get(each, each) for each in self.codecs)} (payload type {self.payload_type})"
        if not self.beside:
            return rtp
        beside = f"RTCP (type {self.beside[1]})" if is_rtcp(self.beside) else "STUN"
        return f"{beside}, and with it what shares its port: {rtp}"

    def payload(self, size_bytes: int = PLAIN_BYTES) -> bytes:
        """Return its bytes."""
        if self.beside:
            return self.beside.ljust(size_bytes, b"\0")
        second = self.marker << 7 | self.payload_type
        head = pack(">BBHII", _RTP_VERSION_2, second, self.sequence_number, self.timestamp, self.ssrc)
        return head + bytes(max(0, size_bytes - len(head)))


USUAL_PACKETS = (
    RtpPacket(0),
    RtpPacket(8, codecs=("pcma",)),
    RtpPacket(96, codecs=("amr-wb",)),
    RtpPacket(13, codecs=("cn",)),
    RtpPacket(101, codecs=("telephone-event",)),
    RtpPacket(98, "text", ("t140",)),
    RtpPacket(100, "text", ("red",)),
)
"""What shows best what a rule refuses: RFC 3551, RFC 4867 (VoLTE), RFC 3389, RFC 4733, RFC 4103."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A packet that, as the formula has it, a rule refuses: who sends it to whom, from and to which port, when."""

    rule: Rule
    sender: Side
    pair: Pair
    ports: tuple[int, int]
    packet: RtpPacket
    size_bytes: int
    at_ns: int


def refusals(policy: Policy, pairs: Sequence[Pair], kinds: Sequence[str]) -> Iterator[Refusal]:
    """Yield a packet for each rule that could refuse media of these kinds between such ends; nothing is a proof.

    Raises:
        UntoldError: not all can be asked about.
    """
    rules = tuple(rule for rule in policy.rules if rule.about_media)
    if not any(rule.action != "allow" and not rule.shadow for rule in rules):
        return
    encoding = Encoding([replace(policy, rules=rules, default="allow")])
    packets = _packets(encoding, kinds)
    found: set[str] = set()
    asked: set[tuple[object, ...]] = set()
    for pair in pairs:
        for sender in get_args(Side):
            for packet in packets:
                given = _given(encoding, pair, sender, packet)
                if (pair, sender, *given) in asked:
                    continue
                asked.add((pair, sender, *given))
                yield from _of_packet(encoding, policy, pair, sender, packet, given, found)


def _of_packet(
    encoding: Encoding,
    policy: Policy,
    pair: Pair,
    sender: Side,
    packet: RtpPacket,
    given: tuple[int, ...],
    found: set[str],
) -> Iterator[Refusal]:
    assumed = [*given, *_free(encoding, policy, pair, sender)]
    for each in encoding.policies[0].rules:
        if each.rule.action == "allow" or each.rule.shadow or each.rule.name in found:
            continue
        model = encoding.formula.solve([*assumed, each.decides])
        if model is not None:
            found.add(each.rule.name)
            yield _refusal(encoding, model, each.rule, pair, sender, packet, policy.media.ports)


def _given(encoding: Encoding, pair: Pair, sender: Side, packet: RtpPacket) -> tuple[int, ...]:
    """Return what the packet's header and its call decide of the rules' atoms."""
    source, target = pair.ends(sender)
    about = MediaFacts(packet.kind, "rtp", packet.codecs, packet.direction)
    datagram = Datagram(source.ip, source.port, target.ip, target.port, packet.payload())
    facts = Facts(datagram, emergency=MARK, media_negotiated=True, media=about)
    own = {atom: literal for (_, atom), literal in encoding.own.items()} | encoding.text
    return tuple(literal if compile_condition(atom)(facts) else -literal for atom, literal in own.items())


def _free(encoding: Encoding, policy: Policy, pair: Pair, sender: Side) -> Iterator[int]:
    """Yield what bounds the rest: addresses of the zones, ports on which media is negotiated, sizes of a frame."""
    lines, (sends, receives) = encoding.lines, pair.ends(sender)
    yield from between(encoding, {zone.name: zone for zone in policy.zones}, sends, receives)
    first, last = policy.media.ports
    for name in PORTS:
        yield from (lines[name].not_below(first), lines[name].not_above(last))
    sizes = lines["frame_len"]
    yield sizes.not_below(_frame_headers_bytes(sends.ip) + RTP_HEADER.size)
    yield sizes.not_above(min(MAX_FRAME_BYTES, 1514))
    yield -encoding.is_tcp


def _refusal(
    encoding: Encoding,
    model: Model,
    rule: Rule,
    pair: Pair,
    sender: Side,
    packet: RtpPacket,
    media_ports: tuple[int, int],
) -> Refusal:
    lines = encoding.lines
    source, target = pair.ends(sender)
    source, target = endpoint_in(source, lines["src"].piece(model)), endpoint_in(target, lines["dst"].piece(model))
    ports = tuple(_port_in(lines[name].piece(model), media_ports) for name in PORTS)
    headers_bytes = _frame_headers_bytes(source.ip)
    first, last = lines["frame_len"].piece(model)
    size_bytes = min(max(PLAIN_BYTES, first - headers_bytes), last - headers_bytes)
    both = Pair(source, target) if sender == "caller" else Pair(target, source)
    return Refusal(rule, sender, both, (ports[0], ports[1]), packet, size_bytes, encoding.instant_ns(model))


def _frame_headers_bytes(ip: str) -> int:
    """Return the octets before a UDP datagram's payload: Ethernet, IPv4 or IPv6, UDP."""
    return 62 if ":" in ip else 42


def _port_in(piece: tuple[int, int], media_ports: tuple[int, int]) -> int:
    """RTP takes an even port, and RTCP the next (RFC 3550 §11), where the piece has one."""
    first, last = max(piece[0], media_ports[0]), min(piece[1], media_ports[1])
    wanted = max(first, 49_170) if last >= 49_170 else first
    return wanted + 1 if wanted % 2 and wanted < last else wanted


def _packets(encoding: Encoding, kinds: Sequence[str]) -> list[RtpPacket]:
    """Return the packets that rules can tell apart, the plainest first.

    Raises:
        UntoldError: there are more than anyone would wait for, or what tells them apart is not known.
    """
    own = [atom for _, atom in encoding.own]
    codecs = lists_told_apart(own)
    is_directed = any(base_field(atom.operand).name == "media.direction" for atom in own)
    directions: tuple[Direction, ...] = get_args(Direction) if is_directed else _BOTH_WAYS
    choices = (
        kinds,
        tuple(dict.fromkeys((*_PAYLOAD_TYPES, *_numbers(own, "rtp.p_type", 128)))),
        codecs,
        directions,
        tuple(dict.fromkeys((50, *_numbers(own, "rtp.seq", 2**16)))),
        tuple(dict.fromkeys((8000, *_numbers(own, "rtp.timestamp", 2**32)))),
        tuple(dict.fromkeys((911, *_numbers(own, "rtp.ssrc", 2**32)))),
        (0, 1),
    )
    beside = (kinds, codecs, directions, tuple(_beside(own)))
    if prod(map(len, choices)) + prod(map(len, beside)) > MAX_PACKETS:
        raise UntoldError(f"the rules tell more than {MAX_PACKETS} packets apart")
    usual = [packet for packet in USUAL_PACKETS if packet.kind in kinds]
    return (
        usual
        + [
            RtpPacket(payload_type, kind, agreed, direction, number, timestamp, ssrc, marker)
            for kind, payload_type, agreed, direction, number, timestamp, ssrc, marker in product(*choices)
            if not 64 <= payload_type <= 95  # with the marker that would be RTCP: not to be used (RFC 5761 §4)
        ]
        + [
            RtpPacket(kind=kind, codecs=agreed, direction=direction, beside=begins)
            for kind, agreed, direction, begins in product(*beside)
        ]
    )


def _beside(own: list[Atom]) -> Iterator[bytes]:
    """Yield how packets begin that share RTP's port: RTCP that rules tell apart, and STUN."""
    numbers = (
        dict.fromkeys((first, *_numbers(own, f"rtcp.{field}", end)))
        for field, first, end in (("pt", 200, 256), ("length", 1, 2**16), ("senderssrc", 911, 2**32))
    )
    for packet_type, words, ssrc in product(*numbers):
        if is_rtcp(begins := pack(">BBHI", _RTP_VERSION_2, packet_type, words, ssrc)):
            yield begins
    yield _BINDING_REQUEST


def _numbers(own: list[Atom], field: str, end: int) -> Iterator[int]:
    for atom in own:
        if base_field(atom.operand).name == field:
            for cut in (0, *cuts(atom)):
                yield from (number for number in (cut - 1, cut) if 0 <= number < end)
