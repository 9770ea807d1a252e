"""Schedules follow the wall clock of their place; zoneinfo is the oracle."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.cli.policy_file import read_timezone
from firewall.ruleset.schedule import DAY_S, DAYS, Schedule
from firewall.ruleset.schedule import UTC as UTC_ZONE

NS = 1_000_000_000
ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "UTC",
    "Africa/Casablanca",
]
minutes = st.integers(0, DAY_S // 60).map(lambda minute: minute * 60)
instants = st.integers(0, 4_000_000_000).map(lambda second: second * NS)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    start_s = draw(minutes.filter(lambda second: second < DAY_S))
    end_s = draw(minutes.filter(lambda second: second not in (start_s, 0 if start_s else None)))
    days = frozenset(draw(st.lists(st.integers(0, 6), min_size=1)))
    return Schedule(days, start_s, end_s, read_timezone(draw(st.sampled_from(ZONES))))


def expected(schedule: Schedule, now_ns: int) -> bool:
    local = datetime.fromtimestamp(now_ns // NS, ZoneInfo(schedule.timezone.name))
    second = local.hour * 3600 + local.minute * 60 + local.second
    if schedule.start_s < schedule.end_s:
        return local.weekday() in schedule.days and schedule.start_s <= second < schedule.end_s
    if second >= schedule.start_s:
        return local.weekday() in schedule.days
    return second < schedule.end_s and (local.date() - timedelta(days=1)).weekday() in schedule.days


@given(schedules(), instants)
def test_active_is_what_the_wall_clock_says(schedule: Schedule, now_ns: int) -> None:
    assert schedule.active(now_ns) is expected(schedule, now_ns)


@given(schedules(), instants, st.integers(1, 20))
def test_edges_are_all_the_instants_of_change_and_no_other(schedule: Schedule, start_ns: int, days: int) -> None:
    end_ns = start_ns + days * DAY_S * NS
    edges = schedule.edges(start_ns, end_ns)
    assert edges == sorted(set(edges))
    assert all(schedule.active(edge) != schedule.active(edge - 1) for edge in edges)
    active = schedule.active(start_ns - 1)
    changes = iter([*edges, end_ns])
    following = next(changes)
    for now_ns in range(start_ns, end_ns, 1800 * NS + 7 * NS):
        while following <= now_ns:
            active = not active
            following = next(changes)
        assert schedule.active(now_ns) is active


def at(text: str, zone: str = "America/New_York") -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * NS


def night(*days: str) -> Schedule:
    return Schedule(frozenset(DAYS.index(day) for day in days), 22 * 3600, 6 * 3600, read_timezone("America/New_York"))


@pytest.mark.parametrize(
    ("when", "active"),
    [("2026-03-07T21:59:59", False), ("2026-03-07T22:00:00", True), ("2026-03-08T05:59:59", True),
     ("2026-03-08T06:00:00", False), ("2026-03-07T05:00:00", False), ("2026-03-08T22:00:00", False)],
)  # fmt: skip
def test_a_night_belongs_to_the_day_on_which_it_starts(when: str, active: bool) -> None:
    assert night("sat").active(at(when)) is active


def test_a_night_of_the_change_of_clocks_is_an_hour_shorter_or_longer() -> None:
    begin, end = night("sat").edges(at("2026-03-07T12:00:00"), at("2026-03-08T12:00:00"))
    assert end - begin == 7 * 3600 * NS
    begin, end = night("sat").edges(at("2026-10-31T12:00:00"), at("2026-11-01T12:00:00"))
    assert end - begin == 9 * 3600 * NS


def test_an_hour_that_the_clocks_skip_is_never_active_and_a_repeated_one_twice() -> None:
    hour = Schedule(frozenset(range(7)), 2 * 3600, 3 * 3600, read_timezone("America/New_York"))
    assert hour.edges(at("2026-03-08T00:00:00"), at("2026-03-08T12:00:00")) == []
    repeated = Schedule(frozenset(range(7)), 3600, 2 * 3600, read_timezone("America/New_York"))
    begin, end = repeated.edges(at("2026-11-01T00:00:00"), at("2026-11-01T12:00:00"))
    assert end - begin == 2 * 3600 * NS


def test_a_schedule_of_every_hour_has_no_edges() -> None:
    always = Schedule(frozenset(range(7)), 0, DAY_S, UTC_ZONE)
    assert always.edges(0, 400 * DAY_S * NS) == []
    assert always.active(0)


def test_a_schedule_says_what_it_is() -> None:
    assert str(night("sat", "fri")) == "fri,sat 22:00-06:00 America/New_York"
    assert str(Schedule(frozenset(range(7)), 0, DAY_S, UTC_ZONE)) == "mon,tue,wed,thu,fri,sat,sun 00:00-24:00 UTC"


@given(st.sampled_from(ZONES), st.integers(0, 4_100_000_000))
def test_offsets_are_zoneinfos(name: str, second: int) -> None:
    offset = datetime.fromtimestamp(second, UTC).astimezone(ZoneInfo(name)).utcoffset()
    assert offset is not None
    assert read_timezone(name).offset_s(second * NS) == int(offset.total_seconds())
