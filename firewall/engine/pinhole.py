"""Pinholes: what the firewall lets pass of a call's media, one direction of one negotiated flow each."""

from typing import Literal

import msgspec

from firewall.ruleset.policy import Inspect
from firewall.sip.media_endpoint import MediaProtocol

MediaTransport = Literal["UDP", "TCP"]
MediaVerdict = Literal["allow", "drop"]


class PinholeKey(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """What the kernel compares. ``src_ip`` None: any address, within ``src_zone`` where that is named; ``src_port``
    None: any port. No two open pinholes have the same key."""

    transport: MediaTransport
    src_zone: str | None
    src_ip: str | None
    src_port: int | None
    dst_ip: str
    dst_port: int

    def takes(self, src_ip: str, src_port: int) -> bool:
        """Tell whether it is for this very source."""
        return self.src_ip == src_ip and self.src_port in (None, src_port)


class Pinhole(msgspec.Struct, frozen=True, gc=False):
    """One open pinhole.

    ``call_id`` is of the call that opened it ("" where it is not known any more). ``verdict`` drop: packets are
    dropped, but counted and copied as those of an allowed flow. ``timeout_ns`` is how long it stays without a packet
    when nobody closes it: the engine closes it then itself, the kernel's time-out is for when there is no engine.
    ``watched_ns`` is for how long from now on the first packets of each source must be copied, however many come.
    ``is_emergency``: of an emergency call, whose media is looked at before that of others.
    """

    key: PinholeKey
    kind: MediaProtocol
    call_id: str
    timeout_ns: int
    verdict: MediaVerdict = "allow"
    inspect: Inspect = "sample"
    watched_ns: int = 0
    is_emergency: bool = False


class FlowCount(msgspec.Struct, frozen=True):
    """What the kernel counted in one pinhole since it was opened."""

    key: PinholeKey
    packets: int
    octets: int
