from firewall.lint.instant import BASE_NS, SECOND_NS, instants
from tests.lint.policies import policy, rule

WEEKEND = 'schedule: {days: [sat, sun], hours: "22:00-06:00", timezone: America/New_York}'


def test_without_a_schedule_one_instant_stands_for_all() -> None:
    assert instants(policy())[0] == (BASE_NS,)


def test_a_schedule_gives_an_instant_inside_one_outside_and_calls_that_cross_its_edges() -> None:
    tested = policy(rule("emergency", more=WEEKEND))
    schedule = tested.rules[0].schedule
    assert schedule is not None
    found, considered = instants(tested)
    assert considered > 50
    crossings = {(schedule.active(at), schedule.active(at + 8 * SECOND_NS)) for at in found}
    assert crossings == {(False, False), (False, True), (True, True), (True, False)}


def test_a_schedule_of_one_minute_a_week_is_met() -> None:
    minute = 'schedule: {days: [wed], hours: "03:17-03:18", timezone: Europe/Berlin}'
    tested = policy(rule("emergency", more=minute))
    schedule = tested.rules[0].schedule
    assert schedule is not None
    assert any(schedule.active(at) for at in instants(tested)[0])


def test_an_hour_that_only_the_switch_of_daylight_saving_makes_is_met() -> None:
    """02:30 on a Sunday does not exist in March and exists twice in November; considered are both weekends."""
    night = 'schedule: {days: [sun], hours: "01:30-02:30", timezone: America/New_York}'
    _, considered = instants(policy(rule("emergency", more=night)))
    _, without = instants(policy(rule("emergency", more=night.replace("America/New_York", "UTC"))))
    assert considered > without
