"""What was received and not yet decided on: in order of receipt, until it is too much; then emergencies come first.

In a flood the kernel drops whatever comes once a socket's buffer is full, and what it does not drop waits for seconds.
So all that waits is read at once, which takes a fraction of deciding; what may be of an emergency call is decided
first, and where there is too much, what is dropped is something else.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec.structs import replace

from firewall.live.listener import DATAGRAMS_PER_WAKE_UP, Arrival
from firewall.net.datagram import Datagram

CALM = 512
"""So many are decided within 50 ms; more than that is a flood, until none waits."""
WAITING_MAX = 8192
_READ_AT_ONCE = 2048
# To the engine time goes on: it takes a step of a second back for a clock that was set.
_LATE_NS = 500_000_000


class Receives(Protocol):
    """What is needed of ``Listener``."""

    def receive(self, limit: int = DATAGRAMS_PER_WAKE_UP) -> list[Arrival]:
        """Return up to ``limit`` datagrams that are waiting."""


class Backlog:
    """Datagrams between the listeners and the engine. ``dropped``: how many there was no room for."""

    def __init__(self, listeners: Sequence[Receives], is_urgent: Callable[[Datagram], bool]) -> None:
        self._listeners = listeners
        self._is_urgent = is_urgent
        self._urgent: deque[Arrival] = deque()
        self._waiting: deque[Arrival] = deque()
        self._is_flooded = False
        self._given_ns = 0
        self.dropped = 0

    @property
    def waits(self) -> bool:
        """Whether there is something to decide on without reading."""
        return bool(self._waiting or self._urgent)

    def next(self) -> list[Arrival]:
        """Return what is to be decided on now, none when nothing waits."""
        read = self._read()
        if not self.waits:
            self._is_flooded = False
            if len(read) <= DATAGRAMS_PER_WAKE_UP:
                return read
        if not self._is_flooded and len(self._waiting) + len(read) > CALM:
            self._is_flooded, self._given_ns = True, 0
            read = [*self._waiting, *read]
            self._waiting.clear()
        if self._is_flooded:
            self._sort_out(read)
        else:
            self._waiting.extend(read)
        return self._take()

    def _read(self) -> list[Arrival]:
        """Read on while there is more: what is read from one socket may be older than what was read from another."""
        read: list[Arrival] = []
        while True:
            batches = [listener.receive() for listener in self._listeners]
            for batch in batches:
                read += batch
            if len(read) >= _READ_AT_ONCE or all(len(batch) < DATAGRAMS_PER_WAKE_UP for batch in batches):
                read.sort(key=_time_of)
                return read

    def _sort_out(self, read: list[Arrival]) -> None:
        for arrival in read:
            queue = self._urgent if self._is_urgent(arrival.datagram) else self._waiting
            if len(queue) < WAITING_MAX:
                queue.append(arrival)
            else:
                self.dropped += 1

    def _take(self) -> list[Arrival]:
        taken: list[Arrival] = []
        for queue in (self._urgent, self._waiting):
            while queue and len(taken) < DATAGRAMS_PER_WAKE_UP:
                taken.append(queue.popleft())
        return [self._timed(arrival) for arrival in taken] if self._is_flooded else taken

    def _timed(self, arrival: Arrival) -> Arrival:
        """Return it with a time that is not long before that of what was taken out of turn."""
        if arrival.time_ns < self._given_ns - _LATE_NS:
            return replace(arrival, time_ns=self._given_ns - _LATE_NS)
        self._given_ns = max(self._given_ns, arrival.time_ns)
        return arrival


def _time_of(arrival: Arrival) -> int:
    return arrival.time_ns
