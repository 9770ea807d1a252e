"""``sosgate ctl``: ask a running daemon."""

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from firewall.live.control import Refused, ask

EXIT_REFUSED = 1


class Command(StrEnum):
    """What can be asked."""

    STATUS = "status"
    CALLS = "calls"


def ctl(
    command: Annotated[Command, typer.Argument(help="What to ask.")],
    control: Annotated[Path, typer.Option("--control", help="The control socket that sosgate run was given.")],
) -> int:
    """Ask a running daemon and print its answer as JSON."""
    try:
        answer = ask(control, command.value)
    except Refused as refused:
        sys.stderr.write(f"error: the daemon refused: {refused}\n")
        return EXIT_REFUSED
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0
