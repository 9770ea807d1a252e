"""When a rule is active: days and hours of a place's wall clock, with its time zone as plain data.

Pure: the time zone's transitions are looked up once by the loader's ``Sources``; here they are integers.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_S = 86_400
_NS = 1_000_000_000
_EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday


@dataclass(frozen=True, slots=True)
class TimeZone:
    """An IANA time zone: ``offsets_s[i]`` seconds east of UTC from ``starts_ns[i]`` on (ns since the epoch, sorted).

    ``starts_ns[0]`` is the beginning of time as far as sosgate is concerned: the first offset also holds before it.
    """

    name: str
    starts_ns: tuple[int, ...]
    offsets_s: tuple[int, ...]

    def offset_s(self, now_ns: int) -> int:
        """Return the offset from UTC in force at an instant, in seconds east."""
        return self.offsets_s[max(bisect_right(self.starts_ns, now_ns) - 1, 0)]

    def stretches(self, start_ns: int, end_ns: int) -> Iterator[tuple[int, int, int]]:
        """Yield ``(from_ns, until_ns, offset_s)``: the parts of ``start_ns <= t < end_ns`` with one offset each."""
        first = max(bisect_right(self.starts_ns, start_ns) - 1, 0)
        for index in range(first, len(self.starts_ns)):
            from_ns = max(start_ns, self.starts_ns[index]) if index else start_ns
            until_ns = min(end_ns, self.starts_ns[index + 1]) if index + 1 < len(self.starts_ns) else end_ns
            if from_ns >= end_ns:
                return
            yield from_ns, until_ns, self.offsets_s[index]


UTC = TimeZone("UTC", (0,), (0,))


@dataclass(frozen=True, slots=True)
class Schedule:
    """Days of the week (0 is Monday) and hours of the day (seconds of the wall clock, end excluded).

    ``end_s`` below ``start_s`` is a range over midnight; it belongs to the day on which it starts. An hour that the
    clocks repeat is active twice, an hour that they skip is never active.
    """

    days: frozenset[int]
    start_s: int
    end_s: int
    timezone: TimeZone

    def active(self, now_ns: int) -> bool:
        """Tell whether the schedule holds at an instant (ns since the epoch)."""
        day, second = divmod(now_ns // _NS + self.timezone.offset_s(now_ns), DAY_S)
        weekday = (day + _EPOCH_WEEKDAY) % 7
        if self.start_s < self.end_s:
            return weekday in self.days and self.start_s <= second < self.end_s
        if second >= self.start_s:
            return weekday in self.days
        return second < self.end_s and (weekday - 1) % 7 in self.days

    def edges(self, start_ns: int, end_ns: int) -> list[int]:
        """Return every instant ``start_ns <= t < end_ns`` at which ``active`` changes, in order (ns)."""
        candidates = set()
        for from_ns, until_ns, offset_s in self.timezone.stretches(start_ns, end_ns):
            candidates.add(from_ns)
            first_day = (from_ns // _NS + offset_s) // DAY_S
            last_day = (until_ns // _NS + offset_s) // DAY_S
            for day in range(first_day, last_day + 1):
                for second in (self.start_s, self.end_s):
                    candidates.add((day * DAY_S + second - offset_s) * _NS)
                    candidates.add(((day - 1) * DAY_S + second - offset_s) * _NS)
        return sorted(
            instant
            for instant in candidates
            if start_ns <= instant < end_ns and self.active(instant) != self.active(instant - 1)
        )

    def __str__(self) -> str:
        days = ",".join(DAYS[day] for day in sorted(self.days))
        hours = "-".join(f"{second // 3600:02}:{second % 3600 // 60:02}" for second in (self.start_s, self.end_s))
        return f"{days} {hours} {self.timezone.name}"
