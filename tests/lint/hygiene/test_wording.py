from firewall.lint.hygiene.wording import listed, quoted
from tests.lint.policies import policy, rule

RULES = policy("".join(rule("sip", name=name) for name in "abcdefghij"), after="").rules


def test_rules_are_listed_as_in_a_sentence() -> None:
    assert listed(RULES[:1]) == 'rule "a"'
    assert listed(RULES[:3]) == 'rules "a", "b" and "c"'
    assert listed(RULES) == 'rules "a", "b", "c", "d", "e", "f", "g", "h" and 2 more'


def test_a_rule_is_quoted_with_its_line() -> None:
    assert quoted(RULES[0]) == '"a" (line 7) matches: sip'
