"""One policy's way through recorded traffic: an engine, told the capture's time."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, Event, MediaReceived, Started, Stopped
from firewall.engine.outputs import Forward, Output, PinholesChanged, Reply, Write, WriteDecision
from firewall.net.datagram import Datagram
from firewall.net.signalling import is_signalling
from firewall.ruleset.policy import Policy

RecordSink = Callable[[Write], None]
OwnReply = Literal["own reply"]

_MAX_REPLIES = 16_384

_Flow = tuple[str, int, str, int, bytes]


class Lane:
    """An engine between its start and its stop, and where its records go.

    ``is_logged``: all records are read (``Engine``). ``changed`` has where pinholes lead that were opened or closed,
    until who asks empties it; ``deadline_ns`` is when the engine wants to be asked again.
    """

    def __init__(self, policy: Policy, sink: RecordSink, *, is_logged: bool = True) -> None:
        self.engine = Engine(policy, strict=False, is_logged=is_logged)
        self._sink = sink
        self._ports = policy.signalling_ports
        self.expected_replies: OrderedDict[_Flow, None] = OrderedDict()
        self.changed: set[tuple[str, int]] = set()
        self.deadline_ns = self.engine.next_deadline()

    def receive(self, datagram: Datagram, now_ns: int) -> WriteDecision | OwnReply | None:
        """Decide one datagram; None when it is no signalling to this policy."""
        if not is_signalling(datagram.src_port, datagram.dst_port, datagram.payload, self._ports):
            return None
        if self.expected_replies and self._is_own_reply(datagram):
            return "own reply"
        if self.deadline_ns is not None and self.deadline_ns <= now_ns:
            self.pass_deadlines(now_ns)
        return self._handle(DatagramReceived(datagram), now_ns)

    def media(self, datagram: Datagram, now_ns: int) -> None:
        """Decide one datagram that is no signalling."""
        self.pass_deadlines(now_ns)
        self._handle(MediaReceived(datagram), now_ns)

    def start(self, now_ns: int, *, takeover: bool = False) -> None:
        """Begin at the capture's first instant; ``takeover`` where calls were in progress already."""
        self._handle(Started(takeover=takeover), now_ns)

    def stop(self, now_ns: int) -> None:
        """End at the capture's last instant."""
        self.pass_deadlines(now_ns)
        self._handle(Stopped(), now_ns)

    def pass_deadlines(self, now_ns: int) -> None:
        """Let the engine do what was due until this instant."""
        while (deadline_ns := self.deadline_ns) is not None and deadline_ns <= now_ns:
            self._handle(DeadlineReached(), deadline_ns)

    def _handle(self, event: Event, now_ns: int) -> WriteDecision | None:
        decision: WriteDecision | None = None
        for output in self.engine.handle(event, now_ns):
            if isinstance(output, Write):
                self._sink(output)
                if isinstance(output, WriteDecision):
                    decision = output
            elif not isinstance(output, Forward):  # what a capture shows has been sent on
                self._take(output)
        self.deadline_ns = self.engine.next_deadline()
        return decision

    def _take(self, output: Output) -> None:
        match output:
            case PinholesChanged(opened=opened, closed=closed):
                for pinhole in (*opened, *closed):
                    self.changed.add((pinhole.key.dst_ip, pinhole.key.dst_port))
            case Reply(datagram=reply):
                if len(self.expected_replies) >= _MAX_REPLIES:
                    self.expected_replies.popitem(last=False)
                self.expected_replies[_flow(reply)] = None
            case _:
                pass

    def _is_own_reply(self, datagram: Datagram) -> bool:
        flow = _flow(datagram)
        if flow in self.expected_replies:
            del self.expected_replies[flow]
            return True
        return False


def _flow(datagram: Datagram) -> _Flow:
    return datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port, datagram.payload
