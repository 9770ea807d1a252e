from firewall.lint.instant import BASE_NS, DAY_NS, activities
from firewall.ruleset.schedule import Schedule
from tests.lint.policies import policy, rule


def schedule(days: str, hours: str, timezone: str) -> Schedule:
    more = f'schedule: {{days: [{days}], hours: "{hours}", timezone: {timezone}}}'
    found = policy(rule("emergency", more=more)).rules[0].schedule
    assert found is not None
    return found


def test_without_a_schedule_one_instant_stands_for_all() -> None:
    assert activities([]) == [(BASE_NS, ())]


def test_a_schedule_gives_an_instant_inside_and_one_outside() -> None:
    weekend = schedule("sat, sun", "22:00-06:00", "America/New_York")
    found = activities([weekend])
    assert {activity for _, activity in found} == {(True,), (False,)}
    assert all(weekend.active(at_ns) is activity[0] for at_ns, activity in found)


def test_a_schedule_of_one_minute_a_week_is_met() -> None:
    minute = schedule("wed", "03:17-03:18", "Europe/Berlin")
    assert (True,) in {activity for _, activity in activities([minute])}


def test_schedules_that_only_a_switch_of_daylight_saving_lets_meet_are_found_together() -> None:
    """New York is five hours behind Paris from 8 to 29 March 2026, six hours in the rest of the year."""
    paris = schedule("mon", "14:00-14:30", "Europe/Paris")
    new_york = schedule("mon", "09:00-09:30", "America/New_York")
    together = [at_ns for at_ns, activity in activities([paris, new_york]) if activity == (True, True)]
    assert together
    assert BASE_NS + 50 * DAY_NS < together[0] < BASE_NS + 300 * DAY_NS


def test_every_combination_of_a_year_is_among_them() -> None:
    """Brute force, a quarter of an hour at a time."""
    several = [
        schedule("mon, tue", "08:00-09:00", "Europe/London"),
        schedule("tue", "02:45-03:30", "America/Los_Angeles"),
        schedule("sun", "01:15-02:15", "America/New_York"),
    ]
    found = {activity for _, activity in activities(several)}
    quarter_ns = DAY_NS // 96
    seen = {tuple(each.active(BASE_NS + n * quarter_ns) for each in several) for n in range(365 * 96)}
    assert seen == found
