"""``sosgate match``: which frames of a capture does an expression match?"""

import sys
from typing import Annotated, Literal

import msgspec
import typer

from firewall.cli.printing import print_json
from firewall.cli.replay import SipPorts, reading_progress
from firewall.errors import Place
from firewall.replay.match import MatchReport, match_expressions
from firewall.replay.source import check_captures
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.parse import parse_expression


def match(
    expression: Annotated[str, typer.Argument(metavar="EXPR", help="A display filter, as in a rule's when:.")],
    captures: Annotated[
        list[str], typer.Argument(metavar="PCAP", help="pcap or pcapng files, gzip too; - is standard input.")
    ],
    sip_port: SipPorts = None,
    output: Annotated[Literal["text", "json"], typer.Option("--format", help="How to print the frames.")] = "text",
) -> None:
    """Print the numbers of the frames that an expression matches, one per line (with the capture's name if several)."""
    condition = parse_expression(expression, sets={}, place=Place("EXPR", 1, 1))
    matches = compile_condition(condition)
    with reading_progress(check_captures(captures)) as progress:
        ports = frozenset(sip_port or ())
        reports = [report for path in captures for report in match_expressions(path, [matches], progress, ports)]
    if output == "json":
        print_json({"captures": [_document(report) for report in reports]})
        return
    for report in reports:
        prefix = f"{report.path}:" if len(reports) > 1 else ""
        sys.stdout.writelines(f"{prefix}{frame}\n" for frame in report.frames)
        for unreadable in report.unreadable:
            sys.stderr.write(f"{report.path}: packet {unreadable.packet}: {unreadable.reason}\n")


def _document(report: MatchReport) -> dict[str, object]:
    return {
        "path": report.path,
        "frames": report.frames,
        "unreadable": msgspec.to_builtins(report.unreadable),
    }
