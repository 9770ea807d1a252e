"""What is due when: keys by their instants, however many there are, and however often one gets another instant."""

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

from firewall.engine.timestamp import NEVER_NS

_K = TypeVar("_K")
_STALE = 1_000


class _Due(msgspec.Struct, Generic[_K], gc=False):
    """What is due at one instant: a list would keep the garbage collector busy, this dict does not."""

    keys: dict[_K, None]


class Deadlines(Generic[_K]):
    """Keys, each at one instant; ``due_ns`` is the earliest, ``NEVER_NS`` when nothing waits.

    A key that gets another instant leaves the first one at once, so nothing of what ended early is left. Only instants
    are sorted, and put in order again: plain numbers, so that it never takes long.
    """

    def __init__(self) -> None:
        self.due_ns = NEVER_NS
        self._due: dict[int, _Due[_K]] = {}
        self._instants: list[int] = []

    def put(self, key: _K, at_ns: int) -> None:
        """Have a key due at an instant."""
        due = self._due.get(at_ns)
        if due is not None:
            due.keys[key] = None
            return
        self._due[at_ns] = _Due({key: None})
        heapq.heappush(self._instants, at_ns)
        if len(self._instants) > 2 * len(self._due) + _STALE:
            self._tidy()
        if at_ns < self.due_ns:
            self.due_ns = at_ns

    def remove(self, key: _K, at_ns: int) -> None:
        """Have a key not due at an instant any more; nothing happens where it was not."""
        due = self._due.get(at_ns)
        if due is None:
            return
        due.keys.pop(key, None)
        if not due.keys:
            del self._due[at_ns]
            if at_ns == self.due_ns:
                self.due_ns = self._first()

    def pop(self, now_ns: int) -> tuple[int, dict[_K, None]] | None:
        """Take out what was due first, with its instant; None when nothing is due."""
        at_ns = self.due_ns
        if at_ns > now_ns:
            return None
        keys = self._due.pop(at_ns).keys
        self.due_ns = self._first()
        return at_ns, keys

    def until(self, now_ns: int) -> Iterator[_K]:
        """Yield the keys that are due at an instant, in no order; nothing is changed."""
        places = [0]
        while places:
            place = places.pop()
            if place < len(self._instants) and self._instants[place] <= now_ns:  # a heap: no child is earlier
                due = self._due.get(self._instants[place])
                yield from due.keys if due is not None else ()
                places += (2 * place + 1, 2 * place + 2)

    def _first(self) -> int:
        instants = self._instants
        for _ in range(_STALE):
            if not instants or instants[0] in self._due:
                break
            heapq.heappop(instants)
        else:
            self._tidy()
        return self._instants[0] if self._instants else NEVER_NS

    def _tidy(self) -> None:
        self._instants = list(self._due)
        heapq.heapify(self._instants)
