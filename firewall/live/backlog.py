"""What was received and not yet decided on: in order of receipt, until it is too much; then emergencies come first.

In a flood the kernel drops whatever comes once a socket's buffer is full, and what it does not drop waits for seconds.
So all that waits is read at once, which takes a fraction of deciding; what may be of an emergency call is decided
first, and where there is too much, what is dropped is something else.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from operator import attrgetter

from firewall.engine.events import DatagramsLost
from firewall.live.listener import DATAGRAMS_PER_WAKE_UP, Arrival, Listener
from firewall.net.datagram import Datagram

CALM = 512
"""So many are decided within 50 ms; more than that is a flood, until none waits."""
WAITING_MAX = 8192
# A turn is short, as connections, timers and the control socket have theirs after it. Where many more come in one than
# are decided on in one, most of it is reading.
_READ_AT_ONCE = 1024
_MANY_READ = 256
_TAKEN_BESIDE = 16


class Backlog:
    """Datagrams between the listeners and the engine."""

    def __init__(self, listeners: Sequence[Listener], is_urgent: Callable[[Datagram], bool]) -> None:
        self._listeners = listeners
        self._is_urgent = is_urgent
        self._urgent: deque[Arrival] = deque()
        self._waiting: deque[Arrival] = deque()
        self._is_flooded = False
        self._latest: list[Arrival] = []
        self._dropped = 0
        self._told_lost = 0

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
            self._is_flooded = True
            read = [*self._waiting, *read]
            self._waiting.clear()
        if self._is_flooded:
            self._sort_out(read)
        else:
            self._waiting.extend(read)
        return self._take(_TAKEN_BESIDE if len(read) >= _MANY_READ else DATAGRAMS_PER_WAKE_UP)

    def lost(self) -> int:
        """Return how many datagrams were lost since the start: here, and in the kernel before they were read."""
        return self._dropped + sum(listener.dropped() for listener in self._listeners)

    def loss(self) -> DatagramsLost | None:
        """Return what there is to tell since this was last asked."""
        lost = self.lost()
        if lost == self._told_lost:
            return None
        self._told_lost = lost
        return DatagramsLost(lost, _loudest(self._latest))

    def give_up(self) -> None:
        """Let what still waits be lost: nobody is going to decide on it."""
        self._dropped += len(self._urgent) + len(self._waiting)
        self._urgent.clear()
        self._waiting.clear()

    def _read(self) -> list[Arrival]:
        """Read on while there is more: what is read from one socket may be older than what was read from another."""
        read: list[Arrival] = []
        while True:
            batches = [listener.receive() for listener in self._listeners]
            for batch in batches:
                read += batch
            if len(read) >= _READ_AT_ONCE or all(len(batch) < DATAGRAMS_PER_WAKE_UP for batch in batches):
                self._latest = read or self._latest
                read.sort(key=attrgetter("time_ns"))
                return read

    def _sort_out(self, read: list[Arrival]) -> None:
        for arrival in read:
            queue = self._urgent if self._is_urgent(arrival.datagram) else self._waiting
            if len(queue) < WAITING_MAX:
                queue.append(arrival)
            else:
                self._dropped += 1

    def _take(self, count: int) -> list[Arrival]:
        taken = _first(self._urgent, DATAGRAMS_PER_WAKE_UP)
        return taken + _first(self._waiting, max(0, count - len(taken)))


def _loudest(arrivals: list[Arrival]) -> str:
    """Say who sent most of what was read at a time."""
    senders = Counter(arrival.datagram.src_ip for arrival in arrivals)
    (source, count), *_ = senders.most_common(1) or [("nobody", 0)]
    return f"{count} of {len(arrivals)} read at the time are from {source}"


def _first(queue: deque[Arrival], count: int) -> list[Arrival]:
    return [queue.popleft() for _ in range(min(count, len(queue)))]
