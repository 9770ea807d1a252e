"""What ``sosgate ctl status`` says: the daemon's state as one value."""

import msgspec

from firewall.engine.record import StatsFields
from firewall.live.connections import ConnectionsStatus
from firewall.live.pinholes import PinholesStatus


class PolicyStatus(msgspec.Struct, frozen=True):
    """The policy in force."""

    name: str
    file: str
    sha256: str
    rules: int


class LogStatus(msgspec.Struct, frozen=True):
    """The decision log: ``lost_records`` since the start, ``error`` the kernel's word while it cannot be written."""

    path: str | None
    lost_records: int
    failing: bool
    error: str | None


class Status(msgspec.Struct, frozen=True):
    """The daemon. ``interfaces`` None: every interface. ``receive_drops``: datagrams lost because a buffer was full.

    ``connections``: TCP.
    """

    version: str
    policy: PolicyStatus
    started: str
    uptime_s: float
    pid: int
    takeover: bool
    interfaces: tuple[str, ...] | None
    stats: StatsFields
    log: LogStatus
    receive_drops: int
    waiting_to_send: int
    connections: ConnectionsStatus
    media: PinholesStatus
    internal_errors: int
