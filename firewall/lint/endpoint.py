"""The two ends of a call, as the firewall meets their packets."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from firewall.net.datagram import Transport
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.policy import Zone

Side = Literal["caller", "psap"]
ELSEWHERE = "another interface"
"""An interface that no zone names; none can have such a name."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One end of a call. ``interface`` is where the firewall receives its packets, None when the policy names none.

    ``via`` is the transport that its Via names.
    """

    ip: str
    port: int = SIP_PORT
    interface: str | None = None
    zone: str | None = None
    via: Transport = "UDP"

    @property
    def host(self) -> str:
        """The address as a URI's host (RFC 3261 §25.1: IPv6 in brackets)."""
        return f"[{self.ip}]" if ":" in self.ip else self.ip


@dataclass(frozen=True, slots=True)
class Pair:
    """Who calls whom."""

    caller: Endpoint
    psap: Endpoint

    def ends(self, sender: Side) -> tuple[Endpoint, Endpoint]:
        """Return who sends what a side sends, and who receives it."""
        return (self.caller, self.psap) if sender == "caller" else (self.psap, self.caller)

    def turned(self) -> "Pair":
        """Return them with the called side as the caller."""
        return Pair(self.psap, self.caller)


def interfaces_of(zone: Zone | None, zones: Iterable[Zone]) -> tuple[str | None, ...]:
    """Return by which interfaces the packets of a zone come; what comes by those of other zones may be of these."""
    if zone is not None and zone.interfaces:
        return zone.interfaces
    return (ELSEWHERE if any(each.interfaces for each in zones) else None,)
