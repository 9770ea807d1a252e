"""In which order TCP connections have their turn: while there is little to do at once, in a flood by their sources.

A round of the event loop decides on so many messages; what is beyond waits for the next. Whoever floods a thousand
connections has as many turns as whoever has one message on one: an emergency call is not kept waiting.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

MESSAGES_PER_ROUND = 64
"""So many are decided within some milliseconds: what else is in the loop, UDP and timers, waits no longer."""


class Shares:
    """Gives turns. ``crowded``: there is more than one round has time for, so who wants to read waits for a turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.crowded = False
        self._loop = loop
        self._spent = 0
        self._waiting: OrderedDict[int, deque[Callable[[], None]]] = OrderedDict()

    def spend(self, messages: int) -> None:
        """Note that so many are being decided."""
        self._spent += messages
        if self._spent >= MESSAGES_PER_ROUND:
            self._crowd()

    def wait(self, source: int, turn: Callable[[], None]) -> None:
        """Call ``turn`` when it is the source's: behind its other turns that wait."""
        self._waiting.setdefault(source, deque()).append(turn)
        self._crowd()

    def _crowd(self) -> None:
        if not self.crowded:
            self.crowded = True
            self._loop.call_soon(self._round)

    def _round(self) -> None:
        self._spent = 0
        try:
            while self._waiting and self._spent < MESSAGES_PER_ROUND:
                source, turns = self._waiting.popitem(last=False)
                turn = turns.popleft()
                if turns:
                    self._waiting[source] = turns  # behind all others
                self._spent += 1  # a turn that has no message takes time, too
                turn()
        finally:
            self._spent = 0
            self.crowded = False
            if self._waiting:
                self._crowd()
