"""Which messages a change is about: conditions that are enough for it, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from firewall.lint.proof.atom import Atom, subject
from firewall.lint.proof.encoding import EncodedPolicy, Encoding
from firewall.ruleset.describe import describe
from firewall.ruleset.expression import Not


@dataclass(frozen=True, slots=True)
class Region:
    """Conditions that hold together; ``words`` leaves out what the kind of message says already."""

    literals: tuple[int, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, literals: Sequence[int], encoding: Encoding, policies: Sequence[EncodedPolicy]) -> "Region":
        """Return the region in which these literals of the formula hold."""
        atoms: dict[int, tuple[Atom, bool]] = {}
        for atom, literal in encoding.atoms():
            if subject(atom) != "own":
                atoms.setdefault(literal, (atom, True))
                atoms.setdefault(-literal, (atom, False))
        words = [
            _said(atom, holds=holds) for each in literals if (known := atoms.get(each)) for atom, holds in (known,)
        ]
        for schedule, literal in encoding.schedules().items():
            words += [f"it is {schedule}"] * (literal in literals) + [f"it is not {schedule}"] * (-literal in literals)
        limits: dict[str, None] = {}
        for policy in policies:
            for each in policy.rules:
                if each.rule.limit is not None and abs(each.above) in map(abs, literals):
                    where = "above" if each.above in literals else "below"
                    limits.setdefault(f"the sender is {where} {each.rule.limit.text}")
        return cls(tuple(literals), (*words, *limits))


def _said(atom: Atom, *, holds: bool) -> str:
    return describe(atom if holds else Not(atom))
