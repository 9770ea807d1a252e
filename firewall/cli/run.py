"""``sosgate run``: the daemon."""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from firewall.cli.log_option import no_stream
from firewall.cli.policy_file import read_policy
from firewall.errors import OperatorError, Place
from firewall.live.daemon import Settings, run_daemon


def run(
    policy: Annotated[Path, typer.Option("--policy", "-p", help="The policy file; read again at SIGHUP.")],
    log: Annotated[
        Path | None,
        typer.Option("--log", callback=no_stream, help="The decision log (JSON Lines); reopened at SIGHUP."),
    ] = None,
    control: Annotated[Path | None, typer.Option("--control", help="The control socket for sosgate ctl.")] = None,
) -> None:
    """Run the firewall in this network namespace, until SIGTERM or Ctrl-C."""
    if log is not None and os.path.realpath(log) == os.path.realpath(policy):
        raise OperatorError(
            "the log would be written into the policy", place=Place(str(policy)), next_step="name another file"
        )
    run_daemon(Settings(load=partial(read_policy, str(policy), is_lasting=True), log=log, control=control))
