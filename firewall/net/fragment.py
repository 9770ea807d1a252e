"""IP fragments put together again (RFC 791 §3.2, RFC 8200 §4.5), the way the kernel does it for the live firewall.

A 9 KB INVITE over UDP is normal, and an emergency call's location makes it so. What one fragment brought, or
several in order, is ignored when it comes again, whatever it says now; fragments that overlap in any other way discard
the whole datagram, as Linux does for both families (RFC 5722, CVE-2018-5391). The table is bounded in datagrams, bytes
and time.
"""

from bisect import bisect
from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import msgspec

MAX_DATAGRAM_BYTES = 65_535
_MAX_PENDING = 4096
_MAX_PENDING_BYTES = 16 * 1024 * 1024
_TIMEOUT_NS = 30_000_000_000  # Linux: net.ipv4.ipfrag_time
_MAX_WHOLE = 1024
_MAX_WHOLE_PARTS = 64
"""Of so many datagrams the parts are remembered, of those of no more parts: 64 KiB over Ethernet are 45."""

FragmentKey = tuple[bytes, bytes, int, int, tuple[int, bool | None]]
"""Source, destination, identification, protocol; and where it was seen, as a capture may see each fragment twice."""


class _Pending(msgspec.Struct):
    first_frame: int
    """0 once it is told that it is incomplete."""
    first_seen_ns: int
    parts: dict[int, bytes] = msgspec.field(default_factory=dict)
    starts: list[int] = msgspec.field(default_factory=list)
    """Of the kernel's runs, in order: a fragment that goes on where the last one ended makes no run of its own."""
    ends: list[int] = msgspec.field(default_factory=list)
    held_bytes: int = 0
    total_bytes: int | None = None

    def fit(self, offset: int, end: int, more: bool) -> Literal["new", "again", "overlap"]:
        """Tell how a fragment fits those that came; an empty one never does."""
        total, starts, ends = self.total_bytes, self.starts, self.ends
        if offset == end or (total is not None and (end > total or (not more and end < total))):
            return "overlap"
        if not more and ends and ends[-1] > end:
            return "overlap"
        place = bisect(starts, offset)
        reaches = ends[place - 1] if place else 0
        if reaches >= end:
            return "again"
        return "overlap" if reaches > offset or (place < len(starts) and starts[place] < end) else "new"

    def take(self, offset: int, data: bytes) -> None:
        """Keep what a new fragment brought."""
        self.parts[offset] = data
        self.held_bytes += len(data)
        if self.ends and self.ends[-1] == offset:
            self.ends[-1] += len(data)
            return
        place = bisect(self.starts, offset)
        self.starts.insert(place, offset)
        self.ends.insert(place, offset + len(data))


class FragmentTable:
    """The datagrams of which some fragments are still missing, oldest first."""

    def __init__(self) -> None:
        self._pending: OrderedDict[FragmentKey, _Pending] = OrderedDict()
        self._whole: OrderedDict[FragmentKey, frozenset[int]] = OrderedDict()
        self.held_bytes = 0
        self._given_up: list[tuple[int, int]] = []

    @property
    def waiting(self) -> int:
        """How many datagrams wait for fragments; ``held_bytes`` is what they hold."""
        return len(self._pending)

    @property
    def remembered(self) -> int:
        """Of how many whole datagrams the parts are known."""
        return len(self._whole)

    def add(
        self, key: FragmentKey, offset: int, more: bool, data: bytes, frame_number: int, now_ns: int
    ) -> bytes | Literal["waiting", "overlap", "too long"]:
        """Take one fragment and return the whole payload when it is the last one missing, else why there is none."""
        self._make_room(now_ns)
        pending = self._pending.get(key)
        if pending is None:
            pending = self._pending[key] = _Pending(frame_number, now_ns)
        end = offset + len(data)
        if end > MAX_DATAGRAM_BYTES:
            self._forget(key)
            return "too long"
        fit = pending.fit(offset, end, more)
        if fit == "overlap":
            self._forget(key)
            return "overlap"
        if not more:
            pending.total_bytes = end
        if fit == "again":
            return "waiting"
        pending.take(offset, data)
        self.held_bytes += len(data)
        if pending.held_bytes != pending.total_bytes:
            return "waiting"
        self._forget(key)
        self._remember(key, pending)
        return b"".join(part for _, part in sorted(pending.parts.items()))

    def incomplete(self) -> Iterator[tuple[int, int]]:
        """Return, for each datagram that stayed incomplete, its first frame's number and the bytes that came; once.

        None of what repeats parts of a datagram that was whole: a mirror may show each fragment twice.
        """
        for key, pending in self._pending.items():
            self._tell(key, pending)
        yield from self._given_up
        self._given_up.clear()

    def _make_room(self, now_ns: int) -> None:
        while self._pending:
            key, oldest = next(iter(self._pending.items()))
            expired = now_ns - oldest.first_seen_ns > _TIMEOUT_NS
            full = len(self._pending) >= _MAX_PENDING or self.held_bytes > _MAX_PENDING_BYTES
            if not expired and not full:
                return
            self._tell(key, oldest)
            self._forget(key)

    def _tell(self, key: FragmentKey, pending: _Pending) -> None:
        if pending.first_frame and not self._is_repeated(key, pending):
            self._given_up.append((pending.first_frame, pending.held_bytes))
            pending.first_frame = 0

    def _remember(self, key: FragmentKey, whole: _Pending) -> None:
        if len(whole.parts) <= _MAX_WHOLE_PARTS:
            self._whole[key] = frozenset(map(hash, whole.parts.items()))
            self._whole.move_to_end(key)
            if len(self._whole) > _MAX_WHOLE:
                self._whole.popitem(last=False)

    def _is_repeated(self, key: FragmentKey, pending: _Pending) -> bool:
        return self._whole.get(key, frozenset()).issuperset(map(hash, pending.parts.items()))

    def _forget(self, key: FragmentKey) -> None:
        self.held_bytes -= self._pending.pop(key).held_bytes
