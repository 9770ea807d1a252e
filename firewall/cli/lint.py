"""``sosgate lint``: can these rules block an emergency call?"""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from firewall.cli.policy_file import read_policy
from firewall.errors import PolicyError
from firewall.lint.check import lint_policy
from firewall.lint.finding import Finding
from firewall.lint.outcome import Outcome, Unusable, all_findings, exit_code
from firewall.lint.rendering.document import lint_document
from firewall.lint.rendering.github import annotations
from firewall.lint.rendering.sarif import sarif_document
from firewall.lint.rendering.text import report_lines


class LintFormat(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def lint(
    policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="The policies to look at.")],
    output: Annotated[LintFormat, typer.Option("--format", help="How to print the findings.")] = LintFormat.TEXT,
    witness: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the call that is blocked, a capture for each finding, into DIR."),
    ] = None,
) -> None:
    """Look for emergency calls that a policy could block, before it is loaded.

    Exit code 0: none found (warnings are allowed); 1: findings of level error; 2: a policy cannot be used.
    """
    outcomes = [_outcome(path) for path in policies]
    captures = _captures(outcomes, witness)
    match output:
        case LintFormat.TEXT:
            _print_text(outcomes, captures, show_messages=witness is not None)
        case LintFormat.JSON:
            sys.stdout.write(json.dumps(lint_document(outcomes, captures), indent=2) + "\n")
        case LintFormat.SARIF:
            sys.stdout.write(json.dumps(sarif_document(outcomes), indent=2) + "\n")
        case LintFormat.GITHUB:
            sys.stdout.writelines(f"{line}\n" for line in annotations(outcomes))
    sys.stdout.flush()
    for outcome in outcomes:
        if isinstance(outcome, Unusable):
            sys.stderr.write(f"{outcome.error}\n")
    raise typer.Exit(exit_code(outcomes))


def _outcome(path: str) -> Outcome:
    try:
        return lint_policy(read_policy(path))
    except PolicyError as error:
        return Unusable(path, error)


def _captures(outcomes: list[Outcome], folder: Path | None) -> dict[Finding, str]:
    if folder is None:
        return {}
    from firewall.lint.witness_capture import write_witnesses

    return write_witnesses(all_findings(outcomes), folder)


def _print_text(outcomes: list[Outcome], captures: dict[Finding, str], *, show_messages: bool) -> None:
    if all(isinstance(outcome, Unusable) for outcome in outcomes):
        return  # the sentences on stderr say it all
    console = Console(highlight=False, soft_wrap=True)
    for line in report_lines(outcomes, _source_lines, captures, show_messages=show_messages):
        console.print(Text.assemble(*line))


@lru_cache(maxsize=8)
def _source_lines(path: str) -> Sequence[str]:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
