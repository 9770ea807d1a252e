"""How findings about rules are put."""

from collections.abc import Sequence
from dataclasses import replace

from firewall.lint.finding import Finding
from firewall.ruleset.policy import Rule

_NAMED = 8


def listed(rules: Sequence[Rule]) -> str:
    """Return rules as they stand in a sentence: ``rule "a"``, ``rules "a", "b" and "c"``."""
    names = [f'"{rule.name}"' for rule in rules]
    if len(names) == 1:
        return f"rule {names[0]}"
    if len(names) > _NAMED:
        return f"rules {', '.join(names[:_NAMED])} and {len(names) - _NAMED} more"
    return f"rules {', '.join(names[:-1])} and {names[-1]}"


def finding_beside(code: str, message: str, rule: Rule, others: Sequence[Rule]) -> Finding:
    """Return a finding about a rule that other rules make what it is; it says what each of them asks for."""
    asked = [f'"{each.name}" (line {each.place.line}) matches: {each.when_text or "everything"}' for each in others]
    return replace(Finding.about(code, message, rule, *asked), named=tuple(each.name for each in others))
