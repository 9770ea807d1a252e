"""``sosgate replay``: which calls would these rules have blocked?"""

import dataclasses
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Annotated, Literal

import typer
from rich.console import Console

from firewall.cli.log_option import no_stream
from firewall.cli.policy_file import read_policy
from firewall.cli.printing import print_json
from firewall.net.datagram import MAX_PORT
from firewall.replay.document import replay_document
from firewall.replay.driver import replay as replay_captures
from firewall.replay.log import open_log
from firewall.replay.source import check_captures
from firewall.replay.table import print_replay
from firewall.ruleset.policy import Policy

EXIT_HURT = 1
_COLLECT_AFTER = 2_000_000
"""Objects made and kept between two collections: calls and flows are many, and next to nothing of them is garbage."""


SipPorts = Annotated[
    list[int] | None,
    typer.Option(
        min=1,
        max=MAX_PORT,
        metavar="PORT",
        help="A signalling port beside the policy's (5060 where there is none); repeat.",
    ),
]


def replay(
    captures: Annotated[
        list[str], typer.Argument(metavar="PCAP", help="pcap or pcapng files, gzip too; - is standard input.")
    ],
    policy: Annotated[
        str, typer.Option("--policy", "-p", metavar="FILE", help="The policy to replay the traffic under.")
    ],
    against: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A second policy: also show which messages it decides differently."),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            callback=no_stream,
            help="Write the decision log here, as the daemon would have (JSON Lines).",
        ),
    ] = None,
    sip_port: SipPorts = None,
    output: Annotated[Literal["table", "json"], typer.Option("--format", help="How to print the findings.")] = "table",
    continuous: Annotated[
        bool,
        typer.Option(
            "--continuous", help="The captures are parts of one recording, in this order; not each one of its own."
        ),
    ] = False,
    takeover: Annotated[
        bool,
        typer.Option(
            "--takeover",
            help="Calls were in progress when the capture began: let unknown in-dialog messages follow for an hour, "
            "as the daemon does after a restart.",
        ),
    ] = False,
) -> None:
    """Run the engine on recorded traffic. Exit code 1: the rules hurt an emergency call, guard or no guard."""
    rules = _with_ports(read_policy(policy), sip_port)
    other = _with_ports(read_policy(against), sip_port) if against is not None else None
    size_bytes = check_captures(captures)
    with (
        _rare_collections(),
        open_log(log) if log is not None else nullcontext() as write,
        reading_progress(size_bytes) as progress,
    ):
        report = replay_captures(
            captures, rules, against=other, continuous=continuous, takeover=takeover, log=write, progress=progress
        )
    if output == "json":
        print_json(replay_document(report))
    else:
        print_replay(report, Console())
    if report.policy.hurt:
        raise typer.Exit(EXIT_HURT)


def _with_ports(policy: Policy, ports: list[int] | None) -> Policy:
    return dataclasses.replace(policy, signalling_ports=policy.signalling_ports | frozenset(ports or ()))


@contextmanager
def _rare_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def reading_progress(size_bytes: int) -> Iterator[Callable[[int], None] | None]:
    """Show on a terminal's stderr how far the reading has come; show nothing elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal or not size_bytes:
        yield None
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("reading"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=size_bytes)

        def advance(read_bytes: int) -> None:
            bar.advance(task, read_bytes)

        yield advance
