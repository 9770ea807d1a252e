"""The rules a blocked message came past before one matched, each with the part of it that was not true."""

from dataclasses import replace

from firewall.engine.engine import Engine
from firewall.lint.finding import Finding, Witness
from firewall.lint.probe import Questioner, decide
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import And, Condition, Or
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy, Rule
from firewall.ruleset.text import expression_text

MAX_RULES = 8
_MAX_CHARS = 80


def with_passed_rules(finding: Finding, policy: Policy) -> Finding:
    """Return the finding with a sentence for each rule that did not decide its witness, the last ones of many."""
    witness = finding.witness
    if witness is None or finding.code == "SOS109":
        return finding
    passed = passed_rules(policy, witness)
    told = [f'rule "{rule.name}" (line {rule.place.line}) {why}' for rule, why in passed[-MAX_RULES:]]
    if len(passed) > MAX_RULES:
        told.insert(0, f"the first {len(passed) - MAX_RULES} rules do not decide it either")
    if not told:
        return finding
    return replace(finding, because=(*finding.because[:1], *told, *finding.because[1:]))


def passed_rules(policy: Policy, witness: Witness) -> list[tuple[Rule, str]]:
    """Return each rule that was asked about the blocked message and did not decide it, with the reason in words."""
    asked: dict[str, Facts] = {}

    def watched(rule: Rule) -> Rule:
        def matches(facts: Facts) -> bool:
            asked[rule.name] = facts
            return rule.matches(facts)

        return replace(rule, matches=matches, methods=None)

    rules = tuple(watched(rule) for rule in policy.rules)
    engine: Engine = Questioner(replace(policy, rules=rules)).engine()
    for sent in witness.sent:
        asked.clear()
        decide(engine, sent)
    passed = [rule for rule in policy.rules if rule.name in asked and rule.name != witness.rule]
    return [(rule, _why_not(rule, asked[rule.name])) for rule in passed]


def _why_not(rule: Rule, facts: Facts) -> str:
    if rule.when is not None and not compile_condition(rule.when)(facts):
        return f"does not match: {_untrue(rule.when, facts)}"
    if rule.schedule is not None and rule.limit is None and not rule.shadow:
        return f"matches, but not at this time ({rule.schedule})"
    if rule.limit is not None and not rule.shadow:
        return f"matches, but its limit is not reached ({rule.limit.text})"
    return "is in shadow mode and decides nothing"


def _untrue(when: Condition, facts: Facts) -> str:
    match when:
        case And(parts):
            return _untrue(next(part for part in parts if not compile_condition(part)(facts)), facts)
        case Or(parts):
            return f"none of {len(parts)} alternatives is true"
        case _:
            text = expression_text(when)
            return f"not true: {text if len(text) <= _MAX_CHARS else text[: _MAX_CHARS - 1] + '…'}"
