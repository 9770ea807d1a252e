"""The page about the policy language tells the truth: its policy loads, its expressions are taken."""

import re
from pathlib import Path

import pytest

from firewall.ruleset.parse import parse_expression
from firewall.ruleset.policy import Policy
from tests.ruleset.strategies import PLACE
from tests.ruleset.test_load import load

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
FORMS = [
    form.replace("\\|", "|")
    for form in re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Expressions")[2], re.MULTILINE)
]


def policy_of_the_page() -> Policy:
    written = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert written is not None
    return load(written[1])


def test_the_policy_of_the_page_loads() -> None:
    policy = policy_of_the_page()
    assert [rule.name for rule in policy.rules] == ["blocked", "calls"]
    assert [zone.name for zone in policy.zones] == ["carrier", "psap"]


@pytest.mark.parametrize("form", FORMS)
def test_the_forms_of_the_page_are_taken(form: str) -> None:
    assert parse_expression(form, sets={each.name: each for each in policy_of_the_page().sets}, place=PLACE)


def test_the_page_shows_all_forms() -> None:
    assert len(FORMS) >= 13


def test_a_rule_is_found_by_its_name_and_none_where_none_decided() -> None:
    policy = load("policy: x\nrules:\n  - {name: a, action: drop}\n  - {name: b, action: allow}\ndefault: drop\n")
    assert policy.rule_named("b") == policy.rules[1]
    assert policy.rule_named(None) is None


def test_the_zones_of_emergency_calls_are_named_once() -> None:
    zones = "zones: {a: {}, b: {}, c: {}}\nemergency: {from: [b, a], to: [a]}\n"
    assert load(f"policy: x\n{zones}rules: []\ndefault: drop\n").emergency.zones == ("b", "a")
