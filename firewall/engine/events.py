"""What the world tells the engine: the closed list of inputs of ``Engine.handle``."""

from typing import Literal

import msgspec

from firewall.engine.pinhole import FlowCount, Pinhole
from firewall.engine.record import PolicyChange, Record
from firewall.engine.way import Way
from firewall.errors import Place
from firewall.net.datagram import Datagram
from firewall.ruleset.policy import Policy
from firewall.sip.message import Message


class Started(msgspec.Struct, frozen=True, gc=False):
    """The firewall begins its work.

    ``takeover``: an earlier run was here before (it crashed, or was upgraded), so calls may be in progress that this
    engine has not seen begin; for ``TAKEOVER_NS`` it lets their in-dialog messages follow (reason ``takeover``).
    """

    takeover: bool = False


class Recalled(msgspec.Struct, frozen=True, gc=False):
    """A record of an earlier run's log, told before ``Started`` at the instant that it names.

    ``message``: the one that a ``sip_decision`` is about, as far as the log has it (``engine/recovery.py``).
    """

    record: Record
    message: Message | None = None

    @property
    def is_start(self) -> bool:
        """Whether a run began with it."""
        return isinstance(self.record, PolicyChange) and self.record.policy.action == "loaded"


class FlowsRecovered(msgspec.Struct, frozen=True, gc=False):
    """The pinholes that an earlier run had open, as its log tells; told once, after ``Started``."""

    flows: tuple[tuple[Pinhole, Way], ...]


class DatagramReceived(msgspec.Struct, frozen=True, gc=False):
    """A datagram taken for signalling arrived."""

    datagram: Datagram


class MediaReceived(msgspec.Struct, frozen=True, gc=False):
    """A UDP datagram that is no signalling, or a copy of one.

    ``copied`` tells of which: ``all`` where every packet is given (a capture), so that the engine counts them itself;
    ``sample`` one that the kernel let pass and counted; ``refused`` one that it dropped because no pinhole fits.
    """

    datagram: Datagram
    copied: Literal["all", "sample", "refused"] = "all"


class FlowsCounted(msgspec.Struct, frozen=True, gc=False):
    """What the kernel counted, told about once a second: of each pinhole that had packets since it was told last.

    ``refused_packets`` are all that no pinhole fitted since the start, of which only some were copied.
    """

    counts: tuple[FlowCount, ...]
    refused_packets: int = 0


class PinholesRecovered(msgspec.Struct, frozen=True, gc=False):
    """The pinholes found in the kernel at a start, left by an earlier run; told once, after ``FlowsRecovered``.

    Those that belong to no call that is still known are closed when their time-out has passed without a packet.
    """

    pinholes: tuple[Pinhole, ...]


class DeadlineReached(msgspec.Struct, frozen=True, gc=False):
    """The instant that ``next_deadline()`` named has come."""


class PolicyReplaced(msgspec.Struct, frozen=True, gc=False):
    """A new policy takes the place of the old one, calls in progress stay known."""

    policy: Policy


class PolicyRefused(msgspec.Struct, frozen=True, gc=False):
    """A new policy was unusable; the old one stays. ``error`` is the sentence shown to the operator."""

    error: str
    place: Place | None = None


class ForwardFailed(msgspec.Struct, frozen=True, gc=False):
    """The machine would not send a message that was allowed. ``error`` is the kernel's word for it.

    ``downstream``: the other side of its TCP connection refused, reset or did not answer it.
    """

    datagram: Datagram
    error: str
    downstream: bool = False


class ConnectionRefused(msgspec.Struct, frozen=True, gc=False):
    """A new TCP connection was reset because of a limit of the firewall's own, which ``limit`` says in words.

    ``said``: its two ends, and as payload what the client had sent by then (often nothing yet).
    """

    said: Datagram
    limit: str


class InterceptionLost(msgspec.Struct, frozen=True, gc=False):
    """Another program removed what has the kernel hand messages to the firewall.

    ``effect``: what becomes of messages meanwhile. ``error``: why it cannot be put back; None: it was.
    """

    what: str
    effect: Literal["lost", "unseen"]
    error: str | None = None


class HandoverLost(msgspec.Struct, frozen=True, gc=False):
    """Messages that the kernel was to hand to the firewall were dropped by other programs' rules: ``in_all`` so far."""

    in_all: int


class DatagramsLost(msgspec.Struct, frozen=True, gc=False):
    """Datagrams were dropped undecided, because they came faster than they were decided on.

    ``in_all``: since the start. ``loudest``: who had sent most of what was read at the time, with its share.
    """

    in_all: int
    loudest: str


class ConnectionsClosed(msgspec.Struct, frozen=True, gc=False):
    """TCP connections were closed because there were as many as there may be, ``in_all``, and others needed room.

    ``loudest``: the address of a client of the source that had most of them, with how many.
    """

    count: int
    in_all: int
    loudest: str
    of_loudest: int


class PinholesRefused(msgspec.Struct, frozen=True, gc=False):
    """The kernel refused a change of the sets of media. ``error`` is its word for it."""

    error: str


class LogFailed(msgspec.Struct, frozen=True, gc=False):
    """A record could not be written. ``error`` is the kernel's word for it."""

    error: str


class LogRecovered(msgspec.Struct, frozen=True, gc=False):
    """The log can be written again; ``lost_records`` were lost meanwhile.

    ``is_on_disk`` False: a sync was in vain, and a disk says so once of what it did not take, whatever it says later.
    """

    lost_records: int
    is_on_disk: bool = True


class Stopped(msgspec.Struct, frozen=True, gc=False):
    """The firewall ends its work (or a capture ends): calls still open are told as they stand."""


MachineEvent = (
    LogFailed | LogRecovered | InterceptionLost | HandoverLost | DatagramsLost | ConnectionsClosed | PinholesRefused
)

Event = (
    Started
    | Recalled
    | FlowsRecovered
    | DatagramReceived
    | MediaReceived
    | FlowsCounted
    | PinholesRecovered
    | DeadlineReached
    | PolicyReplaced
    | PolicyRefused
    | ForwardFailed
    | ConnectionRefused
    | MachineEvent
    | Stopped
)
