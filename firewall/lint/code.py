"""What one code of lint is."""

from dataclasses import dataclass
from typing import Literal

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

    def mend_of(self, rule: str | None) -> str:
        """Return how to mend it in this rule."""
        return self.mend if rule is None else self.mend.replace("the rule that is named", f'rule "{rule}"')
