"""The second sight of a message: a capture taken on the firewall itself sees each forwarded one come in and go out.

``tcpdump -i any`` and captures of several interfaces show it twice; a live firewall decides it once. The rule:

- An outgoing frame repeats an incoming one of the same five-tuple and payload, at most a second away. An end host's own
  messages, outgoing only, repeat nothing and are decided.
- Where the capture does not tell the direction, a frame repeats one seen on another interface, at most a second away.
- Each frame is repeated once. What is seen again in the same place is a retransmission, and is decided.
"""

from collections import deque

import msgspec

from firewall.net.datagram import Datagram

COPY_WINDOW_NS = 1_000_000_000
_MAX_REMEMBERED = 65_536

_Key = tuple[str, int, str, int, bytes]


class Sighting(msgspec.Struct, eq=False):
    """A message seen for the first time. ``parsed``: it turned out to be SIP."""

    seen_ns: int
    interface: int
    outgoing: bool | None
    parsed: bool = False


class Sightings:
    """What was seen within the last second, oldest first."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, list[Sighting]] = {}
        self._order: deque[tuple[_Key, Sighting]] = deque()

    def __len__(self) -> int:
        return len(self._order)

    def sight(self, datagram: Datagram, seen_on: tuple[int, bool | None], now_ns: int) -> tuple[Sighting, bool]:
        """Return a message's first sighting, and whether this one, from a ``vantage``, repeats it."""
        self._forget(now_ns)
        key = (datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port, datagram.payload)
        interface, outgoing = seen_on
        earlier = self._waiting.get(key, [])
        for sighting in earlier:
            if abs(now_ns - sighting.seen_ns) <= COPY_WINDOW_NS and _repeats(interface, outgoing, sighting):
                earlier.remove(sighting)
                return sighting, True
        first = Sighting(now_ns, interface, outgoing)
        self._waiting.setdefault(key, []).append(first)
        self._order.append((key, first))
        return first, False

    def _forget(self, now_ns: int) -> None:
        while self._order:
            key, oldest = self._order[0]
            if now_ns - oldest.seen_ns <= COPY_WINDOW_NS and len(self._order) < _MAX_REMEMBERED:
                return
            self._order.popleft()
            waiting = self._waiting.get(key, [])
            if oldest in waiting:
                waiting.remove(oldest)
            if not waiting:
                self._waiting.pop(key, None)


def _repeats(interface: int, outgoing: bool | None, first: Sighting) -> bool:
    if outgoing is True:
        return first.outgoing is False or (first.outgoing is None and first.interface != interface)
    if outgoing is None:
        return first.outgoing is None and first.interface != interface
    return False
