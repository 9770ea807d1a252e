"""Every code of lint with its words: the only list. docs/lint.md is tested against it.

SOS1xx: an emergency call can be hurt, shown by a call that the engine blocks. SOS2xx: the rules' own hygiene.
SOS0xx: the policy cannot be used at all. A code is never used again for something else.
"""

from firewall.lint.code import Code, Severity
from firewall.lint.emergency_codes import EMERGENCY_CODES
from firewall.lint.hygiene_codes import HYGIENE_CODES

__all__ = ["CODES", "Code", "Severity"]

CODES: dict[str, Code] = {code.code: code for code in (*EMERGENCY_CODES, *HYGIENE_CODES)}


def codes_markdown() -> str:
    """Return the list of codes as it stands in docs/lint.md."""
    return "\n".join(_markdown(code) for code in CODES.values())


def _markdown(code: Code) -> str:
    example = f"\n```diff\n{code.example}```\n" if code.example else ""
    return (
        f"### {code.code} {code.name} ({code.severity})\n\n{code.title}. {code.why}\n\n**Mend:** {code.mend}\n{example}"
    )
