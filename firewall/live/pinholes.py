"""The open pinholes, and their elements in the kernel's sets: added, removed, counted, kept alive."""

import asyncio
import errno
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import product

import msgspec

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.flow_messages import (
    Found,
    add_element,
    ask_for_counter,
    ask_for_element,
    ask_for_elements,
    delete_element,
    flush_set,
    is_elements,
    read_counter,
    read_elements,
    read_removed,
)
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
from firewall.live.media_chains import ALIVE_KEYS, ALIVE_SET, LIMITER_SETS, REFUSED_COUNTER
from firewall.live.netlink import DONE, ERROR, NetfilterSocket, batch, error_code, messages, numbered
from firewall.live.nftables import TABLE
from firewall.live.sampling import SETTLED_PACKETS, Held, Sampling

ALIVE_MS = 3000
"""How long the kernel takes the daemon for alive after its last sign of life."""

_ALIVE_ELEMENTS = tuple(Element(ALIVE_SET, key) for key in ALIVE_KEYS)
_SHORTEST_TIMEOUT_MS = 600_000
_CHANGES_PER_TRANSACTION = 500
_REPLACED_AT_ONCE = 200
_ASKED_AT_ONCE = 100
_BUFFER_BYTES = 4 * 1024 * 1024
_INSPECTION_OF = {chain: inspect for inspect, chain in CHAIN_OF.items()}


class PinholesStatus(msgspec.Struct, frozen=True):
    """Media: pinholes open now, opened since the start, and elements that the kernel refused.

    ``refused_packets`` are those that no pinhole fitted.
    """

    open: int
    opened: int
    failed: int
    refused_packets: int


class _Change(msgspec.Struct, frozen=True):
    """One message of a transaction. ``adds``: its refusal matters; what cannot be removed has gone by itself.

    ``replaced``: what goes on to count where the ``removed`` element ends, having begun at ``packets`` and ``octets``;
    the change after that adds it. ``chain`` is where packets of the removed element went.
    """

    adds: bool
    data: bytes
    replaced: Held | None = None
    removed: Element | None = None
    packets: int = 0
    octets: int = 0
    chain: str = ""

    def is_move(self) -> bool:
        """Tell whether it removes an element whose packets pass, or do not pass, as before where it is put then."""
        return self.replaced is not None and (self.chain == DROP_CHAIN) == (self.replaced.chain == DROP_CHAIN)

    def count_on(self, found: Found) -> None:
        """Let the new element count on where the removed one has ended."""
        if self.replaced is not None:
            self.replaced.packets = self.replaced.before_packets = self.packets + found.packets
            self.replaced.octets = self.replaced.before_octets = self.octets + found.octets

    def undo(self) -> None:
        """Take note that the element that was to be replaced is still there."""
        if self.replaced is not None:
            self.replaced.chain = self.chain
            self.replaced.before_packets, self.replaced.before_octets = self.packets, self.octets


