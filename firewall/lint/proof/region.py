"""Which messages a change is about: conditions that are enough for it, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from firewall.lint.proof.atom import subject
from firewall.lint.proof.encoding import EncodedPolicy, Encoding
from firewall.ruleset.describe import describe
from firewall.ruleset.expression import Atom, Not, atoms


@dataclass(frozen=True, slots=True)
class Region:
    """Conditions that hold together; ``words`` leaves out what the kind of message says already."""

    literals: tuple[int, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, literals: Sequence[int], encoding: Encoding, policies: Sequence[EncodedPolicy]) -> "Region":
        """Return the region in which these literals of the formula hold."""
        said: dict[int, Atom | Not] = {}
        for atom, literal in encoding.atoms():
            if subject(atom) != "own":
                said.setdefault(literal, atom)
                said.setdefault(-literal, Not(atom))
        words = [
            describe(said[each]) + _whose(said[each], each, encoding, policies) for each in literals if each in said
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


def _whose(said: Atom | Not, literal: int, encoding: Encoding, policies: Sequence[EncodedPolicy]) -> str:
    """Say which policy's zones are meant, where the two do not have the same."""
    (atom,) = atoms(said)
    if subject(atom) not in ("zone_src", "zone_dst"):
        return ""
    of_each = [abs(encoding.literal(atom, encoding.view(each.policy))) for each in policies]
    return "" if len(set(of_each)) == 1 else " before" if of_each[0] == abs(literal) else " after"
