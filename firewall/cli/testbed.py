"""``sosgate testbed``: the three network namespaces, for hand work."""

from dataclasses import asdict
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from firewall.cli.printing import print_json
from firewall.live.testbed import NAMESPACES, NamespaceStatus, down, statuses, up

Format = Literal["table", "json"]


def testbed(
    action: Annotated[
        Literal["up", "down", "status"], typer.Argument(help="Make it, remove it, or show what is there.")
    ],
    output: Annotated[Format, typer.Option("--format", help="How status is printed.")] = "table",  # noqa: PT028 (the command is called testbed; it is no test)
) -> None:
    """Make, remove or show the testbed: carrier ── c0·f0 [fw] f1·p0 ── psap, as network namespaces."""
    match action:
        case "up":
            up()
            typer.echo(
                f"the testbed is up: namespaces {', '.join(NAMESPACES)}; "
                "run programs in one with: ip netns exec fw COMMAND"
            )
        case "down":
            removed = down()
            typer.echo(f"removed: {', '.join(removed)}" if removed else "there was no testbed")
        case "status":
            _show(statuses(), output)


def _show(found: tuple[NamespaceStatus, ...], output: Format) -> None:
    if output == "json":
        print_json({"namespaces": [asdict(status) for status in found]})
        return
    table = Table(title=r"carrier ── c0·f0 \[fw] f1·p0 ── psap", title_justify="left")
    for heading in ("namespace", "state", "interfaces", "addresses", "processes"):
        table.add_column(heading)
    colours = {"up": "green", "down": "dim", "foreign": "red"}
    for status in found:
        table.add_row(
            status.name,
            f"[{colours[status.state]}]{status.state}[/]",
            " ".join(status.interfaces),
            "\n".join(status.addresses),
            " ".join(map(str, status.processes)),
        )
    Console().print(table)
