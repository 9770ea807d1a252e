"""The open pinholes, which call each is for, and what is remembered of those that are not open (any more)."""

import heapq
from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import msgspec

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
"""How long it is remembered why an endpoint is not open (any more)."""
_MAX_SHUT = 65_536
_STALE_DEADLINES = 1_000
_MAX_FLOWS = 4096  # of one pinhole that a gateway has for all its calls
_MAX_SAMPLED_FLOWS = 16  # where the kernel counts, and anybody in a zone may make them
_MAX_SAMPLED_FLOWS_OF_A_CALL = 2


class Hole(msgspec.Struct, eq=False, gc=False):
    """One open pinhole with the calls that hold it, the latest last; ``closes_at_ns`` once no call does.

    ``decision`` is what rules or exceptions say; with an ``override`` it is open all the same. ``counted`` is what the
    kernel counted, or what flows had that are forgotten, ``counted_ns`` when. ``is_sampled``: only some packets
    were seen. ``is_flooded``: it counted more packets in a second than a codec for speech sends.
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
    is_told_idle: bool = False

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


class _Deadline(msgspec.Struct, order=True, gc=False):
    """An instant, a number that orders those of one instant, and what may have to be closed then."""

    at_ns: int
    number: int
    keys: list[PinholeKey] = msgspec.field(default_factory=list)


class PinholeTable:
    """The open pinholes by key, destination and deadline.

    ``holes`` is every one, the longest open first; ``due_ns`` is the earliest instant at which one may have to be
    closed. Both are for others to read.
    """

    def __init__(self) -> None:
        self.holes: dict[PinholeKey, Hole] = {}
        self._by_destination: dict[Endpoint, tuple[Hole, ...]] = {}
        self._shut: OrderedDict[Endpoint, Shut] = OrderedDict()
        self._deadlines: list[_Deadline] = []
        self.due_ns = NEVER_NS
        self._last = _Deadline(NEVER_NS, 0)
        self._pushed = 0
        self._waiting = 0
        self._opened: dict[PinholeKey, Pinhole] = {}
        self._new: set[PinholeKey] = set()
        self._closed: dict[PinholeKey, Pinhole] = {}

    def toward(self, endpoint: Endpoint) -> tuple[Hole, ...]:
        """Return the open pinholes toward an endpoint."""
        return self._by_destination.get(endpoint, ())

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
        return shut if shut is not None and now_ns - shut.at_ns <= SHUT_NS else None

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
        destination = key.dst_ip, key.dst_port
        there = self._by_destination.get(destination, ())
        for other in there:
            hole.take_over(other)
        self._by_destination[destination] = (*there, hole)
        self._schedule(hole, hole.scheduled_ns)
        self._opened[key] = hole.pinhole
        self._new.add(key)

    def change(self, hole: Hole, pinhole: Pinhole) -> None:
        """Let a pinhole of the same key take the place of an open one."""
        hole.pinhole = pinhole
        self._opened[pinhole.key] = pinhole

    def keep(self, hole: Hole) -> None:
        """Take back that a pinhole is about to be closed."""
        hole.closes_at_ns = None

    def close_at(self, hole: Hole, at_ns: int, cause: Cause) -> None:
        """Close a pinhole at an instant, which ``due`` then names."""
        hole.closes_at_ns, hole.cause = at_ns, cause
        self._schedule(hole, at_ns)

    def close(self, hole: Hole, now_ns: int, cause: Cause) -> None:
        """Take a pinhole as closed."""
        key = hole.pinhole.key
        del self.holes[key]
        destination = key.dst_ip, key.dst_port
        there = tuple([other for other in self._by_destination[destination] if other is not hole])
        if there:
            self._by_destination[destination] = there
        else:
            del self._by_destination[destination]
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
        deadlines, places = self._deadlines, [0]
        found: list[PinholeKey] = []
        while places:
            place = places.pop()
            if place < len(deadlines) and deadlines[place].at_ns <= now_ns:  # a heap: no child is earlier
                found += deadlines[place].keys
                places += (2 * place + 1, 2 * place + 2)
        return [key for key in found if key in self.holes]

    def due(self, now_ns: int) -> list[Hole]:
        """Return the pinholes that must be closed now: their grace has passed, or their time-out without a packet."""
        found: list[Hole] = []
        while self._deadlines and self._deadlines[0].at_ns <= now_ns:
            deadline = heapq.heappop(self._deadlines)
            self._last = _Deadline(NEVER_NS, 0)
            self._waiting -= len(deadline.keys)
            for key in deadline.keys:
                hole = self.holes.get(key)
                if hole is None or hole.scheduled_ns != deadline.at_ns:
                    continue
                due_ns = hole.closes_at_ns
                if due_ns is None:
                    due_ns = hole.quiet_since_ns() + hole.pinhole.timeout_ns
                if due_ns > now_ns:
                    self._schedule(hole, due_ns)
                else:
                    hole.scheduled_ns = NEVER_NS  # what waits twice for one instant is found once
                    found.append(hole)
        self.due_ns = self._deadlines[0].at_ns if self._deadlines else NEVER_NS
        return found

    def wait(self, hole: Hole, until_ns: int) -> None:
        """Look at a pinhole again at an instant, although it is due now."""
        self._schedule(hole, until_ns)

    def _schedule(self, hole: Hole, at_ns: int) -> None:
        hole.scheduled_ns = at_ns
        self._pushed += 1
        self._waiting += 1
        if at_ns == self._last.at_ns:  # the pinholes of a message have one deadline
            self._last.keys.append(hole.pinhole.key)
        else:
            self._last = _Deadline(at_ns, self._pushed, [hole.pinhole.key])
            heapq.heappush(self._deadlines, self._last)
        if self._waiting > 2 * len(self.holes) + _STALE_DEADLINES:
            # What was closed early would stay for as long as it might have been open.
            holes = enumerate(self.holes.items())
            self._deadlines = [_Deadline(each.scheduled_ns, n, [key]) for n, (key, each) in holes]
            heapq.heapify(self._deadlines)
            self._last = _Deadline(NEVER_NS, 0)
            self._waiting = len(self._deadlines)
        self.due_ns = self._deadlines[0].at_ns if self._deadlines else NEVER_NS
