"""How well media arrived, for a person: one line for each RTP source of each flow."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firewall.engine.recording import endpoint_text, printable
from firewall.replay.media_report import FlowChange, FlowQuality, MediaTally

_SHOWN_FLOWS = 50
_HEADINGS = ("packets", "lost", "lost %", "jitter ms", "max ms")


def print_media(tally: MediaTally, console: Console) -> None:
    """Print the flows of calls and what was dropped; nothing where there was no media."""
    if not tally.flows:
        return
    table = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, title=Text("media", style="bold"), title_justify="left"
    )
    for heading, is_whole in (("call", False), ("from", True), ("to", True), ("medium", True), ("decided", False)):
        table.add_column(heading, overflow="fold", no_wrap=is_whole)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    # Emergency calls first, then what was dropped: they are what the question is about.
    ordered = sorted(tally.flows, key=lambda flow: (not flow.is_emergency, flow.verdict == "allow"))
    for flow in ordered[:_SHOWN_FLOWS]:
        _add_rows(table, flow)
    console.print(table)
    if len(ordered) > _SHOWN_FLOWS:
        console.print(Text(f"{len(ordered) - _SHOWN_FLOWS} more flows; --format json lists them all"), soft_wrap=True)
    dropped = ", ".join(f"{count} by {printable(reason)}" for reason, count in sorted(tally.refused.items()))
    told = f" ({dropped})" if dropped else ""
    console.print(Text(f"media packets: {tally.packets['allow']} passed, {tally.packets['drop']} dropped{told}"))
    console.print()


def print_flow_changes(changes: list[FlowChange], console: Console) -> None:
    """Print the media flows that only one of two policies lets pass; nothing where there are none."""
    if not changes:
        return
    console.print(Text(f"{len(changes)} media flows pass under one policy only:", style="bold"))
    for change in changes[:_SHOWN_FLOWS]:
        flow = change.before or change.after
        if flow is not None:
            ends = f"{endpoint_text(flow.src_ip, flow.src_port)} -> {endpoint_text(flow.dst_ip, flow.dst_port)}"
            what = f"  {printable(flow.call_id or '-')}: {printable(flow.kind)} {ends}: "
            console.print(Text(f"{what}{_outcome(change.before)} -> {_outcome(change.after)}"), soft_wrap=True)
    console.print()


def _outcome(flow: FlowQuality | None) -> str:
    if flow is None:
        return "left alone"
    return "passes" if flow.passed else f"{flow.verdict} ({flow.rule or flow.reason})"


def _add_rows(table: Table, flow: FlowQuality) -> None:
    decided = flow.verdict if flow.verdict == "allow" else f"{flow.verdict} {flow.rule or flow.reason}"
    source = endpoint_text(flow.src_ip, flow.src_port) if flow.src_port else flow.src_ip
    about = [
        Text(printable(flow.call_id or "-"), style="red" if flow.is_emergency and flow.verdict != "allow" else ""),
        Text(source),
        Text(endpoint_text(flow.dst_ip, flow.dst_port)),
        Text(f"{printable(flow.kind)} {flow.protocol}"),
        Text(decided, style="green" if flow.verdict == "allow" else "red"),
    ]
    if not flow.streams:
        table.add_row(*about, str(flow.packets), "", "", "", "")
    for stream in flow.streams:
        expected = stream.packets + stream.lost
        percent = f"{100 * stream.lost / expected:.1f}" if expected > 0 else ""
        jitter = (f"{stream.mean_jitter_ms:.3f}", f"{stream.max_jitter_ms:.3f}")
        table.add_row(*about, str(stream.packets), str(stream.lost), percent, *jitter)
