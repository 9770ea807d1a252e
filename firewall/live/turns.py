"""When the daemon reads and decides: when something waits, once in each round of its loop, and at each deadline."""

import asyncio
import time

from firewall.live.backlog import Backlog
from firewall.live.clock import present_ns
from firewall.live.driver import Driver
from firewall.live.listener import Arrival

_LONGEST_TIMER_S = 3600.0


class Turns:
    """Brings what waits in the backlog to the driver."""

    def __init__(self, loop: asyncio.AbstractEventLoop, backlog: Backlog, driver: Driver) -> None:
        self._loop = loop
        self._backlog = backlog
        self._driver = driver
        self._turn: asyncio.Handle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at_ns: int | None = None

    def readable(self) -> None:
        """Something waits on a socket, or may."""
        if self._turn is None:
            self._take_turn()

    def serve(self, arrivals: list[Arrival]) -> None:
        """Have messages decided on that came another way."""
        self._driver.arrived(arrivals)
        self.arm_timer()

    def read_batch(self) -> bool:
        """Take what waits on the sockets; True when there may be more."""
        ready = self._backlog.next()
        if self._backlog.waits and self._turn is None:
            self._turn = self._loop.call_soon(self._take_turn)
        self._driver.arrived(ready)
        return bool(ready)

    def arm_timer(self) -> None:
        """Wake up at the next deadline, which may be another than before."""
        deadline_ns = self._driver.engine.next_deadline()
        if deadline_ns == self._timer_at_ns and self._timer is not None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at_ns = deadline_ns
        if deadline_ns is not None:
            delay_s = min(_LONGEST_TIMER_S, max(0.001, (deadline_ns - time.time_ns()) / 1e9))
            self._timer = self._loop.call_later(delay_s, self._deadline)

    def end(self) -> None:
        """Take no turn any more."""
        for handle in (self._timer, self._turn):
            if handle is not None:
                handle.cancel()

    def _take_turn(self) -> None:
        """Read and decide, once in each round of the loop: the others there must not wait for more than one turn."""
        self._turn = None
        self.read_batch()
        self.arm_timer()

    def _deadline(self) -> None:
        self._timer = None
        # Datagrams that already wait were received before this instant: they come first, as they would in a capture.
        if not self.read_batch():
            self._driver.reach(present_ns())
        self.arm_timer()
