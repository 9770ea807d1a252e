"""Regexes that say nothing: those that no text fits, and those that every text fits."""

from collections.abc import Iterator

from firewall.errors import Place
from firewall.lint.finding import Finding
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.value import text_matching, text_meeting
from firewall.ruleset.expression import Condition, Matches, Slice, atoms
from firewall.ruleset.policy import Policy, Rule
from firewall.ruleset.regex import compile_regex
from firewall.ruleset.text import expression_text


def check(policy: Policy) -> list[Finding]:
    """Return what is wrong with the regexes of a policy, each as proved by its automaton."""
    users: list[tuple[str, Rule | Place, Condition | None]] = [
        (f'rule "{rule.name}"', rule, rule.when) for rule in policy.rules
    ]
    users += [(f'must "{must.name}"', must.place, must.when) for must in policy.must]
    return [
        Finding.about(code, f"{user} has a regex that {words}: {expression_text(atom)}", at)
        for user, at, when in users
        for atom in dict.fromkeys(atoms(when))
        if isinstance(atom, Matches)
        for code, words in _faults(atom)
    ]


def _faults(atom: Matches) -> Iterator[tuple[str, str]]:
    try:
        if text_matching(atom.regex) is None:
            yield "SOS223", "no text fits"
        elif _is_found_in_nothing(atom) and text_meeting([], [atom]) is None:
            yield "SOS224", "fits every text"
    except UnmodelledError:
        return


def _is_found_in_nothing(atom: Matches) -> bool:
    """Tell whether the regex fits the empty text; an empty slice matches nothing."""
    return not isinstance(atom.operand, Slice) and compile_regex(atom.regex).search(b"") is not None
