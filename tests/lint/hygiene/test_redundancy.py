from tests.lint.hygiene.test_reach import said
from tests.lint.policies import policy, rule

PUBLISH = 'sip.Method == "PUBLISH" and not emergency'
PRESENCE = 'sip.Method in {"PUBLISH", "SUBSCRIBE"} and not emergency'


def redundant(rules: str, after: str = "") -> set[str | None]:
    return {name for code, name in said(policy(rules, after=after)) if code == "SOS202"}


def test_a_rule_is_redundant_when_later_ones_do_the_same_to_all_its_messages() -> None:
    assert redundant(rule(PUBLISH) + rule(PRESENCE, name="next")) == {"guilty"}
    between = rule('sip.Method == "INVITE" and emergency', "allow", name="between")
    assert redundant(rule(PUBLISH) + between + rule(PRESENCE, name="next")) == {"guilty"}
    halves = rule("net.src == 10.0.0.0/8", name="net") + rule("not net.src == 10.0.0.0/8", name="rest")
    assert redundant(rule(PUBLISH) + halves) == {"guilty"}


def test_it_is_not_where_the_verdict_its_status_or_the_ban_differ() -> None:
    assert redundant(rule(PUBLISH, "reject") + rule(PRESENCE, name="next")) == set()
    assert redundant(rule(PUBLISH, "reject", more="status: 480") + rule(PRESENCE, "reject", name="next")) == set()
    assert redundant(rule(PUBLISH, more="ban: 1m") + rule(PRESENCE, name="next")) == set()


def test_it_is_not_where_another_rule_or_a_limit_stands_between() -> None:
    between = rule("net.src == 10.0.0.0/8", "allow", name="between")
    assert redundant(rule(PUBLISH) + between + rule(PRESENCE, name="next")) == set()
    limited = rule(PRESENCE, name="next", more="limit: {rate: 1/1s, per: net.src, burst: 1}")
    assert redundant(rule(PUBLISH) + limited + rule(PRESENCE, name="last")) == {"next"}


def test_it_is_not_where_a_rule_in_its_shadow_would_come_out_and_do_something_else() -> None:
    hidden = rule(PUBLISH, "reject", name="hidden")
    assert redundant(rule(PUBLISH) + hidden + rule(PRESENCE, name="next")) == set()


def test_it_is_not_where_the_default_does_the_same() -> None:
    """Without the rule, what belongs to an allowed call would pass."""
    assert redundant(rule(PUBLISH)) == set()


def test_a_rule_that_lets_emergencies_pass_whatever_follows_is_left_alone() -> None:
    assert redundant(rule("emergency", "allow", name="floor") + rule("sip", "allow", name="all")) == set()
