"""The open pinholes, which call each is for, and what is remembered of those that are not open (any more)."""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from firewall.engine.deadlines import Deadlines
from firewall.engine.decide import Decision
from firewall.engine.media_flow import Ends, MediaFlow
from firewall.engine.outputs import PinholesChanged
from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.engine.timestamp import NEVER_NS
from firewall.engine.way import Refusal, Way
from firewall.ruleset.facts import EmergencyMark
from firewall.sip.media_endpoint import Endpoint

Cause = Literal["bye", "failed", "renegotiated", "timeout", "expired", "stopped", "policy"]
"""Why a pinhole was closed."""

SHUT_NS = 3_600 * 1_000_000_000
"""How long it is remembered why an endpoint is not open (any more); but for a silence, after which a call may go on."""
_MAX_SHUT = 65_536
_MAX_FLOWS = 4096  # of one pinhole that a gateway has for all its calls
_MAX_SAMPLED_FLOWS = 16  # where the kernel counts, and anybody in a zone may make them
_MAX_SAMPLED_FLOWS_OF_A_CALL = 2


class Hole(msgspec.Struct, eq=False, gc=False):
    """One open pinhole with the calls that hold it, the latest last; ``closes_at_ns`` once no call does.

    ``decision`` is what rules or exceptions say; with an ``override`` it is open all the same. ``counted`` is what the
    kernel counted, or what flows had that are forgotten, ``counted_ns`` when. ``is_sampled``: only some packets
    were seen. ``is_flooded``: it counted more packets in a second than a codec for speech sends. ``is_overdue``: it was
    silent for longer than the time-out, and is open all the same.
    """

    pinhole: Pinhole
    way: Way
    decision: Decision
    last_ns: int
    scheduled_ns: int
    owners: dict[str, Way] = msgspec.field(default_factory=dict)
    emergency: EmergencyMark | None = None
    override: str | None = None
    closes_at_ns: int | None = None
    cause: Cause = "expired"
    counted: int = 0
    counted_octets: int = 0
    counted_ns: int = 0
    is_flooded: bool = False
    is_sampled: bool = False
    flows: dict[Endpoint, MediaFlow] = msgspec.field(default_factory=dict)
    is_overdue: bool = False

    @property
    def packets(self) -> int:
        """How many packets came so far."""
        if self.is_sampled or not self.flows:
            return self.counted
        return self.counted + sum(flow.packets for flow in self.flows.values())

    @property
    def octets(self) -> int:
        """How many octets of payload came so far."""
        if self.is_sampled or not self.flows:
            return self.counted_octets
        return self.counted_octets + sum(flow.octets for flow in self.flows.values())

    def quiet_since_ns(self) -> int:
        """Return when the last packet came, or when it was opened."""
        return max(self.last_ns, *(flow.last_ns for flow in self.flows.values())) if self.flows else self.last_ns

    def hold(self, call_id: str, way: Way) -> None:
        """Let a call hold it, as the latest one."""
        self.owners.pop(call_id, None)
        self.owners[call_id] = self.way = way
        for flow in self.flows.values():
            flow.describe(way.formats)

    def let_go(self, call_id: str) -> bool:
        """Take note that a call does not need it any more; tell whether it was the last one."""
        if self.owners.pop(call_id, None) is None:
            return False
        if not self.owners:
            return True
        other, self.way = next(reversed(self.owners.items()))
        self.pinhole = msgspec.structs.replace(self.pinhole, call_id=other)
        return False

    def take_over(self, other: "Hole") -> None:
        """Count on the flows that passed by a wider pinhole until now, as the answer tells who sends them."""
        if other.pinhole.key.src_ip is not None or other.is_sampled:
            return
        for source in [each for each in other.flows if self.pinhole.key.takes(*each)]:
            flow = self.flows[source] = other.flows.pop(source)
            flow.describe(self.way.formats)
            flow.look_again()

    def flow(self, ends: Ends) -> MediaFlow:
        """Return the flow between these ends, a new one where there is none."""
        source = (ends.src_ip, ends.src_port)
        flow = self.flows.get(source)
        if flow is None:
            sampled = max(_MAX_SAMPLED_FLOWS, _MAX_SAMPLED_FLOWS_OF_A_CALL * len(self.owners))
            if len(self.flows) >= (sampled if self.is_sampled else _MAX_FLOWS):
                forgotten = self.flows.pop(next(iter(self.flows)))
                forgotten.is_plain = False
                if not self.is_sampled:  # else the kernel counts
                    self.counted += forgotten.packets
                    self.counted_octets += forgotten.octets
            flow = self.flows[source] = MediaFlow(ends, self.way.formats, is_rtp=self.way.protocol != "udp")
        return flow


class Shut(msgspec.Struct, frozen=True, gc=False):
    """Why an endpoint is not open: what was refused when it was negotiated, or when and why its pinhole was closed."""

    call_id: str
    way: Way
    at_ns: int
    reason: Refusal | Cause


class _Toward(msgspec.Struct, frozen=True, gc=False):
    """The pinholes toward one endpoint, the latest last.

    The garbage collector looks at a dict again whenever a new tuple is put into it, as key or as value: at one of all
    endpoints for longer than a message may take.
    """

    holes: tuple[Hole, ...]


