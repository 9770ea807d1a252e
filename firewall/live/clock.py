"""The present, and how far somebody sets the machine's clock, as the first word of a time server after the start."""

import time

STEP_NS = 500_000_000
"""Time servers adjust by less, and slowly; a step that the engine takes for a little disorder is none either."""
_AT_ONCE_NS = 100_000_000


class Clock:
    """Watches the clock beside the time since the machine was started, which nobody sets (suspended or not)."""

    def __init__(self) -> None:
        self._apart_ns = time.time_ns() - _since_boot_ns()

    def step_ns(self) -> int:
        """Return how far the clock was set since this was last asked; 0: it was not."""
        before_ns, now_ns, after_ns = _since_boot_ns(), time.time_ns(), _since_boot_ns()
        if after_ns - before_ns > _AT_ONCE_NS:
            return 0  # this process was stopped between two looks: the next call tells
        step_ns = now_ns - before_ns - self._apart_ns
        self._apart_ns += step_ns
        return step_ns if abs(step_ns) >= STEP_NS else 0


def present_ns() -> int:
    """Return the present as the engine counts it: Unix time in nanoseconds, in whole microseconds like captures."""
    return time.time_ns() // 1000 * 1000


def _since_boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)
