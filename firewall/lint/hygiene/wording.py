"""How findings about rules are put."""

from collections.abc import Sequence

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


def quoted(rule: Rule) -> str:
    """Return what a rule asks for, with its line."""
    return f'"{rule.name}" (line {rule.place.line}) matches: {rule.when_text or "everything"}'
