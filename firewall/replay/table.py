"""A replay's findings for a person: what the captures held, what decided, who was hurt and what to do."""

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firewall.engine.record import DecisionFields
from firewall.engine.recording import printable
from firewall.errors import Place
from firewall.replay.media_report import flow_changes
from firewall.replay.media_table import print_flow_changes, print_media
from firewall.replay.remedy import remedy
from firewall.replay.report import Change, HurtCall, PolicyTally, ReplayReport, sip_summary

_SHOWN_UNREADABLE = 5
_SHOWN_CALLS = 50
_SHOWN_CHANGES = 50
_PIPED_WIDTH = 240  # no call or reason is folded, which would be found no more
_VERDICT_STYLES = {"allow": "green", "drop": "red", "reject": "red"}


def print_replay(report: ReplayReport, console: Console) -> None:
    """Print the findings; readable without colours too."""
    if not console.is_terminal:
        console.width = _PIPED_WIDTH
    _print_captures(report, console)
    _print_deciders(report.policy, console)
    if report.against is not None:
        _print_deciders(report.against, console)
        _print_changes(report, console)
        print_flow_changes(flow_changes(report.policy.media, report.against.media), console)
    print_media(report.policy.media, console)
    if report.against is None:
        _print_summary(report.policy, console)
    else:
        for tally in (report.policy, report.against):
            _print_summary(tally, console, by=_policy(tally))
    _print_hurt_calls(report.policy, console)
    _print_undecided(report, console)


def _print_captures(report: ReplayReport, console: Console) -> None:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("capture", overflow="fold")
    for heading in ("packets", "SIP messages", "RTP packets", "copies", "unreadable"):
        table.add_column(heading, justify="right")
    for capture in report.captures:
        counts = (capture.packets, capture.sip_messages, capture.rtp_packets, capture.copies, len(capture.unreadable))
        table.add_row(Text(capture.path), *(str(count) for count in counts))
    console.print(table)
    for capture in report.captures:
        for unreadable in capture.unreadable[:_SHOWN_UNREADABLE]:
            _line(console, f"{capture.path}: packet {unreadable.packet}: {unreadable.reason}", "yellow")
        if len(capture.unreadable) > _SHOWN_UNREADABLE:
            more = len(capture.unreadable) - _SHOWN_UNREADABLE
            _line(console, f"{capture.path}: {more} more packets; --format json lists them all", "yellow")
    console.print()


def _print_deciders(tally: PolicyTally, console: Console) -> None:
    policy = tally.policy
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title=Text(f"policy {policy.name} ({policy.file})", style="bold"),
        title_justify="left",
    )
    table.add_column("verdict")
    table.add_column("rule or reason", overflow="fold")
    table.add_column("place", overflow="fold")
    table.add_column("messages", justify="right")
    for (verdict, rule, reason, line), messages in sorted(
        tally.deciders.items(), key=lambda item: (item[0][0], -item[1], item[0][1], item[0][2])
    ):
        decider = _decider(rule or None, reason)
        place = str(Place(policy.file, line)) if line is not None else ""
        style = _VERDICT_STYLES.get(verdict, "")
        table.add_row(Text(verdict, style=style), Text(decider), Text(place), str(messages))
    console.print(table)
    console.print()


def _print_changes(report: ReplayReport, console: Console) -> None:
    changed = report.changed
    if not changed:
        _line(console, "no message is decided differently", "green")
        console.print()
        return
    against = _policy(report.against) if report.against else ""
    _line(console, f"{len(changed)} messages are decided differently by {against}:", "bold")
    # Emergency calls first: they are what the question is about.
    for change in sorted(changed, key=lambda change: change.emergency is None)[:_SHOWN_CHANGES]:
        _line(console, _change_text(change), "red" if change.emergency else "")
    if len(changed) > _SHOWN_CHANGES:
        _line(console, f"  {len(changed) - _SHOWN_CHANGES} more; --format json lists them all")
    console.print()


def _change_text(change: Change) -> str:
    decisions = [_decision_text(decision) for decision in (change.before, change.after)]
    mark = "emergency " if change.emergency else ""
    where = f"{change.capture} packet {change.packet}"
    return f"  {where}: {mark}{printable(sip_summary(change.sip))}: {decisions[0]} -> {decisions[1]}"


def _decision_text(decision: DecisionFields | None) -> str:
    if decision is None:
        return "not signalling"
    guarded = "" if decision.enforced else "; the guard lets it pass"
    return f"{decision.verdict} ({_decider(decision.rule, decision.reason)}{guarded})"


def _policy(tally: PolicyTally) -> str:
    """Return how a policy is told from another: two versions of one have its name."""
    return f"{tally.policy.name} ({tally.policy.file})"


def _print_summary(tally: PolicyTally, console: Console, by: str | None = None) -> None:
    """Print what became of the emergency calls; ``by`` names the policy where there are two."""
    name = by or tally.policy.name
    outcomes = ", ".join(f"{count} {outcome.replace('_', ' ')}" for outcome, count in tally.by_outcome.items())
    told = f" ({outcomes})" if outcomes else ""
    hurt = tally.hurt
    if tally.trunks_taken_down:
        text = f"{tally.trunks_taken_down} emergency calls failed downstream after {name} had blocked OPTIONS"
        _line(console, f"{text} of their trunk; sosgate explain CALL-ID --log F tells each.", "bold red")
    if not hurt:
        _line(console, f"Emergency calls: {tally.calls}{told}. None was hurt by {name}.", "bold green")
        return
    saved = f", {tally.guarded} of them let through by the guard" if tally.guarded else ""
    _line(
        console,
        f"Emergency calls: {tally.calls}{told}. HURT{f' by {by}' if by else ''}: {len(hurt)}{saved}.",
        "bold red",
    )


def _print_hurt_calls(tally: PolicyTally, console: Console) -> None:
    hurt = list(tally.hurt.values())
    for call in hurt[:_SHOWN_CALLS]:
        console.print()
        _print_hurt(call, console)
    if len(hurt) > _SHOWN_CALLS:
        _line(console, f"  {len(hurt) - _SHOWN_CALLS} more; --format json lists them all")


def _print_undecided(report: ReplayReport, console: Console) -> None:
    cut = sum(capture.cut_messages for capture in report.captures)
    if cut:
        told = (
            f"{cut} SIP messages are cut by a snapshot length and were NOT judged; capture whole frames (tcpdump -s 0)."
        )
        _line(console, told, "bold yellow")


def _print_hurt(call: HurtCall, console: Console) -> None:
    _line(console, f"{call.timestamp}  {call.src} -> {call.dst}  {printable(call.message)}", "bold")
    done = {"drop": "dropped", "reject": "rejected"}.get(call.verdict, call.verdict)
    place = Place(call.file, call.line)
    guarded = "" if call.enforced else "; the guard let it pass"
    _line(console, f"    {done} by {_decider(call.rule, call.reason)}, {place}{guarded}", "red")
    _line(console, f"    emergency: {printable(', '.join(call.emergency.evidence))}")
    packet = f"packet {call.packet} of " if call.packet is not None else ""
    _line(console, f"    call {printable(call.call_id or 'without Call-ID')}, {packet}{call.capture}")
    _line(console, f"    to do: {remedy(call.rule, call.reason, place, call.src_ip)}")


def _decider(rule: str | None, reason: str) -> str:
    if rule is None:
        return {"default": "the default"}.get(reason, f"reason {reason}")
    return f'{"the ban of " if reason == "banned" else ""}rule "{rule}"'


def _line(console: Console, text: str, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=True)
