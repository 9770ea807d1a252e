"""What one code of lint is."""

from dataclasses import dataclass
from typing import Literal

from firewall.ruleset.expression import is_about_emergencies
from firewall.ruleset.policy import Rule

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True, slots=True)
class Code:
    """One code: its name, how bad it is, its title, why it matters, how to mend it, and a policy's lines mended."""

    code: str
    name: str
    severity: Severity
    title: str
    why: str
    mend: str
    example: str = ""
    """Lines of a policy, those to delete begin with ``-``, those to add with ``+``, the others with a blank."""

    def mend_of(self, rule: Rule | None) -> str:
        """Return how to mend it in this rule."""
        if rule is None:
            return self.mend
        if self.mend.startswith("Add `and not emergency`") and is_about_emergencies(rule.when):
            or_raise = ", raise its limit" if rule.limit is not None else ""
            return f'Delete rule "{rule.name}"{or_raise} or let it allow: it is about emergency traffic alone.'
        return self.mend.replace("the rule that is named", f'rule "{rule.name}"')
