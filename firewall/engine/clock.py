"""The time that the engine is told with each event: all that follows the calls reads it here."""

import msgspec

_STEP_NS = 1_000_000_000


class Clock(msgspec.Struct, eq=False, gc=False):
    """The instant of the event in hand, in nanoseconds.

    ``wall_ns`` is what was told, since the epoch: for records, and for schedules. ``now_ns`` is by a clock that nobody
    sets, for all that grows old: it never goes back, and is ``offset_ns`` later.
    """

    now_ns: int = 0
    wall_ns: int = 0
    offset_ns: int = 0

    def tell(self, wall_ns: int) -> None:
        """Go on to the instant of an event. Small reorderings stand still, a clock set back is followed.

        Without the second, limits would not refill until the wall clock is again where it was.
        """
        self.wall_ns = wall_ns
        now_ns = wall_ns + self.offset_ns
        if now_ns >= self.now_ns:
            self.now_ns = now_ns
        elif now_ns < self.now_ns - _STEP_NS:
            self.offset_ns = self.now_ns - wall_ns

    def at(self, wall_ns: int) -> int:
        """Return what ``now_ns`` would be for an event at an instant."""
        return max(wall_ns + self.offset_ns, self.now_ns)
