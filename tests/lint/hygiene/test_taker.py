from dataclasses import replace

import pytest

from firewall.lint.hygiene.sample import Sampler
from firewall.lint.hygiene.taker import Takers
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Rule
from tests.lint.hygiene.blocklists import block_lists
from tests.lint.hygiene.test_reach import random_policy, world
from tests.lint.policies import policy, rule


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


NUMBERS = range(10, 40)
ODD_FORMS = (
    "net.src in {{203.0.{n}.3..203.0.{n}.200}}",
    "udp.srcport in {{{n}00..{n}77}}",
    'lower(sip.from.host) == "h{n}.example"',
    'sip.r-uri.user[0:4] == "90{n}"',
    'sip.r-uri.user[0:4] matches "8{n}"',
    "net.src in $list{n}",
    '(sip.r-uri.user == "7{n}" or sip.to.user == "8{n}") and sip.Method == "INVITE"',
)
LISTS = "".join(f"  list{n}: {{networks: [203.0.{n}.3, 203.0.{n}.8/30]}}\n" for n in NUMBERS)


@pytest.mark.parametrize("form", ODD_FORMS)
def test_ranges_functions_slices_and_sets_are_indexed(form: str) -> None:
    """Of a long list of them one is tried for each message: lint stays linear."""
    written = "".join(rule(form.format(n=n), name=f"r{n}") for n in NUMBERS)
    tried: list[str] = []

    def counted(each: Rule) -> Rule:
        def matches(facts: Facts) -> bool:
            tried.append(each.name)
            return each.matches(facts)

        return replace(each, matches=matches)

    rules = policy(written, extra=f"sets:\n{LISTS}", after="").rules
    takers = Takers([counted(each) for each in rules])
    sampler = Sampler(policy())
    for number, each in enumerate(rules):
        made = next(sampler.made_for(each.when))
        tried.clear()
        assert list(takers.of(made, 0, len(rules))) == [number]
        assert tried == [each.name]


def test_a_set_of_many_rules_is_indexed_once_and_finds_them_all() -> None:
    written = "".join(rule(f'net.src in $list10 and not sip.Subject == "{n}"', name=f"r{n}") for n in NUMBERS)
    rules = policy(written, extra=f"sets:\n{LISTS}", after="").rules
    made = next(Sampler(policy()).made_for(rules[0].when))
    found = [number for number, each in enumerate(rules) if each.matches(made)]
    assert list(Takers(rules).of(made, 0, len(rules))) == found
