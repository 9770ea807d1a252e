from firewall.lint.hygiene.cover import Covers
from firewall.lint.hygiene.inspection import check
from firewall.lint.hygiene.reach import counts_always
from tests.lint.policies import policy, rule

HALVES = rule("net.src == 203.0.113.0/25", name="low") + rule("net.src == 203.0.113.128/25", name="high")


def cover(rules: str) -> list[int] | None:
    tested = policy(rules, after="")
    last = len(tested.rules) - 1
    return Covers(tested, range(last + 1)).cover(last, None, (), counts_always)


def test_two_rules_that_only_together_cover_a_third_are_named() -> None:
    assert cover(rule("sip", name="other") + HALVES + rule("net.src == 203.0.113.0/24", name="both")) == [1, 2]
    assert cover(HALVES.replace("/25", "/26") + rule("net.src == 203.0.113.0/24", name="both")) is None


def test_the_smallest_cover_is_named_though_other_rules_take_the_messages_first() -> None:
    quarters = "".join(rule(f"net.src == 203.0.113.{64 * n}/26", name=f"quarter{n}") for n in range(4))
    wide = rule("net.src in {203.0.113.0/25, 198.18.0.0/24}", name="low")
    wide += rule("net.src in {203.0.113.128/25, 198.19.0.0/24}", name="high")
    assert cover(quarters + wide + rule("net.src == 203.0.113.0/24", name="both")) == [4, 5]


def test_of_three_that_overlap_two_are_enough_whatever_their_order() -> None:
    starts = [rule(f'sip.r-uri.user matches "^[{digits}]"', name=digits) for digits in ("2-5", "4-7", "0-4", "5-9")]
    last = rule('sip.r-uri.user matches "^[0-9]+$"', "reject", name="last")
    assert cover("".join(starts) + last) == [2, 3]
    assert cover("".join(reversed(starts)) + last) == [0, 1]


def test_one_rule_is_named_rather_than_two() -> None:
    whole = rule("net.src == 203.0.113.0/24", name="whole")
    (found,) = check(policy(HALVES + whole + rule("net.src == 203.0.113.0/24 and sip", "allow", name="last")))[1:]
    assert (found.rule, len(found.because)) == ("last", 1)


def test_schedules_that_together_are_the_week_cover() -> None:
    days = [
        rule("sip", name=f"day{number}", more=f'schedule: {{days: [{days}], hours: "{hours}", timezone: UTC}}')
        for number, (days, hours) in enumerate(
            [("mon, tue, wed, thu, fri, sat, sun", "00:00-12:00"), ("mon, tue, wed, thu, fri, sat, sun", "12:00-24:00")]
        )
    ]
    assert cover("".join(days) + rule("sip", name="last")) == [0, 1]
    assert cover(days[0] + rule("sip", name="last")) is None


def test_a_budget_that_is_used_up_leaves_the_question_open() -> None:
    tested = policy(HALVES + rule("net.src == 203.0.113.0/24", name="both"), after="")
    covers = Covers(tested, range(3), budget=0)
    assert covers.is_exhausted
    assert covers.cover(2, None, (), counts_always) is None
