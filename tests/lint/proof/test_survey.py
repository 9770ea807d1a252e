"""Questions about all traffic: any ends, calls that really get so far, one policy or two."""

from firewall.lint.proof.asking import Excluded, Undecided
from firewall.lint.proof.canonical import canonical_policies
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.survey import Case, Survey
from firewall.lint.proof.traffic import chains, plain_ends
from firewall.lint.proof.witness import Staged
from firewall.ruleset.policy import Policy
from tests.lint.policies import ALLOW_ALL, policy, rule


def survey(tested: Policy) -> tuple[Survey, list[Case]]:
    encoding = Encoding(canonical_policies([tested]))
    found = Survey(encoding, [tested])
    every, _ = chains(tested, [atom for atom, _ in encoding.atoms()], plain_ends(tested))
    return found, [case for group in found.cases(every) for case in group]


def named(cases: list[Case], flow: str, label: str) -> Case:
    return next(c for c in cases if c.context.flow.name == flow and c.context.step.label == label)


def allowed(found: Survey, case: Case) -> Staged | Undecided | None:
    """A message of this case that passes, and all before it too."""

    def judged(staged: Staged, model: Model) -> Staged | Excluded | None:
        told = found.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        return staged if told.decisions[0].decision.verdict == "allow" else None

    return found.find(case, [found.allows(case.context, 0)], judged)


def test_a_message_may_come_from_anywhere() -> None:
    found, cases = survey(policy(rule("net.src == 203.0.113.77", "allow"), after=""))
    staged = allowed(found, named(cases, "voice call", "INVITE"))
    assert isinstance(staged, Staged)
    assert staged.sent[0].datagram.src_ip == "203.0.113.77"


def test_it_comes_by_the_interface_that_its_zone_asks_for() -> None:
    found, cases = survey(policy(rule('zone.src == "psap"', "allow"), after=""))
    staged = allowed(found, named(cases, "voice call", "INVITE"))
    assert isinstance(staged, Staged)
    assert staged.sent[0].datagram.in_iface in ("f1", None)


def test_what_follows_a_call_that_never_passes_is_no_message_at_all() -> None:
    found, cases = survey(policy(rule('sip.Method == "INVITE"'), after=ALLOW_ALL))
    assert allowed(found, named(cases, "voice call", "180 Ringing (INVITE)")) is None


def test_what_follows_a_call_that_passes_between_some_ends_comes_from_these() -> None:
    found, cases = survey(policy(rule('sip.Method == "INVITE" and not net.src == 192.0.2.77')))
    staged = allowed(found, named(cases, "voice call", "BYE"))
    assert isinstance(staged, Staged)
    assert staged.sent[-1].datagram.src_ip == "192.0.2.77"


def test_a_limit_is_exceeded_by_sending_again_and_then_waiting() -> None:
    found, cases = survey(policy(rule("sip", more="limit: {rate: 3/1s}")))
    case = named(cases, "voice call", "INVITE")
    staged = allowed(found, case)
    assert isinstance(staged, Staged)
    limits = [each.rule.limit for each in found.encoded[0].rules if each.rule.limit is not None]
    told = [decisions[0].decision.verdict for _, decisions in found.exceeding(staged, limits)]
    assert told == ["allow", "allow", "allow", "drop", "drop", "allow"]
