"""The instants that differ: at which schedules are active.

Only schedules look at the clock, so two instants at which the same schedules are active cannot differ. A schedule is
weekly on its own zone's wall clock; between two changes of any zone's clock all of them repeat weekly together. So
the weeks after each such change, and the days before the next, hold every combination that the year has.
"""

from collections.abc import Sequence

from firewall.ruleset.schedule import Schedule

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
BASE_NS = 1_768_219_200 * SECOND_NS
"""Monday 2026-01-12 12:00 UTC: fixed, so that lint says the same every day."""
_YEAR_NS = 366 * DAY_NS
_WEEK_NS = 8 * DAY_NS


def activities(schedules: Sequence[Schedule]) -> list[tuple[int, tuple[bool, ...]]]:
    """Return every combination of active schedules that the year has, each with an instant (ns since the epoch).

    The first is the plain Monday noon's. Without schedules there is one combination, the empty one.
    """
    changes = {
        start_ns
        for schedule in schedules
        for start_ns in schedule.timezone.starts_ns
        if BASE_NS < start_ns < BASE_NS + _YEAR_NS
    }
    edges: set[int] = set()
    for schedule in schedules:
        for change_ns in (BASE_NS, *changes):
            edges.update(schedule.edges(change_ns - 2 * DAY_NS, change_ns + _WEEK_NS))
    kinds: dict[tuple[bool, ...], int] = {}
    for at_ns in (BASE_NS, *sorted(edges | changes)):
        kinds.setdefault(tuple(schedule.active(at_ns) for schedule in schedules), at_ns)
    return [(at_ns, activity) for activity, at_ns in kinds.items()]
