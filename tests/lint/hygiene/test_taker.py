from firewall.lint.hygiene.taker import Takers
from tests.lint.hygiene.blocklists import block_lists
from tests.lint.hygiene.test_reach import random_policy, world


def test_exactly_the_enforced_rules_that_match_are_found_in_their_order() -> None:
    messages = world()[::97]
    for seed in range(60):
        rules = random_policy(seed).rules
        takers = Takers(rules)
        for facts in messages[seed::60]:
            assert list(takers.of(facts, 0, len(rules))) == [n for n, each in enumerate(rules) if each.matches(facts)]


def test_of_a_long_list_the_same_are_found_as_by_trying_all() -> None:
    rules = block_lists(300)[0].rules
    takers = Takers(rules)
    for facts in world()[::499]:
        assert list(takers.of(facts, 5, 290)) == [n for n in range(5, 290) if rules[n].matches(facts)]
