"""Which frames of a capture an expression matches: ``tshark -Y`` with sosgate's fields beside Wireshark's."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, Started
from firewall.errors import Place
from firewall.net.capture_record import CaptureRecord, Unreadable
from firewall.net.datagram import Datagram, Packet
from firewall.net.exported_pdu import EXPORTED_PDU
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from firewall.net.signalling import SIP_PORT, is_signalling
from firewall.replay.cut_message import CutMessages
from firewall.replay.media import MediaEndpoints
from firewall.replay.source import Progress, open_capture
from firewall.replay.streams import Arrival, SipStreams
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import EmergencyPolicy, ExceptionPolicies, Policy

# sips and what tshark takes for SIP beside it are found by content.
_SIP_PORTS = frozenset({SIP_PORT})

Predicate = Callable[[Facts], bool]


@dataclass(slots=True)
class MatchReport:
    """The frames of one capture that match, by their 1-based numbers; ``unreadable``: where the file is damaged."""

    path: str
    frames: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def match_expressions(
    path: str,
    expressions: Sequence[Predicate],
    progress: Progress | None = None,
    sip_ports: frozenset[int] = frozenset(),
) -> list[MatchReport]:
    """Evaluate compiled expressions on every frame of a capture, in one reading; return one report for each.

    SIP goes through an engine that allows everything, so that fields about a message's past (``dialog.state``,
    ``emergency``) have their values. What is no SIP has the fields of its packet. A frame that completes several
    messages of a TCP stream matches when one of them does. ``sip_ports`` are signalling ports beside 5060.

    Raises:
        CaptureError, MachineError: the capture cannot be read.
    """
    reader = _FactsReader(_SIP_PORTS | sip_ports)
    matched: list[set[int]] = [set() for _ in expressions]
    told: set[int] = set()

    def take(number: int, facts: Facts) -> None:
        for matches, numbers in zip(expressions, matched, strict=True):
            if matches(facts):
                numbers.add(number)

    def take_messages(messages: list[tuple[int, Facts]]) -> None:
        for number, facts in messages:
            if number not in told:  # until now it was a segment and no more
                told.add(number)
                for numbers in matched:
                    numbers.discard(number)
            take(number, facts)

    with open_capture(path, progress) as capture:
        for frame in capture.frames:
            facts = reader.read(frame)
            if isinstance(facts, Facts):
                take(frame.frame_number, facts)
            else:
                take(frame.frame_number, facts.segment)
                take_messages(facts.messages)
    take_messages(reader.finish())
    return [MatchReport(wire_text(path), sorted(numbers), capture.unreadable) for numbers in matched]


class _Stretch(NamedTuple):
    """A frame of a TCP stream as it is, and the messages that are whole now, each with its frame's number."""

    segment: Facts
    messages: list[tuple[int, Facts]]


class _FactsReader:
    def __init__(self, ports: frozenset[int]) -> None:
        self._decoder = FrameDecoder(as_captured=True)
        self._streams = SipStreams(ports)
        self._cut_messages = CutMessages(ports)
        self._engine = Engine(allow_everything(), strict=False)
        self._endpoints = MediaEndpoints()
        self._ports = ports
        self._started = False
        self._last_ns = 0

    def read(self, frame: CaptureRecord) -> "Facts | _Stretch":
        """Return what an expression may look at in a frame."""
        self._last_ns = frame.timestamp_ns
        decoded = self._decoder.decode(frame)
        if isinstance(decoded, Undecoded):
            return self._cut(decoded)
        if isinstance(decoded, Packet):
            if decoded.tcp is not None and not decoded.quoted:
                return _Stretch(Facts(decoded), self._told(self._streams.read(frame, decoded)))
            if frame.link_type == EXPORTED_PDU and decoded.transport == "TCP":
                decoded = self._streams.exported(frame, decoded)
            self._last_ns = frame.timestamp_ns if decoded.captured_ns is None else decoded.captured_ns
        if decoded.transport == "other":
            return Facts(decoded)
        if not is_signalling(decoded.src_port, decoded.dst_port, decoded.payload, self._ports):
            return self._media(decoded)
        if isinstance(decoded, Packet) and decoded.quoted:
            return self._engine.facts(decoded, self._last_ns)
        return self._signalling(decoded)

    def _cut(self, frame: Undecoded) -> Facts:
        """The fields of what can be read of a cut message; as ``sip`` and in the packet all that the frame holds."""
        start = self._cut_messages.begun_in(frame)
        if start is None:
            return self._media(frame.datagram)
        return msgspec.structs.replace(self._engine.facts(start, self._last_ns), datagram=frame.datagram)

    def _media(self, datagram: Datagram) -> Facts:
        media = self._engine.media_facts(datagram) if datagram.transport == "UDP" else None
        return media or Facts(datagram, media_negotiated=self._endpoints.carries(datagram))

    def finish(self) -> list[tuple[int, Facts]]:
        """Return what still waited for lost segments."""
        return self._told(self._streams.finish())

    def _told(self, messages: list[Arrival]) -> list[tuple[int, Facts]]:
        return [
            (message.datagram.frame_number or 0, self._signalling(message.datagram))
            for message in messages
            if not message.is_copy  # tshark takes it for a retransmission
        ]

    def _signalling(self, datagram: Datagram) -> Facts:
        engine, now_ns = self._engine, self._last_ns
        if not self._started:
            self._started = True
            engine.handle(Started(), now_ns)
        while (deadline := engine.next_deadline()) is not None and deadline <= now_ns:
            engine.handle(DeadlineReached(), deadline)
        facts = engine.facts(datagram, now_ns)
        engine.handle(DatagramReceived(datagram), now_ns)
        if facts.message is not None:
            self._endpoints.learn(facts.message)
        return facts


def allow_everything() -> Policy:
    """Return the policy of no rules that lets every message pass."""
    return Policy(
        name="allow-everything",
        file="",
        sha256="",
        zones=(),
        sets=(),
        emergency=EmergencyPolicy(),
        exceptions=ExceptionPolicies(malformed="allow"),
        rules=(),
        default="allow",
        default_place=Place(""),
        signalling_ports=_SIP_PORTS,
    )
