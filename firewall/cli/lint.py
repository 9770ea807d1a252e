"""``sosgate lint``: can these rules block an emergency call?"""

import codecs
import difflib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from firewall.cli.policy_file import policy_of, read_policy_bytes, write_policy
from firewall.cli.printing import print_json, print_lines
from firewall.errors import PolicyError
from firewall.lint.examine import examine
from firewall.lint.finding import Finding, Report
from firewall.lint.mend import Mended, mend
from firewall.lint.outcome import Outcome, Unusable, all_findings, exit_code
from firewall.lint.rendering.document import lint_document
from firewall.lint.rendering.github import annotations
from firewall.lint.rendering.sarif import sarif_document
from firewall.lint.rendering.text import report_lines
from firewall.ruleset.emergency import wire_text

Format = Literal["text", "json", "sarif", "github"]

_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def lint(
    policies: Annotated[list[str], typer.Argument(metavar="POLICY", help="The policies to look at.")],
    output: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = "text",
    witness: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the call that is blocked, a capture for each finding, into DIR."),
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend what can be mended with certainty; write the files.")
    ] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Print what --fix would change, and write nothing.")] = False,
) -> None:
    """Look for emergency calls that a policy could block, before it is loaded.

    Exit code 0: none found (warnings are allowed); 1: findings of level error, or undecided; 2: a policy
    cannot be used.
    """
    if diff and (output != "text" or witness is not None):
        raise typer.BadParameter("--diff prints a diff and nothing else: leave out --format and --witness")
    if diff and fix:
        raise typer.BadParameter("--fix writes the files and --diff writes nothing: give one of them")
    look = _shown_as_diff if diff else _mended if fix else _examined
    outcomes = [_outcome(look, path) for path in policies]
    if not diff:
        _print(outcomes, output, witness)
    sys.stdout.flush()
    for outcome in outcomes:
        if isinstance(outcome, Unusable):
            sys.stderr.write(f"{outcome.error}\n")
    raise typer.Exit(exit_code(outcomes))


def examine_bytes(data: bytes, path: str) -> Report:
    """Load and examine a policy's bytes as if they stood in the file ``path``.

    Raises:
        PolicyError: it cannot be used.
    """
    policy = policy_of(data, path)
    return examine(policy, data.decode("utf-8-sig"))


def _outcome(look: Callable[[str], Report], path: str) -> Outcome:
    try:
        return look(path)
    except PolicyError as error:
        return Unusable(wire_text(path), error)


def _examined(path: str) -> Report:
    return examine_bytes(read_policy_bytes(path), path)


def _mended(path: str) -> Report:
    """Write what can be mended with certainty, and say what was and what was not."""
    before = read_policy_bytes(path)
    mended = _mend(before, path)
    after = _encoded(mended.text, before)
    if after != before:
        write_policy(path, before, after)
    for finding in mended.fixed:
        sys.stderr.write(f"fixed: {wire_text(path)}: {finding.code} {finding.kind.name}: {_fix_of(finding)}\n")
    for left in mended.left:
        finding = left.finding
        sys.stderr.write(f"not fixed: {finding.place}: {finding.code}: {_fix_of(finding)}: {left.why}\n")
    return mended.report


def _fix_of(finding: Finding) -> str:
    return finding.fix.description if finding.fix is not None else ""


def _shown_as_diff(path: str) -> Report:
    """Print the diff; the report is that of the file as it is."""
    before = read_policy_bytes(path)
    mended = _mend(before, path)
    console = Console(highlight=False, soft_wrap=True)
    for line in _diff(before.decode("utf-8-sig"), mended.text, path):
        if console.is_terminal:
            console.print(Text(line.rstrip("\r\n"), _DIFF_STYLES.get(line[:1], "")))
        else:  # byte for byte, so that patch takes it for a file with CRLF too
            sys.stdout.write(line if line.endswith("\n") else f"{line}\n")
    return mended.before


def _mend(data: bytes, path: str) -> Mended:
    policy_of(data, path)  # so that what is no text is refused with its place
    return mend(data.decode("utf-8-sig"), lambda text: examine_bytes(text.encode(), path))


def _encoded(text: str, before: bytes) -> bytes:
    mark = codecs.BOM_UTF8 if before.startswith(codecs.BOM_UTF8) else b""
    return mark + text.encode()


def _diff(before: str, after: str, path: str) -> Iterator[str]:
    for line in difflib.unified_diff(before.splitlines(True), after.splitlines(True), path, path):
        yield line
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def _print(outcomes: list[Outcome], output: Format, witness: Path | None) -> None:
    """Print the findings."""
    captures = _captures(outcomes, witness)
    match output:
        case "text":
            _print_text(outcomes, captures, show_messages=witness is not None)
        case "json":
            print_json(lint_document(outcomes, captures))
        case "sarif":
            print_json(sarif_document(outcomes))
        case "github":
            sys.stdout.writelines(f"{line}\n" for line in annotations(outcomes))


def _captures(outcomes: list[Outcome], folder: Path | None) -> dict[Finding, str]:
    if folder is None:
        return {}
    from firewall.lint.witness_capture import write_witnesses

    return write_witnesses(all_findings(outcomes), folder)


def _print_text(outcomes: list[Outcome], captures: dict[Finding, str], *, show_messages: bool) -> None:
    if all(isinstance(outcome, Unusable) for outcome in outcomes):
        return  # the sentences on stderr say it all
    print_lines(partial(report_lines, outcomes, captures, show_messages))
