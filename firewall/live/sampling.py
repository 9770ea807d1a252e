"""Which flows of media have packets copied, and when: at the beginning of each, then for a moment every few seconds.

A copy costs the daemon, and the chain that copies costs every packet that goes through it: so a flow that is known
rests in between, and no packet of it goes there.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from firewall.engine.pinhole import FlowCount, Pinhole, PinholeKey
from firewall.live.flow_sets import Element

SETTLED_PACKETS = 20
"""After how many packets through the chain that copies the beginning of a flow was seen."""

REST_S = 2.0
"""How long a flow rests. The kernel copies one packet in that time (``media_chains``), so that of a flow which begins
to rest just before its next copy nothing stays unseen for five seconds."""

SAMPLE_EVERY_S = 0.2
"""How often flows are put into that chain, and how long they stay in it: several packets of speech."""

SAMPLED_AT_ONCE = 160
"""How many at most: a flow takes some 0.12 ms each time, its copy included, so all of these a tenth of a processor."""


class Held(msgspec.Struct):
    """One element of ours. ``keys``: the pinholes it is, nearly always one. ``before_*``: what elements that this one
    took the place of had counted. ``told_packets``: the count that was told last. ``turn``: the count during which it
    was added. ``is_resting``: no packets are copied at present; ``turned_at_s``: when that last changed;
    ``watched_until_s``: it does not rest before. ``chain`` is where its packets go."""

    pinhole: Pinhole
    keys: list[PinholeKey]
    turn: int
    chain: str = ""
    refresh_at_s: float = 0.0
    is_resting: bool = False
    turned_at_s: float = 0.0
    watched_until_s: float = 0.0
    before_packets: int = 0
    before_octets: int = 0
    packets: int = 0
    octets: int = 0
    told_packets: int = 0

    def may_rest(self, now_s: float) -> bool:
        """Tell whether packets that are copied need not be."""
        is_needed = self.pinhole.inspect == "all" or self.watched_until_s > now_s
        return not self.is_resting and self.pinhole.verdict == "allow" and not is_needed

    def turn_to(self, now_s: float, *, is_resting: bool) -> None:
        """Have no packets copied from now on, or again."""
        self.is_resting, self.turned_at_s = is_resting, now_s

    def passed(self) -> int:
        """Return how many packets went where its packets go now."""
        return self.packets - self.before_packets

    def counts(self) -> list[FlowCount]:
        """Return what is known, for each pinhole, as told from now on."""
        self.told_packets = self.packets
        return [FlowCount(key, self.packets, self.octets) for key in self.keys]


class _Turn(NamedTuple):
    """That a flow began to rest, or to be copied, at an instant; it may have changed since."""

    at_s: float
    element: Element
    held: Held


class Sampling:
    """Whose turn it is. ``is_held`` tells whether an element is still there."""

    def __init__(self, is_held: Callable[[Element, Held], bool]) -> None:
        self._is_held = is_held
        self._resting: deque[_Turn] = deque()
        self._sampled: list[_Turn] = []

    def rest(self, element: Element, held: Held, now_s: float) -> None:
        """Take note that no packets of a flow are copied from now on."""
        held.turn_to(now_s, is_resting=True)
        if held.pinhole.inspect == "sample":
            self._resting.append(_Turn(now_s, element, held))

    def due(self, now_s: float) -> list[tuple[Element, Held]]:
        """Return flows that have rested, the longest first, and take note that packets of them are copied now."""
        while self._resting and len(self._sampled) < SAMPLED_AT_ONCE and self._resting[0].at_s + REST_S <= now_s:
            turn = self._resting.popleft()
            if self._is_current(turn) and turn.held.is_resting:
                turn.held.turn_to(now_s, is_resting=False)
                self._sampled.append(turn._replace(at_s=now_s))
        return [(element, held) for _, element, held in self._sampled]

    def take_sampled(self, now_s: float) -> list[tuple[Element, Held]]:
        """Return, once, the flows that were ``due`` last and may rest again once a packet of them has passed."""
        sampled, self._sampled = self._sampled, []
        return [(each.element, each.held) for each in sampled if self._is_current(each) and each.held.may_rest(now_s)]

    def _is_current(self, turn: _Turn) -> bool:
        return turn.at_s == turn.held.turned_at_s and self._is_held(turn.element, turn.held)