class Pinholes:
    """Keeps the kernel's sets as the engine wants them. ``say`` is told what the kernel refuses.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self.refused_packets = 0
        self.count_cost_s = 0.0
        self._say = say
        self._changes = NetfilterSocket(send_bytes=_BUFFER_BYTES, receive_bytes=_BUFFER_BYTES)
        self._questions = NetfilterSocket(receive_bytes=_BUFFER_BYTES)
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

    def status(self) -> PinholesStatus:
        """Return what ``sosgate ctl status`` says."""
        return PinholesStatus(len(self._held), self._opened, self._failed, self.refused_packets)

    def change(self, opened: Iterable[Pinhole], closed: Iterable[Pinhole]) -> None:
        """Remove and add elements; it is done in the kernel when this returns."""
        out: list[_Change] = []
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
        out: list[_Change] = []
        for element in _ALIVE_ELEMENTS:
            out.append(_Change(False, delete_element(TABLE, element)))
            out.append(_Change(True, add_element(TABLE, element, ALIVE_MS)))
        self._commit(out)

    def recover(self, zones: tuple[str, ...]) -> tuple[Pinhole, ...]:
        """Take over what an earlier run left in the kernel, and return it.

        That run's last sign of life is removed: until this one shows its own, nothing is dropped for want of a pinhole.
        So is what was copied of late: this run has seen none of it.
        """
        self._commit(
            [_Change(False, delete_element(TABLE, each)) for each in _ALIVE_ELEMENTS]
            + [_Change(False, flush_set(TABLE, each)) for each in LIMITER_SETS]
        )
        for set_name, chain in product(set_types(zones), (ACCEPT, *COPYING)):
            self._questions.send(ask_for_elements(TABLE, kernel_set(set_name, chain)))
            is_last = False
            while not is_last:
                data = self._questions.receive()
                is_last = data is None or _is_last(data)
                for found in _elements(data or b"", whole=True):
                    self._take_over(Element(set_name, found.key), chain, found)
        self._count_refused()
        self._refused_before += self.refused_packets
        self.refused_packets = 0
        return tuple(held.pinhole for held in self._held.values())

    def restore(self) -> None:
        """Add everything that is held anew, to sets that were made anew."""
        out: list[_Change] = []
        for element, held in self._held.items():
            held.before_packets, held.before_octets = held.packets, held.octets
            self._add(element, held, out)
        self._commit(out)

    async def count(self) -> tuple[FlowCount, ...]:
        """Read what the kernel counted, and return what has grown; a part at a time, so that calls need not wait."""
        self._turn += 1
        self.count_cost_s = 0.0
        grown: list[FlowCount] = []
        for set_name, chain in {(element.set_name, held.chain) for element, held in self._held.items()}:
            self._questions.send(ask_for_elements(TABLE, kernel_set(set_name, chain)))
            is_last = False
            while not is_last:
                began_s = time.perf_counter()
                data = self._questions.receive()
                is_last = data is None or _is_last(data)
                for found in _elements(data or b""):
                    grown.extend(self._note(Element(set_name, found.key), found))
                self.count_cost_s += time.perf_counter() - began_s
                await asyncio.sleep(0)
        self._count_refused()
        self._refresh()
        return tuple(grown)

    def _note(self, element: Element, found: Found) -> list[FlowCount]:
        """Note a count; one read before its element was replaced says nothing of the element that there is now."""
        held = self._held.get(element)
        if held is None or held.turn == self._turn:
            return []
        packets = held.before_packets + found.packets
        if packets > held.packets:
            held.packets, held.octets = packets, held.before_octets + found.octets
        return held.counts() if held.packets > held.told_packets else []

    def _count_refused(self) -> None:
        self._questions.send(ask_for_counter(TABLE, REFUSED_COUNTER))
        data = self._questions.receive() or b""
        for kind, _, start, end in messages(data):
            counted = None if kind == ERROR else read_counter(data, start, end)
            if counted is not None:
                self.refused_packets = counted - self._refused_before

    def _refresh(self) -> None:
        """Give elements that would soon time out another time, since the engine alone says what is closed; let flows
        rest whose beginning was seen."""
        now_s = time.monotonic()
        out: list[_Change] = []
        for element, held in self._held.items():
            is_seen = held.may_rest(now_s) and held.passed() > SETTLED_PACKETS
            if (is_seen or held.refresh_at_s <= now_s) and len(out) < 2 * _REPLACED_AT_ONCE:
                if is_seen:
                    self._sampling.rest(element, held, now_s)
                self._replace(element, held, out)
        self._commit(out)

    def sample(self) -> None:
        """Have packets of flows copied again whose turn it is, and let those rest of which some were since last time.

        Those that were silent stay where they are, until ``count`` finds that they are not any more.
        """
        now_s = time.monotonic()
        out: list[_Change] = []
        sampled = self._sampling.take_sampled(now_s)
        self._read([element for element, _ in sampled])
        for element, held in sampled:
            if held.passed():
                self._sampling.rest(element, held, now_s)
                self._replace(element, held, out)
        for element, held in self._sampling.due(now_s):
            self._replace(element, held, out)
        self._commit(out)

    def _open(self, pinhole: Pinhole, out: list[_Change]) -> None:
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

    def _close(self, pinhole: Pinhole, out: list[_Change]) -> None:
        if pinhole.key.transport != "UDP":
            return
        element = element_of(pinhole.key)
        held = self._held.get(element)
        if held is None or pinhole.key not in held.keys:
            return
        held.keys.remove(pinhole.key)
        if not held.keys:
            del self._held[element]
            out.append(_Change(False, delete_element(TABLE, _placed(element, held))))

    def _replace(self, element: Element, held: Held, out: list[_Change]) -> None:
        place = _placed(element, held)
        removed = delete_element(TABLE, place)
        out.append(_Change(False, removed, held, place, held.before_packets, held.before_octets, held.chain))
        held.before_packets, held.before_octets = held.packets, held.octets
        held.turn = self._turn
        self._add(element, held, out)

    def _add(self, element: Element, held: Held, out: list[_Change]) -> None:
        pinhole = held.pinhole
        timeout_ms = max(_SHORTEST_TIMEOUT_MS, pinhole.timeout_ns // 1_000_000)
        held.refresh_at_s = time.monotonic() + timeout_ms / 2000
        chain = ACCEPT if held.is_resting else CHAIN_OF[pinhole.inspect]
        held.chain = chain if pinhole.verdict == "allow" else DROP_CHAIN
        added = add_element(
            TABLE,
            _placed(element, held),
            timeout_ms,
            is_accepted=held.chain == ACCEPT,
            comment=comment_of(pinhole),
        )
        out.append(_Change(True, added))

    def _read(self, elements: list[Element]) -> None:
        """Ask for a few elements, as many with one call as the kernel's answers find room."""
        for start in range(0, len(elements), _ASKED_AT_ONCE):
            self._read_some(elements[start : start + _ASKED_AT_ONCE])

    def _read_some(self, elements: list[Element]) -> None:
        self._changes.send(numbered([ask_for_element(TABLE, _placed(each, self._held[each])) for each in elements]))
        while (data := self._changes.receive()) is not None:
            for kind, number, start, end in messages(data):
                if is_elements(kind) and 0 < number <= len(elements):
                    held = self._held[elements[number - 1]]
                    for found in read_elements(data, start, end):
                        held.packets = held.before_packets + found.packets
                        held.octets = held.before_octets + found.octets

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

    def _commit(self, out: list[_Change]) -> None:
        """Have the kernel carry out changes, all at once where it takes all of them.

        One that it refuses would spoil the others: it is left out, and they are sent again. What it was to replace
        stays, lest the media of a call be refused for want of memory.
        """
        for start in range(0, len(out), _CHANGES_PER_TRANSACTION):
            left = out[start : start + _CHANGES_PER_TRANSACTION]
            while left:
                refused = self._send(left)
                if not refused:
                    self._failing = self._failing and not any(change.adds for change in left)
                    break
                if 0 in refused:  # it is none of them that the kernel dislikes
                    self._note_failures([refused[0]] * len(left))
                    for change in left:
                        change.undo()
                    break
                self._note_failures([code for number, code in refused.items() if left[number - 1].adds])
                left = _without(left, refused)

    def _send(self, changes: list[_Change]) -> dict[int, int]:
        """Return what the kernel refused: number of the change → errno, 0 → the errno of all."""
        try:
            self._changes.send(batch([change.data for change in changes]))
        except OSError as error:
            return {0: error.errno or errno.EIO}
        refused: dict[int, int] = {}
        replaced = {change.removed: change for change in changes if change.removed is not None}
        while (data := self._changes.receive()) is not None:
            for kind, number, start, end in messages(data):
                if kind == ERROR and (code := error_code(data, start)):
                    refused[number] = code
                for set_name, found in read_removed(kind, data, start, end):
                    change = replaced.get(Element(set_name, found.key))
                    if change is not None:
                        change.count_on(found)
        return refused

    def _note_failures(self, codes: list[int]) -> None:
        if not codes:
            return
        self._failed += len(codes)
        if not self._failing:
            self._say(f"ALARM pinholes: the kernel refuses a change of the sets of media: {os.strerror(codes[0])}")
        self._failing = True


def _without(changes: list[_Change], refused: Collection[int]) -> list[_Change]:
    """Return the changes but those refused; an element stays that would only be moved, but not to where it should."""
    left: list[_Change] = []
    for number, change in enumerate(changes, 1):
        if number not in refused:
            left.append(change)
        elif change.adds and number - 1 not in refused and left and left[-1].is_move():
            left.pop().undo()
    return left


def _placed(element: Element, held: Held) -> Element:
    return Element(kernel_set(element.set_name, held.chain), element.key)


def _elements(data: bytes, *, whole: bool = False) -> Iterator[Found]:
    for kind, _, start, end in messages(data):
        if is_elements(kind):
            yield from read_elements(data, start, end, whole=whole)


def _is_last(data: bytes) -> bool:
    return any(kind in (DONE, ERROR) for kind, *_ in messages(data))
