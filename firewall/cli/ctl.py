"""``sosgate ctl``: ask a running daemon."""

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from firewall.live.control import Refused, ask

EXIT_REFUSED = 1


def ctl(
    command: Annotated[Literal["status", "calls"], typer.Argument(help="What to ask.")],
    control: Annotated[Path, typer.Option("--control", help="The control socket that sosgate run was given.")],
) -> int:
    """Ask a running daemon and print its answer as JSON."""
    try:
        answer = ask(control, command)
    except Refused as refused:
        sys.stderr.write(f"error: the daemon refused: {refused}\n")
        return EXIT_REFUSED
    typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    return 0
