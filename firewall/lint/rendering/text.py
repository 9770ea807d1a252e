"""A report for a terminal: each finding with its source line, why, the call, and the way out."""

from collections.abc import Callable, Iterator, Sequence

from firewall.engine.recording import printable
from firewall.lint.finding import Finding, Report
from firewall.lint.outcome import Outcome, Unusable
from firewall.lint.probe import replays_without_interfaces
from firewall.lint.rendering.sentence import extent_sentence, witness_sentence
from firewall.ruleset.policy import Policy

Line = tuple[tuple[str, str], ...]
"""Pieces of one line, each with its style (rich's words; "" is plain)."""

SourceLines = Callable[[str], Sequence[str]]
"""Gives the lines of a file; () when it cannot be read."""

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_LABEL_WIDTH = 8


def report_lines(
    outcomes: list[Outcome], source: SourceLines, captures: dict[Finding, str], *, show_messages: bool
) -> Iterator[Line]:
    """Yield every line; the last one of each file says what was examined."""
    for outcome in outcomes:
        if isinstance(outcome, Unusable):
            yield (("unusable", "bold red"), (f": {outcome.file}: no emergency call was tried", ""))
            continue
        for finding in outcome.findings:
            yield from _finding_lines(
                finding, source, captures.get(finding), outcome.policy, show_message=show_messages
            )
            yield ()
        yield _summary(outcome)


def _finding_lines(
    finding: Finding, source: SourceLines, capture: str | None, policy: Policy, *, show_message: bool
) -> Iterator[Line]:
    kind, place = finding.kind, finding.place
    style = _STYLES[kind.severity]
    yield (
        (f"{place}: ", "bold"),
        (f"{kind.severity}[{kind.code}]", style),
        (f" {kind.name}: ", "bold"),
        (finding.message, ""),
    )
    yield from _quoted(finding, source, style)
    for because in finding.because:
        yield _labelled("because", because)
    if finding.witness is not None:
        yield _labelled("witness", witness_sentence(finding.witness))
        if capture is not None:
            yield _labelled("capture", f"{capture} (messages: {len(finding.witness.sent)})")
            if not replays_without_interfaces(policy, finding.witness):
                yield _labelled(
                    "note", "a capture names no interface, and zones without networks need one: give replay networks"
                )
        if show_message:
            for line in finding.witness.text.replace("\r\n", "\n").rstrip("\n").split("\n"):
                yield (("      | ", "blue"), (printable(line), "dim"))
    yield _labelled("help", f"{finding.help} (sosgate explain {kind.code})", "green")


def _quoted(finding: Finding, source: SourceLines, style: str) -> Iterator[Line]:
    place = finding.place
    lines = source(place.file)
    if place.line is None or not 0 < place.line <= len(lines):
        return
    text = lines[place.line - 1].rstrip()
    column = place.column or len(text) - len(text.lstrip()) + 1
    shown = text.partition(" #")[0].rstrip()
    yield ((f"{place.line:>5} | ", "blue"), (printable(text), ""))
    yield (("      | ", "blue"), (" " * (column - 1) + "^" * max(1, len(shown) - column + 1), style))


def _labelled(label: str, text: str, style: str = "") -> Line:
    return ((f"  {label:<{_LABEL_WIDTH}}: ", "blue"), (text, style))


def _summary(report: Report) -> Line:
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in report.findings:
        counts[finding.kind.severity] += 1
    told = ", ".join(f"{count} {name}{'s' * (count > 1 and name != 'info')}" for name, count in counts.items() if count)
    found = f"; {told}" if told else ""
    extent = extent_sentence(report.extent)
    if report.result == "refuted":
        return (("refuted", "bold red"), (f": {report.policy.file}: {extent}{found}", ""))
    return (("clean", "bold green"), (f": {report.policy.file}: {extent}; this is not yet a proof{found}", ""))
