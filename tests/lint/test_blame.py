from firewall.lint.blame import code_of
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS
from firewall.lint.probe import Blocked, Probe, Questioner
from firewall.lint.proof.prove import calling_pairs
from firewall.ruleset.policy import Policy
from tests.lint.policies import policy, rule


def blocked(tested: Policy) -> Blocked:
    found = Questioner(tested).ask(Probe(VOICE, SOS, calling_pairs(tested)[0], BASE_NS))
    assert found is not None
    return found


def code(tested: Policy) -> str:
    found = blocked(tested)
    return code_of(found, tested.rule_named(found.decision.decision.rule))


def test_the_code_says_what_the_blocked_message_was_to_the_call() -> None:
    assert code(policy(rule('sip.Method == "INVITE"'))) == "SOS101"
    assert code(policy(rule('sip.Method == "ACK"'))) == "SOS102"


def test_a_limit_and_a_schedule_have_codes_of_their_own() -> None:
    limited = rule("ip", more="limit: {rate: 1/1h, per: net.src, burst: 1}")
    scheduled = rule("ip", more='schedule: {days: [mon], hours: "00:00-24:00", timezone: UTC}')
    assert (code(policy(limited)), code(policy(scheduled))) == ("SOS103", "SOS104")


def test_where_the_default_decided_no_rule_is_guilty() -> None:
    tested = policy(after="")
    assert tested.rule_named(blocked(tested).decision.decision.rule) is None
