"""Which frames of a capture an expression matches: ``tshark -Y`` with sosgate's fields beside Wireshark's."""

from collections.abc import Callable
from dataclasses import dataclass, field

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, Started
from firewall.errors import Place
from firewall.net.capture_record import CaptureRecord, Unreadable
from firewall.net.datagram import Datagram
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from firewall.net.signalling import SIP_PORT, is_signalling
from firewall.replay.media import MediaEndpoints
from firewall.replay.source import Progress, open_capture
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import EmergencyPolicy, ExceptionPolicies, Policy

# sips and what tshark takes for SIP beside it are found by content.
_SIP_PORTS = frozenset({SIP_PORT})


@dataclass(slots=True)
class MatchReport:
    """The frames of one capture that match, by their 1-based numbers; ``unreadable``: where the file is damaged."""

    path: str
    frames: list[int] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


def match_capture(path: str, matches: Callable[[Facts], bool], progress: Progress | None = None) -> MatchReport:
    """Evaluate a compiled expression on every frame of a capture.

    SIP goes through an engine that allows everything, so that fields about a message's past (``dialog.state``,
    ``emergency``) have their values. What is no SIP has the fields of its packet.

    Raises:
        CaptureError, MachineError: the capture cannot be read.
    """
    report = MatchReport(path)
    reader = _FactsReader()
    with open_capture(path, progress) as frames:
        for frame in frames:
            if isinstance(frame, Unreadable):
                report.unreadable.append(frame)
            elif matches(reader.read(frame)):
                report.frames.append(frame.frame_number)
    return report


class _FactsReader:
    def __init__(self) -> None:
        self._decoder = FrameDecoder(wire_length=True)
        self._engine = Engine(allow_everything(), strict=False)
        self._endpoints = MediaEndpoints()
        self._started = False

    def read(self, frame: CaptureRecord) -> Facts:
        """Return what an expression may look at in a frame."""
        decoded = self._decoder.decode(frame)
        if isinstance(decoded, Undecoded):
            return Facts(decoded.datagram)
        if decoded.transport != "UDP":
            return Facts(decoded)
        if not is_signalling(decoded.src_port, decoded.dst_port, decoded.payload, _SIP_PORTS):
            return Facts(decoded, media_negotiated=self._endpoints.carries(decoded))
        return self._signalling(decoded, frame.timestamp_ns)

    def _signalling(self, datagram: Datagram, now_ns: int) -> Facts:
        engine = self._engine
        if not self._started:
            self._started = True
            engine.handle(Started(), now_ns)
        while (deadline := engine.next_deadline()) is not None and deadline <= now_ns:
            engine.handle(DeadlineReached(), deadline)
        facts = engine.facts(datagram, now_ns)
        engine.handle(DatagramReceived(datagram), now_ns)
        if facts.message is not None:
            self._endpoints.learn(datagram.payload)
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
