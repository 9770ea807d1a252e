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
from firewall.net.tcp import Vantage

COPY_WINDOW_NS = 1_000_000_000
_MAX_REMEMBERED = 65_536


class Sighting(msgspec.Struct, eq=False, gc=False):
    """A message seen for the first time. ``parsed``: it turned out to be SIP.

    ``key`` stands for its five-tuple and payload: 64 bits that nobody can foresee (Python's keyed hash). The message
    itself is let go of, as its memory is then at once that of the next ones.
    """

    key: int
    seen_ns: int
    seen_on: Vantage
    parsed: bool = False


class Sightings:
    """What was seen within the last second, oldest first.

    As long as all of it was seen in one and the same place nothing can repeat it, and nothing is looked up.
    """

    def __init__(self) -> None:
        self._order: deque[Sighting] = deque()
        self._place: Vantage | None = None
        self._waiting: dict[int, dict[Vantage, deque[Sighting]]] | None = None
        """Those not repeated yet by key and place, oldest first, once there are two places."""

    def __len__(self) -> int:
        return len(self._order)

    def sight(self, datagram: Datagram, seen_on: Vantage, now_ns: int) -> tuple[Sighting, bool]:
        """Return a message's first sighting, and whether this one, from a ``vantage``, repeats it."""
        order = self._order
        while order and (now_ns - order[0].seen_ns > COPY_WINDOW_NS or len(order) >= _MAX_REMEMBERED):
            self._forget(order.popleft())
        key = hash((datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port, datagram.payload))
        first = Sighting(key, now_ns, seen_on)
        if self._waiting is None and seen_on != self._place:
            self._see_elsewhere(seen_on)
        if self._waiting is not None:
            earlier = self._waiting.setdefault(key, {})
            for place, sightings in earlier.items():
                if not _repeats(seen_on, place):
                    continue
                while sightings:
                    sighting = sightings.popleft()
                    if abs(now_ns - sighting.seen_ns) <= COPY_WINDOW_NS:
                        if not sightings:
                            del earlier[place]  # or each of thousands of interfaces is asked every time
                        return sighting, True
            earlier.setdefault(seen_on, deque()).append(first)
        order.append(first)
        return first, False

    def _see_elsewhere(self, seen_on: Vantage) -> None:
        """Take note of a place; from the second one on, what was seen is looked up by its key."""
        if self._place is None:
            self._place = seen_on
            return
        self._waiting = {}
        for sighting in self._order:
            self._waiting.setdefault(sighting.key, {}).setdefault(sighting.seen_on, deque()).append(sighting)

    def _forget(self, oldest: Sighting) -> None:
        if self._waiting is None:
            return
        places = self._waiting.get(oldest.key, {})
        sightings = places.get(oldest.seen_on)
        if sightings and sightings[0] is oldest:
            sightings.popleft()
        if not sightings:
            places.pop(oldest.seen_on, None)
        if not places:
            self._waiting.pop(oldest.key, None)


def _repeats(seen_on: Vantage, first: Vantage) -> bool:
    (interface, outgoing), (first_interface, first_outgoing) = seen_on, first
    if outgoing is True:
        return first_outgoing is False or (first_outgoing is None and first_interface != interface)
    if outgoing is None:
        return first_outgoing is None and first_interface != interface
    return False