class PinholeTable:
    """The open pinholes by key, destination and deadline.

    ``holes`` is every one, the longest open first; ``deadlines`` are when one may have to be closed. Both are for
    others to read. ``is_watched``: media is seen at all; a capture of signalling alone tells nothing about it.
    """

    def __init__(self) -> None:
        self.is_watched = False
        self.holes: dict[PinholeKey, Hole] = {}
        self._by_port: dict[int, dict[str, _Toward]] = {}
        self._shut: OrderedDict[Endpoint, Shut] = OrderedDict()
        self.deadlines = Deadlines[PinholeKey]()
        self._opened: dict[PinholeKey, Pinhole] = {}
        self._new: set[PinholeKey] = set()
        self._closed: dict[PinholeKey, Pinhole] = {}

    def toward(self, endpoint: Endpoint) -> tuple[Hole, ...]:
        """Return the open pinholes toward an endpoint."""
        ip, port = endpoint
        by_ip = self._by_port.get(port)
        there = by_ip.get(ip) if by_ip is not None else None
        return there.holes if there is not None else ()

    def open_among(self, keys: Iterable[PinholeKey]) -> list[Hole]:
        """Return the pinholes of these keys that are open."""
        return [hole for key in keys if (hole := self.holes.get(key)) is not None]

    def receivers(self, hole: Hole, source: Endpoint) -> Iterator[str]:
        """Give the calls that hold a pinhole and receive at a source: what comes from there is of one of them."""
        for back in self.toward(source):
            for call_id in back.owners:
                if call_id in hole.owners:
                    yield call_id

    def note_whose(self, hole: Hole, flow: MediaFlow) -> None:
        """Take note which of the calls that hold a pinhole a flow is of; the latest, where nobody knows."""
        known = next(self.receivers(hole, (flow.ends.src_ip, flow.ends.src_port)), None)
        flow.call_id, flow.is_call_known = known or hole.pinhole.call_id, known is not None

    def shut(self, endpoint: Endpoint, now_ns: int) -> Shut | None:
        """Return why an endpoint is not open, None where that is not known (any more)."""
        shut = self._shut.get(endpoint)
        return shut if shut and (shut.reason == "timeout" or now_ns - shut.at_ns <= SHUT_NS) else None

    def remember_shut(self, shut: Shut) -> None:
        """Remember why the endpoint of a way is not open."""
        endpoint = (shut.way.key.dst_ip, shut.way.key.dst_port)
        self._shut.pop(endpoint, None)
        self._shut[endpoint] = shut
        if len(self._shut) > _MAX_SHUT:
            self._shut.popitem(last=False)

    def open(self, hole: Hole) -> None:
        """Take a pinhole as open from now on."""
        key = hole.pinhole.key
        self.holes[key] = hole
        by_ip = self._by_port.setdefault(key.dst_port, {})
        there = by_ip.get(key.dst_ip)
        for other in there.holes if there is not None else ():
            hole.take_over(other)
        by_ip[key.dst_ip] = _Toward((*there.holes, hole) if there is not None else (hole,))
        self.deadlines.put(key, hole.scheduled_ns)
        self._opened[key] = hole.pinhole
        self._new.add(key)

    def change(self, hole: Hole, pinhole: Pinhole) -> None:
        """Let a pinhole of the same key take the place of an open one."""
        hole.pinhole = pinhole
        self._opened[pinhole.key] = pinhole

    def close_at(self, hole: Hole, at_ns: int, cause: Cause) -> None:
        """Close a pinhole at an instant, which ``due`` then names."""
        hole.closes_at_ns, hole.cause = at_ns, cause
        self.schedule(hole, at_ns)

    def close(self, hole: Hole, now_ns: int, cause: Cause) -> None:
        """Take a pinhole as closed."""
        key = hole.pinhole.key
        del self.holes[key]
        self.deadlines.remove(key, hole.scheduled_ns)
        by_ip = self._by_port[key.dst_port]
        there = by_ip.pop(key.dst_ip).holes
        if len(there) > 1:
            by_ip[key.dst_ip] = _Toward(tuple([other for other in there if other is not hole]))
        elif not by_ip:
            del self._by_port[key.dst_port]
        hole.cause = cause
        self._opened.pop(key, None)
        if key in self._new:
            self._new.discard(key)  # nobody was told that it is open
        else:
            self._closed[key] = hole.pinhole
        for flow in hole.flows.values():
            flow.is_plain = False
        self.remember_shut(Shut(hole.pinhole.call_id, hole.way, now_ns, cause))

    def changes(self) -> PinholesChanged | None:
        """Return what was opened and closed since this was asked last; None for nothing."""
        if not self._opened and not self._closed:
            return None
        changed = PinholesChanged(tuple(self._opened.values()), tuple(self._closed.values()))
        self._opened, self._closed, self._new = {}, {}, set()
        return changed

    def due_keys(self, now_ns: int) -> list[PinholeKey]:
        """Return the keys of the pinholes that may have to be closed at an instant; nothing is changed."""
        return list(self.deadlines.until(now_ns))

    def due(self, now_ns: int) -> list[Hole]:
        """Return the pinholes that must be closed now: their grace has passed, or their time-out without a packet."""
        found: list[Hole] = []
        while (deadline := self.deadlines.pop(now_ns)) is not None:
            for key in deadline[1]:
                hole = self.holes[key]
                due_ns = hole.closes_at_ns
                if due_ns is None:
                    due_ns = hole.quiet_since_ns() + hole.pinhole.timeout_ns
                if due_ns > now_ns:
                    self.schedule(hole, due_ns)
                else:
                    hole.scheduled_ns = NEVER_NS
                    found.append(hole)
        return found

    def schedule(self, hole: Hole, at_ns: int) -> None:
        """Look at a pinhole again at an instant."""
        key = hole.pinhole.key
        if hole.scheduled_ns != at_ns:
            self.deadlines.remove(key, hole.scheduled_ns)
            hole.scheduled_ns = at_ns
        self.deadlines.put(key, at_ns)
