"""What the demo shows: a story in steps, for a terminal of any width, and plain text where it is piped."""

import difflib
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from firewall.cli.demo_calls import DISPATCH_CENTRE, SCANNER, TRUNK
from firewall.engine.record import LogRecord

_INDENT = "   "
_CONTEXT_LINES = 1
_MAX_WIDTH = 110
_REASONS_IN_SHORT = {"reject_ack": "the ACK to that reject"}


class Screen:
    """Prints the demo's story. Everything from files and calls is shown as it is, never read as markup."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        if not sys.stdout.isatty():
            self._console.width = _MAX_WIDTH
        self._console.width = min(self._console.width, _MAX_WIDTH)
        self._steps = 0

    def title(self, text: str) -> None:
        """Begin."""
        self._console.print(Text(text, style="bold"))

    def step(self, text: str) -> None:
        """Begin the next step of the story."""
        self._steps += 1
        self._console.print()
        self._console.print(Text(f"{self._steps}. {text}", style="bold cyan"))

    def say(self, text: str, style: str = "") -> None:
        """Say something, wrapped to the width and indented."""
        for line in textwrap.wrap(text, self._console.width - len(_INDENT), break_on_hyphens=False) or [""]:
            self._quote(line, style)

    def command(self, line: str) -> None:
        """Show a command as a person would type it."""
        self._quote(f"$ {line}", "bold")

    def _quote(self, line: str, style: str) -> None:
        """Show one line as it is; the terminal wraps it where it is too long."""
        self._console.print(Text(_INDENT + line, style=style), soft_wrap=True)

    def network(self) -> None:
        """Show who is where."""
        self._quote(f"carrier {TRUNK} ───┬── f0 [ firewall ] f1 ── {DISPATCH_CENTRE} dispatch centre", "")
        self._quote(f"scanner {SCANNER} ─┘", "")

    def policy_lines(self, policy: Path, line: int) -> None:
        """Quote the policy where a rule stands, with the line marked."""
        lines = policy.read_text().splitlines()
        end = line
        while end < len(lines) and lines[end].startswith("    "):
            end += 1
        for number in range(max(1, line - _CONTEXT_LINES), end + 1):
            marked = number == line
            text = f"{'>' if marked else ' '} {number:3} │ {lines[number - 1]}"
            self._quote(text, "bold red" if marked else "dim")

    def alarm(self, message: str, delay_s: float) -> None:
        """Show the alarm as it stands in the log."""
        self.say(f"ALARM, {1000 * delay_s:.0f} ms after the message reached the firewall:", "bold red")
        self.say(message, "red")

    def ladder(self, decisions: Sequence[LogRecord]) -> None:
        """Show a call, message by message, as a ladder: caller, firewall, dispatch centre."""
        self._console.print()
        self._quote(f"{'caller':<12}{'firewall':^34}{'dispatch centre':>16}", "dim")
        for decision in decisions:
            self._quote(*_rung(decision))

    def finding(self, finding: dict[str, Any]) -> None:
        """Show a finding of lint."""
        place = ":".join(str(finding[part]) for part in ("file", "line", "column") if finding.get(part) is not None)
        self.say(f"{place}: {finding['severity']}[{finding['code']}] {finding['name']}", "bold red")
        self.say(finding["message"])
        if witness := finding.get("witness"):
            self.say(f"witness: {witness['summary']}")
            self.say(f"         {witness['pcap']}")
        if finding.get("help"):
            self.say(f"help: {finding['help']}", "green")

    def difference(self, old: Path, new: Path) -> None:
        """Show what was mended, as a diff."""
        styles = {"+": "green", "-": "red", " ": "dim"}
        for line in difflib.unified_diff(_rules(old), _rules(new), lineterm="", n=1):
            if not line.startswith(("---", "+++", "@@")):
                self._quote(line, styles[line[0]])

    def counts(self, heading: str, rows: Sequence[tuple[str, str, bool]]) -> None:
        """Show what became of the calls: what, how many got through, whether that is as it should be."""
        self.say(heading)
        self._table([(what, Text(became, "green" if good else "bold red")) for what, became, good in rows], indent=5)

    def before_and_after(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """Show the two rounds side by side."""
        self._table(rows, headings=("", "broken policy", "mended policy"))

    def kept(self, folder: Path, files: Sequence[tuple[str, str]]) -> None:
        """Name the files that stay."""
        self._table([(str(folder / name), Text(what, "dim")) for name, what in files])

    def _table(self, rows: Sequence[Sequence[str | Text]], *, headings: Sequence[str] = (), indent: int = 3) -> None:
        table = Table(
            *headings, box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=bool(headings), header_style="bold"
        )
        for row in rows:
            table.add_row(*row)
        self._console.print(Padding(table, (0, 0, 0, indent), expand=False))


def _rules(policy: Path) -> list[str]:
    """Return a policy's lines without the comments that stand at the margin."""
    return [line for line in policy.read_text().splitlines() if not line.startswith("#")]


def _rung(decision: LogRecord) -> tuple[str, str]:
    """Return one message of a ladder, and its style."""
    sip, verdict = decision["sip"] or {}, decision["decision"]
    name = sip.get("method") if sip.get("request_line") else f"{sip.get('code')} {sip.get('reason')}"
    from_caller = decision["src_ip"] != DISPATCH_CENTRE
    passed = verdict["verdict"] == "allow" or not verdict["enforced"]
    if passed and from_caller:
        return f"  │{f' {name} ':─^58}▶│", "green"
    if passed:
        return f"  │◀{f' {name} ':─^58}│", "green"
    by = (
        f'{verdict["verdict"]}: rule "{verdict["rule"]}"'
        if verdict["rule"]
        else _REASONS_IN_SHORT.get(verdict["reason"], f"{verdict['verdict']}: {verdict['reason']}")
    )
    if from_caller:
        return f"  │{f' {name} ':─^26}▶✗  {by}", "red"
    return f"  │  {by:>24}  ✗◀{f' {name} ':─^30}│", "red"
