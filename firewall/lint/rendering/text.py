"""A report for a terminal: each finding with its source lines, why, the call, and the way out."""

from collections.abc import Iterator, Sequence

from firewall.engine.recording import printable
from firewall.lint.finding import Finding, Report
from firewall.lint.outcome import Outcome, Unusable
from firewall.lint.probe import replays_without_interfaces
from firewall.lint.rendering.excerpt import change_lines, excerpt_lines
from firewall.lint.rendering.label import Line, labelled, usable_width
from firewall.lint.rendering.sentence import extent_sentence, witness_sentence
from firewall.ruleset.policy import Policy

_STYLES = {"error": "bold red", "warning": "bold yellow", "info": "bold cyan"}
_VERDICT_STYLES = {"refuted": "bold red", "undecided": "bold yellow"}


def report_lines(
    outcomes: list[Outcome],
    captures: dict[Finding, str],
    show_messages: bool,
    width: int | None = None,
) -> Iterator[Line]:
    """Yield every line; the last one of each file says what was examined.

    ``width`` is the terminal's, in cells: sentences are folded and source lines cut to fit. None: as long as they are.
    """
    width = usable_width(width)
    for outcome in outcomes:
        if isinstance(outcome, Unusable):
            yield (("unusable", "bold red"), (f": {outcome.file}: nothing is proved", ""))
            continue
        source = outcome.text.split("\n")
        for finding in outcome.findings:
            lines = source if finding.place.file == outcome.policy.file else ()
            yield from _finding_lines(finding, lines, width)
            yield from _witness_lines(finding, outcome.policy, captures.get(finding), width, show_message=show_messages)
            yield from _help_lines(finding, lines, width)
            yield ()
        yield _summary(outcome)


def _finding_lines(finding: Finding, lines: Sequence[str], width: int | None) -> Iterator[Line]:
    kind = finding.kind
    style = _STYLES[kind.severity]
    yield (
        (f"{finding.place}: ", "bold"),
        (f"{kind.severity}[{kind.code}]", style),
        (f" {kind.name}: ", "bold"),
        (finding.message, ""),
    )
    yield from excerpt_lines(finding, lines, style, width)
    for because in finding.because:
        yield from _labelled("because", because, width)


def _witness_lines(
    finding: Finding, policy: Policy, capture: str | None, width: int | None, *, show_message: bool
) -> Iterator[Line]:
    witness = finding.witness
    if witness is None:
        return
    yield from _labelled("witness", witness_sentence(witness), width)
    if capture is not None:
        yield from _labelled("capture", f"{capture} (messages: {len(witness.sent)})", width)
        if not replays_without_interfaces(policy, witness):
            note = "a capture names no interface, and zones without networks need one: give replay networks"
            yield from _labelled("note", note, width)
    if show_message:
        for line in witness.text.replace("\r\n", "\n").rstrip("\n").split("\n"):
            yield (("      | ", "blue"), (printable(line), "dim"))


def _help_lines(finding: Finding, lines: Sequence[str], width: int | None) -> Iterator[Line]:
    yield from _labelled("help", f"{finding.help} (sosgate explain {finding.code})", width, "green")
    fix = finding.fix
    if fix is not None:
        how = "sosgate lint --fix" if fix.is_certain else "for a person to decide"
        yield from _labelled("fix", f"{fix.description} ({how})", width, "green")
        yield from change_lines(fix, lines, width)


def _labelled(label: str, text: str, width: int | None, style: str = "") -> Iterator[Line]:
    return labelled(f"  {label:<8}: ", text, width, style)


def _summary(report: Report) -> Line:
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in report.findings:
        counts[finding.kind.severity] += 1
    told = [f"{count} {name}{'s' * (count > 1 and name != 'info')}" for name, count in counts.items() if count]
    if report.suppressed:
        told.append(f"{len(report.suppressed)} ignored by comments")
    found = f"; {', '.join(told)}" if told else ""
    extent = extent_sentence(report.extent)
    style = _VERDICT_STYLES.get(report.result, "bold green")
    return ((report.result, style), (f": {report.policy.file}: {extent}{found}", ""))
