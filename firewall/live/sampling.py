"""Which flows of media have packets copied, and when: at the beginning of each, then for a moment every few seconds.

A copy costs the daemon, and the chain that copies costs every packet that goes through it: so a flow that is known
rests in between, and no packet of it goes there.
"""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from firewall.live.flow_sets import Element
from firewall.live.held_flow import Held

SETTLED_PACKETS = 20
"""After how many packets through the chain that copies the beginning of a flow was seen."""

REST_S = 2.0
"""How long a flow rests. The kernel copies one packet in that time (``media_chains``), so that of a flow which begins
to rest just before its next copy nothing stays unseen for five seconds."""

SAMPLE_EVERY_S = 0.05
"""How often flows are put into that chain, and taken out again after a packet of theirs has passed."""

SAMPLE_FOR_S = 0.2
"""How long a flow waits there for a packet."""

SAMPLED_AT_ONCE = 160
SAMPLED_EACH_TIME = 40
"""How many at most. A flow takes some 0.12 ms each time, its copy included, so these a tenth of a processor."""


class _Turn(NamedTuple):
    """That a flow began to rest, or to be copied, at an instant; it may have changed since."""

    at_s: float
    element: Element
    held: Held


class Sampling:
    """Whose turn it is. ``is_held`` tells whether an element is still there."""

    def __init__(self, is_held: Callable[[Element, Held], bool]) -> None:
        self._is_held = is_held
        self._resting: tuple[deque[_Turn], deque[_Turn]] = (deque(), deque())  # of emergency calls, of others
        self._sampled: list[_Turn] = []

    def rest(self, element: Element, held: Held, now_s: float) -> None:
        """Take note that no packets of a flow are copied from now on."""
        held.turn_to(now_s, is_resting=True)
        if held.pinhole.inspect == "sample":
            self._resting[not held.pinhole.is_emergency].append(_Turn(now_s, element, held))

    def due(self, now_s: float) -> list[tuple[Element, Held]]:
        """Return flows that have rested, of emergency calls and then of others, the longest first, and take note that
        packets of them are copied now."""
        self._sampled = [each for each in self._sampled if self._is_current(each)]
        room = min(SAMPLED_EACH_TIME, SAMPLED_AT_ONCE - len(self._sampled))
        due: list[tuple[Element, Held]] = []
        for resting in self._resting:
            while resting and len(due) < room and resting[0].at_s + REST_S <= now_s:
                turn = resting.popleft()
                if self._is_current(turn) and turn.held.is_resting:
                    turn.held.turn_to(now_s, is_resting=False)
                    self._sampled.append(turn._replace(at_s=now_s))
                    due.append((turn.element, turn.held))
        return due

    def sampled(self, now_s: float) -> list[tuple[Element, Held]]:
        """Return the flows of which packets are copied, and may rest again once one of them has passed.

        Those that have waited long enough are returned for the last time.
        """
        current = [each for each in self._sampled if self._is_current(each) and each.held.may_rest(now_s)]
        self._sampled = [each for each in current if each.at_s + SAMPLE_FOR_S > now_s]
        return [(each.element, each.held) for each in current]

    def _is_current(self, turn: _Turn) -> bool:
        return turn.at_s == turn.held.turned_at_s and self._is_held(turn.element, turn.held)
