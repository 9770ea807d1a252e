"""Every code of lint with its words: the only list. docs/lint-codes.md is generated from it.

SOS1xx: an emergency call can be hurt, shown by a call that the engine blocks. SOS2xx: the rules' own hygiene.
SOS0xx: the policy cannot be used at all. A code is never used again for something else.
"""

from firewall.lint.code import Code, Severity
from firewall.lint.emergency_codes import EMERGENCY_CODES
from firewall.lint.hygiene_codes import HYGIENE_CODES

__all__ = ["CODES", "Code", "Severity"]

_HEAD = """\
# Findings of `sosgate lint`

One for each code, as `sosgate explain SOS101` prints it. This page is generated from the list that lint works with;
[lint.md](lint.md) says how a finding is read, mended and ignored.
"""
CODES: dict[str, Code] = {code.code: code for code in (*EMERGENCY_CODES, *HYGIENE_CODES)}


def codes_page() -> str:
    """Return the page of all codes, in Markdown."""
    return "\n".join((_HEAD, *map(_markdown, CODES.values())))


def _markdown(code: Code) -> str:
    example = f"\n```diff\n{code.example}```\n" if code.example else ""
    return (
        f"## {code.code} {code.name} ({code.severity})\n\n{code.title}. {code.why}\n\n**Mend:** {code.mend}\n{example}"
    )
