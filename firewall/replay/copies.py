"""The second sight of a message: a capture taken on the firewall itself sees each forwarded one come in and go out.

``tcpdump -i any`` and captures of several interfaces show it twice, and once more for each bridge, bond or VLAN that it
passes; a live firewall decides it once. The rule:

- An outgoing frame repeats an incoming one of the same five-tuple and payload, at most a second away. An end host's own
  messages, outgoing only, repeat nothing and are decided.
- A frame of the same direction repeats one seen on another interface, at most a tenth of a second away: sooner than any
  retransmission (RFC 3261 §17.1.1.1).
- Where the capture does not tell the direction, a frame repeats one seen on another interface, at most a second away.
- Each place shows a message once. What is seen again in the same place is a retransmission, and is decided.
"""

from collections import deque

import msgspec

from firewall.net.datagram import Datagram
from firewall.net.vantage import Vantage

COPY_WINDOW_NS = 1_000_000_000
_SAME_DIRECTION_WINDOW_NS = 100_000_000
_MAX_REMEMBERED = 65_536
_MAX_COMPARED = 256
"""With how many equal messages one is compared, the latest: a flood of them in thousands of places is to be cheap."""


class Sighting(msgspec.Struct, eq=False, gc=False):
    """A message seen for the first time. ``parsed``: it turned out to be SIP.

    ``key`` stands for its five-tuple and payload: 64 bits that nobody can foresee (Python's keyed hash). The message
    itself is let go of, as its memory is then at once that of the next ones.
    """

    key: int
    seen_ns: int
    seen_on: Vantage
    parsed: bool = False


_ONLY = Sighting(0, 0, (0, None))  # stands for each that nothing can repeat


class _Equal(msgspec.Struct, gc=False):
    """The first sightings of equal messages by number, without a gap, and the number that each place will show next."""

    first: dict[int, Sighting]
    next_in: dict[Vantage, int]
    next: int

    def repeated_by(self, sighting: Sighting) -> Sighting | None:
        """Return the first sighting of the message that this one shows again; None where it is itself the first."""
        seen_on = sighting.seen_on
        number = max(self.next_in.get(seen_on, 0), self.next - min(len(self.first), _MAX_COMPARED))
        while number < self.next:
            first = self.first[number]
            number += 1
            if abs(sighting.seen_ns - first.seen_ns) <= _window_ns(seen_on, first.seen_on):
                self.next_in[seen_on] = number
                return first
        self.first[number] = sighting
        self.next = self.next_in[seen_on] = number + 1
        return None


class Sightings:
    """What was seen within the last second, oldest first.

    As long as all of it was seen in one and the same place nothing can repeat it, and nothing is looked up. Where it is
    known that all is ``of_one_place``, nothing is kept either.
    """

    def __init__(self, *, of_one_place: bool = False) -> None:
        self._is_of_one_place = of_one_place
        self._order: deque[Sighting] = deque()
        self._place: Vantage | None = None
        self._equal: dict[int, _Equal] | None = None
        """By key, once there are two places."""

    def __len__(self) -> int:
        return len(self._order)

    def sight(self, datagram: Datagram, seen_on: Vantage, now_ns: int) -> tuple[Sighting, bool]:
        """Return a message's first sighting, and whether this one, from a ``vantage``, repeats it."""
        if self._is_of_one_place:
            return _ONLY, False
        order = self._order
        while order and (now_ns - order[0].seen_ns > COPY_WINDOW_NS or len(order) >= _MAX_REMEMBERED):
            self._forget(order.popleft())
        key = hash((datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port, datagram.payload))
        sighting = Sighting(key, now_ns, seen_on)
        if self._equal is None and seen_on != self._place:
            self._see_elsewhere(seen_on)
        if self._equal is not None:
            equal = self._equal.get(key)
            if equal is None:
                self._equal[key] = _Equal({0: sighting}, {seen_on: 1}, 1)
            elif (first := equal.repeated_by(sighting)) is not None:
                return first, True
        order.append(sighting)
        return sighting, False

    def _see_elsewhere(self, seen_on: Vantage) -> None:
        """Take note of a place; from the second one on, what was seen is looked up by its key."""
        if self._place is None:
            self._place = seen_on
            return
        self._equal = {}
        for sighting in self._order:
            # It repeats none: all were seen in one place.
            self._equal.setdefault(sighting.key, _Equal({}, {}, 0)).repeated_by(sighting)

    def _forget(self, oldest: Sighting) -> None:
        if self._equal is None:
            return
        equal = self._equal[oldest.key]
        if len(equal.first) == 1:
            del self._equal[oldest.key]
        else:
            del equal.first[equal.next - len(equal.first)]


def _window_ns(seen_on: Vantage, first: Vantage) -> int:
    """Return how far from its first sighting a message may be seen again in another place; -1 where it never is."""
    (interface, outgoing), (first_interface, first_outgoing) = seen_on, first
    if outgoing is True and first_outgoing is False:
        return COPY_WINDOW_NS
    if interface == first_interface:
        return -1
    if first_outgoing is None and outgoing is not False:
        return COPY_WINDOW_NS
    return _SAME_DIRECTION_WINDOW_NS if outgoing is first_outgoing else -1
