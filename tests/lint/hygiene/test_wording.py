from firewall.lint.hygiene.wording import finding_beside, listed
from tests.lint.policies import policy, rule

RULES = policy("".join(rule("sip", name=name) for name in "abcdefghij"), after="").rules


def test_rules_are_listed_as_in_a_sentence() -> None:
    assert listed(RULES[:1]) == 'rule "a"'
    assert listed(RULES[:3]) == 'rules "a", "b" and "c"'
    assert listed(RULES) == 'rules "a", "b", "c", "d", "e", "f", "g", "h" and 2 more'


def test_a_finding_names_other_rules_with_their_lines() -> None:
    found = finding_beside("SOS202", "it changes nothing", RULES[1], RULES[:1])
    assert (found.rule, found.named, found.because) == ("b", ("a",), ('"a" (line 7) matches: sip',))
