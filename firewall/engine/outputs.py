"""What the engine wants done: the closed list of outputs of ``Engine.handle``, in the order they must happen."""

from dataclasses import dataclass

import msgspec

from firewall.engine.pinhole import Pinhole
from firewall.engine.record import Record
from firewall.net.datagram import Datagram


class Write(msgspec.Struct, frozen=True):
    """Hand this record to the log before anything that follows. ``urgent``: sync it to disk within 100 ms."""

    record: Record
    urgent: bool = False


class Forward(msgspec.Struct, frozen=True):
    """Send this datagram on, unchanged, from its own source to its own destination."""

    datagram: Datagram


@dataclass(frozen=True, slots=True)
class Reply:
    """Send this datagram, made by the engine (a SIP response to a rejected request), from ``src_ip:src_port``."""

    datagram: Datagram


@dataclass(frozen=True, slots=True)
class PinholesChanged:
    """Open and close these pinholes, before anything that follows.

    ``closed`` comes first. An ``opened`` one whose key is open already takes its place: its verdict or inspection
    changed, what it has counted stays.
    """

    opened: tuple[Pinhole, ...] = ()
    closed: tuple[Pinhole, ...] = ()


Output = Write | Forward | Reply | PinholesChanged
