"""When probes run: instants that differ in which rules are active.

Only schedules look at the clock, so two instants at which the same rules are active, now and for the length of a
call, cannot differ: of all instants around every edge one of each kind is kept. Nothing is lost by that.
"""

from firewall.ruleset.policy import Policy
from firewall.ruleset.schedule import Schedule

SECOND_NS = 1_000_000_000
DAY_NS = 86_400 * SECOND_NS
BASE_NS = 1_768_219_200 * SECOND_NS
"""Monday 2026-01-12 12:00 UTC: fixed, so that lint says the same every day."""
_YEAR_NS = 366 * DAY_NS
_HORIZONS_NS = (0, 8 * SECOND_NS, 620 * SECOND_NS)  # the first message, a call's length, a call and its callback


def instants(policy: Policy) -> tuple[tuple[int, ...], int]:
    """Return the instants at which probes differ, and how many were considered.

    Considered are a plain Monday noon, a Saturday night, and a second before, at and after every edge of every
    schedule over one week, and over the days around each change of daylight saving in that year.
    """
    schedules = tuple(rule.schedule for rule in policy.rules if rule.schedule is not None)
    considered = {BASE_NS, BASE_NS + 5 * DAY_NS + 15 * 3600 * SECOND_NS}
    for schedule in schedules:
        for edge in _edges(schedule):
            # A call that begins half a second before an edge crosses it; whole seconds only would miss short ones.
            considered |= {edge - SECOND_NS, edge - SECOND_NS // 2, edge, edge + SECOND_NS}
    kinds: dict[tuple[tuple[bool, ...], ...], int] = {}
    for instant in sorted(considered, key=lambda each: (each != BASE_NS, each)):
        kinds.setdefault(_kind(schedules, instant), instant)
    return tuple(kinds.values()), len(considered)


def _edges(schedule: Schedule) -> set[int]:
    edges = set(schedule.edges(BASE_NS, BASE_NS + 8 * DAY_NS))
    for start_ns in schedule.timezone.starts_ns:
        if BASE_NS < start_ns < BASE_NS + _YEAR_NS:
            edges |= {start_ns, *schedule.edges(start_ns - 2 * DAY_NS, start_ns + 2 * DAY_NS)}
    return edges


def _kind(schedules: tuple[Schedule, ...], instant: int) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(schedule.active(instant + later) for later in _HORIZONS_NS) for schedule in schedules)
