"""A call's story as a person reads it: a ladder with the caller on the left, then outcome, cause and mend."""

from rich.console import Console
from rich.text import Text

from firewall.engine.recording import escaped
from firewall.replay.story import Step, Story

_COLOURS = {"allow": "green", "drop": "red", "reject": "red"}
_TOWARDS, _BACK = "──▶", "◀──"
_BLOCKED_TOWARDS, _BLOCKED_BACK = "──✗", "✗──"


def print_story(story: Story) -> None:
    """Print the ladder of a call, what became of it, the cause and what to change.

    What a sender wrote is escaped: nobody may colour, move or hide a line of it.
    """
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(escaped(f"{story.kind} {story.call_id}"), style="bold"))
    for phrase in story.evidence:
        console.print(Text(escaped(f"  emergency because: {phrase}")))
    for piece in story.carried:
        console.print(Text(escaped(f"  carries: {piece}")))
    console.print(Text(f"  first message: {story.steps[0].at}" if story.steps else "  no message of it is in this log"))
    for line in _ladder(story.steps) if story.steps else ():
        console.print(line)
    for flow in story.media:
        console.print(Text("media: ", style="bold").append(Text(escaped(flow), style="")))
    outcome = " / ".join(part for part in (story.outcome, story.problem) if part)
    for label, text in (
        ("outcome", outcome),
        ("attribution", story.attribution),
        ("cause", story.cause),
        ("mend", story.mend),
        ("also", story.others),
    ):
        if text:
            console.print(Text(f"{label}: ", style="bold").append(Text(escaped(text), style="")))


def _ladder(steps: tuple[Step, ...]) -> list[Text]:
    """Return one line per message, in columns as wide as they need to be."""
    caller = _ip(steps[0].source)
    rows = [
        (f"{step.seconds:+10.3f} s", _ends(step, caller), escaped(step.message), step.verdict, step.because)
        for step in steps
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        line = Text("  ".join(text.ljust(width) for text, width in zip(row[:3], widths[:3], strict=True)) + "  ")
        colour = _COLOURS.get(row[3].partition(",")[0], "yellow")
        lines.append(line.append(row[3].ljust(widths[3]), style=colour).append(f"  {row[4]}"))
    return lines


def _ip(endpoint: str) -> str:
    return endpoint.rpartition(":")[0]


def _ends(step: Step, caller: str) -> str:
    if _ip(step.destination) != caller:
        return f"{step.source} {_TOWARDS if step.passed else _BLOCKED_TOWARDS} {step.destination}"
    return f"{step.destination} {_BACK if step.passed else _BLOCKED_BACK} {step.source}"
