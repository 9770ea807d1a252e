"""``sosgate lsp``: the language server, on stdin and stdout."""

import logging
import os
import sys
from typing import Annotated

import typer

from firewall.cli.lint import examine_bytes


def lsp(
    _stdio: Annotated[
        bool,
        typer.Option(
            "--stdio", show_default=False, help="Talk on stdin and stdout, as it always does; editors like to say so."
        ),
    ] = True,
) -> None:
    """Show lint's findings in an editor while a policy is written (Language Server Protocol on stdin and stdout).

    Exit code 0: the editor said good-bye; 1: it went away without.
    """
    from firewall.lsp.protocol import OneLine
    from firewall.lsp.server import new_server

    log = logging.StreamHandler()
    log.setFormatter(OneLine())
    logging.getLogger("pygls").addHandler(log)
    server = new_server(lambda text, path: examine_bytes(text.encode("utf-8", "surrogatepass"), path))
    # A descriptor of its own: the server closes it at the end, and a stray print cannot get between its messages.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as answers:
        server.start_io(sys.stdin.buffer, answers)
    raise typer.Exit(0 if server.was_told_to_stop else 1)
