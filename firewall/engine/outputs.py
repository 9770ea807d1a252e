"""What the engine wants done: the closed list of outputs of ``Engine.handle``, in the order they must happen."""

import msgspec

from firewall.engine.decide import Decision
from firewall.engine.pinhole import Pinhole
from firewall.engine.record import Record, SipDecision
from firewall.engine.recording import decision_record
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy


class Write:
    """Hand this record to the log before anything that follows. ``urgent``: sync it to disk within 100 ms."""

    __slots__ = ("_record", "urgent")

    def __init__(self, record: Record, *, urgent: bool = False) -> None:
        self._record = record
        self.urgent = urgent

    @property
    def record(self) -> Record:
        """What is to be written."""
        return self._record


class WriteDecision(Write):
    """The record of the decision on one message, made when it is asked for: a replay without a log asks for few.

    ``passes``: the message is let through, be it by the guard. ``hurts``: the emergency call that it is about loses
    something by it (``Call.misses``), or would but for the guard.
    """

    __slots__ = ("_made", "_now_ns", "_repeated", "decision", "facts", "hurts", "override", "passes", "policy")

    def __init__(
        self,
        facts: Facts,
        decision: Decision,
        policy: Policy,
        override: str | None,
        now_ns: int,
        *,
        repeated: bool = False,
    ) -> None:
        self._made: SipDecision | None = None
        self.urgent = facts.emergency is not None
        self.facts = facts
        self.decision = decision
        self.policy = policy
        self.override = override
        self.passes = override is not None or decision.verdict == "allow"
        self.hurts = False
        self._now_ns = now_ns
        self._repeated = repeated

    @property
    def record(self) -> SipDecision:
        """What is to be written."""
        if self._made is None:
            self._made = decision_record(
                self.facts, self.decision, self.policy, self.override, self._now_ns, repeated=self._repeated
            )
        return self._made


class Forward(msgspec.Struct, frozen=True, gc=False):
    """Send this datagram on, unchanged, from its own source to its own destination."""

    datagram: Datagram


class Reply(msgspec.Struct, frozen=True):
    """Send this datagram, made by the engine (a SIP response to a rejected request), from ``src_ip:src_port``."""

    datagram: Datagram


class PinholesChanged(msgspec.Struct, frozen=True):
    """Open and close these pinholes, before anything that follows.

    ``closed`` comes first. An ``opened`` one whose key is open already takes its place: its verdict or inspection
    changed, what it has counted stays.
    """

    opened: tuple[Pinhole, ...] = ()
    closed: tuple[Pinhole, ...] = ()


Output = Write | Forward | Reply | PinholesChanged
