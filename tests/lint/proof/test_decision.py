"""What a policy does with a message is said as the engine does it."""

from firewall.lint.probe import opened
from firewall.lint.proof.decision import Outcome, without_rule
from tests.lint.policies import policy, rule
from tests.lint.proof.test_survey import named, survey


def test_what_nobody_may_answer_is_dropped_where_the_rule_says_reject() -> None:
    found, cases = survey(policy(rule("sip", "reject")))
    assert Outcome("reject", 403) in found.outcomes(named(cases, "voice call", "INVITE").context, 0)
    for label in ("ACK", "180 Ringing (INVITE)"):
        assert set(found.outcomes(named(cases, "voice call", label).context, 0)) >= {Outcome("drop"), Outcome("allow")}
        assert Outcome("reject", 403) not in found.outcomes(named(cases, "voice call", label).context, 0)


def test_without_a_rule_what_follows_passes_and_the_default_decides_on_the_rest() -> None:
    tested = policy("")
    found, cases = survey(tested)
    invite, ringing = (named(cases, "voice call", label).context for label in ("INVITE", "180 Ringing (INVITE)"))
    assert without_rule(tested, invite.facts, follows=found.facts(invite, 0)[1]) == "drop"
    assert without_rule(tested, ringing.facts, follows=found.facts(ringing, 0)[1]) == "allow"
    unreadable = next(case.context for case in cases if case.context.facts.malformed is not None)
    assert without_rule(tested, unreadable.facts, follows=False) == tested.exceptions.malformed
    assert opened(tested).rules == ()
