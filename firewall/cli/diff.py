"""``sosgate diff``: what do these two policies decide differently?"""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from firewall.cli.policy_file import read_policy
from firewall.cli.printing import print_json, print_lines
from firewall.lint.difference import Difference, difference
from firewall.lint.rendering.difference import difference_document, difference_lines


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The policy as it was.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The policy as it shall be.")],
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print the changes.")] = "text",
    witness: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the messages that show each change, a capture each, into DIR."),
    ] = None,
) -> None:
    """Tell what changes in meaning from one policy to another, emergency calls first.

    Exit code 0: it is proved that nothing does; 1: something does, or that is not decided; 2: a policy cannot be used.
    """
    found = difference(read_policy(old), read_policy(new))
    captures = _captures(found, witness)
    match output:
        case "text":
            print_lines(partial(difference_lines, found, captures))
        case "json":
            print_json(difference_document(found, captures))
    sys.stdout.flush()
    raise typer.Exit(found.exit_code)


def _captures(found: Difference, folder: Path | None) -> dict[int, str]:
    if folder is None:
        return {}
    from firewall.lint.witness_capture import write_captures

    return dict(enumerate(write_captures([change.sent for change in found.changes], "change", folder)))
