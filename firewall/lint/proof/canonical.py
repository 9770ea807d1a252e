"""Policies written in one way, so that what means the same is the same: for the comparison of two of them.

Only the form changes, never the meaning: equal sets of texts get one name, ``!=`` becomes present and not ``==``.
What rules cannot see (places, how a policy uses its ``emergency`` section) goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from firewall.errors import Place
from firewall.lint.proof.atom import subject
from firewall.ruleset.expression import (
    And,
    Atom,
    Comparison,
    Condition,
    Contains,
    Exists,
    Field,
    Item,
    Matches,
    Membership,
    Not,
    Operand,
    Or,
    SetMembers,
)
from firewall.ruleset.policy import EmergencyPolicy, Policy, Rule

Known = dict[frozenset[str], tuple[Item, ...]]
"""Lists of texts, each as it was first written."""

_NOWHERE = Place("")


def canonical_policies(policies: Sequence[Policy]) -> list[Policy]:
    """Return policies as far as they decide on messages, their conditions written in the one way."""
    known: Known = {}
    return [_canonical_policy(policy, known) for policy in policies]


def _canonical_policy(policy: Policy, known: Known) -> Policy:
    definition = policy.emergency
    return replace(
        policy,
        zones=tuple(replace(zone, place=_NOWHERE, on_daemon_down="bypass") for zone in policy.zones),
        emergency=EmergencyPolicy(
            numbers=tuple(sorted(definition.numbers)),
            test_numbers=tuple(sorted(definition.test_numbers)),
            dial_prefixes=tuple(sorted(definition.dial_prefixes)),
            guard="off",
        ),
        rules=tuple(_canonical_rule(rule, known) for rule in policy.rules),
    )


def recognises_alike(one: Policy, other: Policy) -> bool:
    """Tell whether two policies call the same messages an emergency."""
    return _recognition(one.emergency) == _recognition(other.emergency)


def _recognition(definition: EmergencyPolicy) -> tuple[frozenset[str], ...]:
    return frozenset(definition.numbers), frozenset(definition.test_numbers), frozenset(definition.dial_prefixes)


def _canonical_rule(rule: Rule, known: Known) -> Rule:
    return rule if rule.when is None else replace(rule, when=canonical(rule.when, known))


def canonical(condition: Condition, known: Known) -> Condition:
    """Return the condition written in the one way; ``known`` has the lists of texts met so far."""
    match condition:
        case Not(inner):
            return Not(canonical(inner, known))
        case And(conditions):
            return And(tuple(canonical(each, known) for each in conditions))
        case Or(conditions):
            return Or(tuple(canonical(each, known) for each in conditions))
        case Membership(operand, items):
            texts = texts_of(items)
            if texts is None or subject(condition) != "text":
                return condition
            if len(texts) == 1:
                return Comparison(operand, "==", next(iter(texts)))
            return Membership(operand, known.setdefault(texts, items))
        case Comparison(Field() as operand, "!=", str() as text) if subject(condition) == "text":
            return And((Exists(operand), Not(Comparison(operand, "==", text))))
        case Comparison() | Contains() | Matches() | Exists():
            return condition
        case _:
            assert_never(condition)


def texts_of(items: Sequence[Item]) -> frozenset[str] | None:
    """Return the texts of a list, None when there is anything else in it."""
    texts: set[str] = set()
    for item in items:
        match item:
            case SetMembers(_, frozenset() as members):
                texts |= members
            case str():
                texts.add(item)
            case _:
                return None
    return frozenset(texts)


def lemmas(atoms: Mapping[Atom, int]) -> Iterator[list[int]]:
    """Yield clauses that hold between lists of texts: what is in one of them is in every longer one."""
    about: dict[Operand, list[tuple[frozenset[str], int]]] = {}
    for atom, literal in atoms.items():
        match atom:
            case Comparison(operand, "==", str() as text):
                about.setdefault(operand, []).append((frozenset({text}), literal))
            case Membership(operand, items) if (texts := texts_of(items)) is not None:
                about.setdefault(operand, []).append((texts, literal))
            case _:
                pass
    for lists in about.values():
        longer = [each for each in lists if len(each[0]) > 1]
        for texts, literal in longer:
            parts = [(part, other) for part, other in lists if part < texts]
            yield from ([-other, literal] for _, other in parts)
            if frozenset().union(*(part for part, _ in parts)) == texts:
                yield [-literal, *(other for _, other in parts)]
