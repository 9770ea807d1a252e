"""The open pinholes, and their elements in the kernel's sets: added, removed, counted, kept alive."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Collection, Iterable
from itertools import product

import msgspec

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.fast_path import Egress, FastPath
from firewall.live.flow_changes import Addition, Change, Removal, carry_out
from firewall.live.flow_messages import FlowQuestions, Found, add_element, flush_set
from firewall.live.flow_sets import (
    ACCEPT,
    CHAIN_OF,
    COPYING,
    DROP_CHAIN,
    Element,
    comment_of,
    element_of,
    kernel_set,
    key_of,
    read_comment,
    set_types,
)
from firewall.live.forwarding import Forwarding
from firewall.live.held_flow import Held
from firewall.live.media_chains import ALIVE_KEYS, ALIVE_SET, LIMITER_SETS, REFUSED_COUNTER
from firewall.live.netlink import NETFILTER, NetlinkSocket, batch
from firewall.live.nftables import counted
from firewall.live.sampling import SETTLED_PACKETS, Sampling

ALIVE_MS = 3000
"""How long the kernel takes the daemon for alive after its last sign of life."""

_ALIVE_PLACES = tuple(Element(ALIVE_SET, key) for key in ALIVE_KEYS)
_SHORTEST_TIMEOUT_MS = 600_000
_RENEWED_AT_ONCE = 200
_FOLLOWED_AT_ONCE = 100  # pairs of peers: each takes two questions of 50 us
_BUFFER_BYTES = 4 * 1024 * 1024
_INSPECTION_OF = {chain: inspect for inspect, chain in CHAIN_OF.items()}


class PinholesStatus(msgspec.Struct, frozen=True):
    """Media: pinholes open now, opened since the start, and elements that the kernel refused.

    ``refused_packets`` are those that no pinhole fitted. ``fast`` pinholes have their packets handed on at once;
    ``no_fast_path`` says why none may, "" where they may.
    """

    open: int
    opened: int
    failed: int
    refused_packets: int
    fast: int
    no_fast_path: str


class Pinholes:
    """Keeps the kernel's sets as the engine wants them. ``refused`` is told the kernel's word each time it refuses.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self, refused: Callable[[str], None]) -> None:
        self.refused_packets = 0
        self.count_cost_s = 0.0
        self._refused = refused
        self._changes = NetlinkSocket(NETFILTER, send_bytes=_BUFFER_BYTES, receive_bytes=_BUFFER_BYTES)
        self._questions = FlowQuestions()
        self._fast_path = FastPath()
        self._held: dict[Element, Held] = {}
        self._sampling = Sampling(lambda element, held: self._held.get(element) is held)
        self._turn = 0
        self._opened = 0
        self._failed = 0
        self._failing = False
        self._refused_before = 0

    def close(self) -> None:
        """Let go of the kernel; the sets stay as they are."""
        self._changes.close()
        self._questions.close()
        self._fast_path.close()

    def status(self) -> PinholesStatus:
        """Return what ``sosgate ctl status`` says."""
        fast = sum(held.fast is not None for held in self._held.values())
        counts = (len(self._held), self._opened, self._failed, self.refused_packets)
        return PinholesStatus(*counts, fast, self._fast_path.obstacle)

    def change(self, opened: Iterable[Pinhole], closed: Iterable[Pinhole]) -> None:
        """Remove and add elements; it is done in the kernel when this returns."""
        out: list[Change] = []
        for pinhole in closed:
            self._close(pinhole, out)
        for pinhole in opened:
            self._open(pinhole, out)
        self._commit(out)

    def read(self, keys: Iterable[PinholeKey]) -> tuple[FlowCount, ...]:
        """Return what a few pinholes have counted by now."""
        found = [(key, element) for key in keys if (element := element_of(key)) in self._held]
        self._read([element for _, element in found])
        return tuple(count for key, place in found for count in self._held[place].counts() if count.key == key)

    def show_life(self) -> None:
        """Have the kernel take the daemon for alive for another ``ALIVE_MS``.

        Not while it refuses pinholes: then nothing may be dropped for want of one.
        """
        if self._failing:
            return
        out: list[Change] = []
        for place in _ALIVE_PLACES:
            out.append(Removal(place))
            out.append(Addition(add_element(place, ALIVE_MS)))
        self._commit(out)

    def recover(self, zones: tuple[str, ...]) -> tuple[Pinhole, ...]:
        """Take over what an earlier run left in the kernel, and return it.

        That run's last sign of life is removed: until this one shows its own, nothing is dropped for want of a pinhole.
        So is what was copied of late: this run has seen none of it.
        """
        for set_name in LIMITER_SETS:
            self._changes.send(batch([flush_set(set_name)]))
            self._changes.errors()
        self._commit([Removal(each) for each in _ALIVE_PLACES])
        for set_name, chain in product(set_types(zones), (ACCEPT, *COPYING)):
            for part in self._questions.elements(kernel_set(set_name, chain), whole=True):
                for found in part:
                    self._take_over(Element(set_name, found.key), chain, found)
        self._count_refused()
        self._refused_before += self.refused_packets
        self.refused_packets = 0
        return tuple(held.pinhole for held in self._held.values())

    def restore(self) -> None:
        """Add everything that is held anew, to sets that were made anew."""
        self._refused_before = -self.refused_packets  # their counter begins anew, too
        self._failing = False
        out: list[Change] = []
        for element, held in self._held.items():
            held.end()
            self._add(element, held, out)
        self._commit(out)

    def fast_programs(self) -> frozenset[int]:
        """Return the numbers of the programs behind links that are ours."""
        return self._fast_path.programs

    def use_fast_path(self, forwarding: Forwarding, from_interfaces: Collection[str] | None) -> None:
        """Hand packets on between these links from now on: a flow's as it rests, or as ``count`` finds it at rest."""
        for element, held in self._held.items():
            self._end_fast(element, held)
        self._fast_path.use(forwarding, from_interfaces)

    def follow_routes(self) -> None:
        """Have flows go where routes lead now; where that is many questions, a part at a time as ``count`` does it."""
        self._fast_path.forget_routes()
        fast = [(element, held) for element, held in self._held.items() if held.fast is not None]
        are_few = len({(held.pinhole.key.src_ip, held.pinhole.key.dst_ip) for _, held in fast}) <= _FOLLOWED_AT_ONCE
        for element, held in fast:
            if not are_few or held.fast != self._egress(element, held):
                self._end_fast(element, held)
                if are_few:
                    self._begin_fast(element, held)

    async def count(self) -> tuple[FlowCount, ...]:
        """Read what the kernel counted, and return what has grown; a part at a time, so that calls need not wait."""
        self._turn += 1
        self.count_cost_s = 0.0
        for set_name, chain in {(element.set_name, held.chain) for element, held in self._held.items()}:
            began_s = time.perf_counter()
            for part in self._questions.elements(kernel_set(set_name, chain)):
                for found in part:
                    self._note(Element(set_name, found.key), found)
                self.count_cost_s += time.perf_counter() - began_s
                await asyncio.sleep(0)
                began_s = time.perf_counter()
        began_s = time.perf_counter()
        for fast in self._fast_path.counts():
            for element, counts in fast:
                held = self._held.get(element)
                if held is not None:
                    held.count_fast(*counts)
            self.count_cost_s += time.perf_counter() - began_s
            await asyncio.sleep(0)
            began_s = time.perf_counter()
        self._count_refused()
        self._refresh()
        grown = (held for held in self._held.values() if held.all_packets() > held.told_packets)
        return tuple(count for held in grown for count in held.counts())

    def _note(self, element: Element, found: Found) -> None:
        """Note a count; one read before its element was replaced says nothing of the element that there is now."""
        held = self._held.get(element)
        if held is not None and held.turn != self._turn:
            held.count(found.packets, found.octets)

    def _count_refused(self) -> None:
        with contextlib.suppress(OSError):
            if (refused := counted(REFUSED_COUNTER)) is not None:
                self.refused_packets = refused - self._refused_before

    def _refresh(self) -> None:
        """Give elements that would soon time out another time, since the engine alone says what is closed; let flows
        rest whose beginning was seen, and take the fast path where they may by now."""
        now_s = time.monotonic()
        out: list[Change] = []
        renewed = 0
        for element, held in self._held.items():
            if renewed == _RENEWED_AT_ONCE:
                break
            is_seen = held.may_rest(now_s) and held.packets > SETTLED_PACKETS
            if is_seen or held.refresh_at_s <= now_s:
                renewed += 1
                if is_seen:
                    self._sampling.rest(element, held, now_s)
                self._replace(element, held, out)
            elif held.is_resting and held.fast is None:
                self._begin_fast(element, held)
                renewed += held.fast is not None
        self._commit(out)

    def sample(self) -> None:
        """Have packets of flows copied again whose turn it is, and let those rest of which some were since last time.

        Those that were silent stay where they are, until ``count`` finds that they are not any more.
        """
        now_s = time.monotonic()
        out: list[Change] = []
        sampled = self._sampling.sampled(now_s)
        self._read([element for element, _ in sampled])
        for element, held in sampled:
            if held.packets:
                self._sampling.rest(element, held, now_s)
                self._replace(element, held, out)
        for element, held in self._sampling.due(now_s):
            self._replace(element, held, out)
        self._commit(out)

    def _open(self, pinhole: Pinhole, out: list[Change]) -> None:
        if pinhole.key.transport != "UDP":
            return
        element = element_of(pinhole.key)
        held = self._held.get(element)
        now_s = time.monotonic()
        watched_until_s = now_s + pinhole.watched_ns / 1e9 if pinhole.watched_ns else 0.0
        if held is None:
            held = Held(pinhole, [pinhole.key], self._turn, watched_until_s=watched_until_s)
            self._held[element] = held
            self._opened += 1
            self._add(element, held, out)
            return
        if pinhole.key not in held.keys:
            held.keys.append(pinhole.key)
            self._opened += 1
        is_same_to_kernel = (held.pinhole.verdict, held.pinhole.inspect) == (pinhole.verdict, pinhole.inspect)
        held.pinhole = pinhole
        held.watched_until_s = max(held.watched_until_s, watched_until_s)
        if not is_same_to_kernel or (pinhole.watched_ns and held.is_resting):
            held.turn_to(now_s, is_resting=False)
            self._replace(element, held, out)

    def _close(self, pinhole: Pinhole, out: list[Change]) -> None:
        if pinhole.key.transport != "UDP":
            return
        element = element_of(pinhole.key)
        held = self._held.get(element)
        if held is None or pinhole.key not in held.keys:
            return
        held.keys.remove(pinhole.key)
        if not held.keys:
            del self._held[element]
            self._end_fast(element, held)
            place = _placed(element, held)
            out.append(Removal(place))

    def _replace(self, element: Element, held: Held, out: list[Change]) -> None:
        self._end_fast(element, held)
        place, chain = _placed(element, held), held.chain
        out.append(Removal(place, held, *held.end(), chain=chain))
        held.turn = self._turn
        self._add(element, held, out)
        self._begin_fast(element, held)

    def _add(self, element: Element, held: Held, out: list[Change]) -> None:
        pinhole = held.pinhole
        timeout_ms = max(_SHORTEST_TIMEOUT_MS, pinhole.timeout_ns // 1_000_000)
        held.refresh_at_s = time.monotonic() + timeout_ms / 2000
        chain = ACCEPT if held.is_resting else CHAIN_OF[pinhole.inspect]
        held.chain = chain if pinhole.verdict == "allow" else DROP_CHAIN
        is_accepted, comment = held.chain == ACCEPT, comment_of(pinhole)
        out.append(Addition(add_element(_placed(element, held), timeout_ms, is_accepted=is_accepted, comment=comment)))

    def _egress(self, element: Element, held: Held) -> Egress | None:
        key = held.pinhole.key
        if held.chain != ACCEPT or key.src_ip is None:
            return None
        return self._fast_path.egress(element, key.src_ip, key.dst_ip)

    def _begin_fast(self, element: Element, held: Held) -> None:
        egress = self._egress(element, held)
        if egress is not None and self._fast_path.add(element, egress):
            held.fast = egress

    def _end_fast(self, element: Element, held: Held) -> None:
        if held.fast is not None:
            held.end_fast(*self._fast_path.remove(element))

    def _read(self, elements: list[Element]) -> None:
        held = [self._held[each] for each in elements]
        places = [_placed(element, each) for element, each in zip(elements, held, strict=True)]
        for number, found in self._questions.counted(places):
            held[number].count(found.packets, found.octets)
        for element, each in zip(elements, held, strict=True):
            if each.fast is not None:
                each.count_fast(*self._fast_path.counted(element))

    def _take_over(self, element: Element, chain: str, found: Found) -> None:
        kind, src_zone, call_id = read_comment(found.comment)
        key = key_of(element, src_zone)
        if key is None:
            return
        pinhole = Pinhole(
            key=key,
            kind=kind,
            call_id=call_id,
            timeout_ns=found.timeout_ms * 1_000_000,
            verdict="drop" if chain == DROP_CHAIN else "allow",
            inspect=_INSPECTION_OF.get(chain, "sample"),
        )
        held = self._held[element] = Held(
            pinhole,
            [key],
            self._turn,
            chain,
            refresh_at_s=time.monotonic() + (found.left_ms - found.timeout_ms / 2) / 1000,
            packets=found.packets,
            octets=found.octets,
            told_packets=found.packets,
        )
        if chain == ACCEPT:
            self._sampling.rest(element, held, 0.0)  # its turn comes at once: nothing was seen of it here

    def _commit(self, out: list[Change]) -> None:
        outcome = carry_out(self._changes, out)
        self._failed += len(outcome.refused)
        self._failing = (self._failing or bool(outcome.refused)) and not outcome.has_added
        if outcome.refused:
            self._refused(os.strerror(outcome.refused[0]))


def _placed(element: Element, held: Held) -> Element:
    return Element(kernel_set(element.set_name, held.chain), element.key)
