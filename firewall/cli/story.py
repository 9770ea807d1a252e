"""A call's story as a person reads it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from firewall.replay.story import Story

_COLOURS = {"allow": "green", "drop": "red", "reject": "red"}


def print_story(story: Story) -> None:
    """Print the ladder of a call, what became of it, the cause and what to change."""
    console = Console(highlight=False, soft_wrap=True)
    kind = "emergency call" if story.evidence else "call"
    console.print(Text(f"{kind} {story.call_id}", style="bold"))
    for phrase in story.evidence:
        console.print(Text(f"  emergency because: {phrase}"))
    ladder = Table(box=None, pad_edge=False)
    for heading in ("time", "from", "to", "message", "decision", "because"):
        ladder.add_column(heading, overflow="fold")
    for step in story.steps:
        colour = _COLOURS.get(step.verdict.partition(",")[0], "yellow")
        ladder.add_row(
            Text(step.at.partition("T")[2].partition("+")[0]),
            Text(step.source),
            Text(step.destination),
            Text(step.message),
            Text(step.verdict, style=colour),
            Text(step.because),
        )
    console.print(ladder)
    for label, text in (
        ("outcome", story.outcome and " / ".join(part for part in (story.outcome, story.problem) if part)),
        ("attribution", story.attribution),
        ("cause", story.cause),
        ("mend", story.mend),
    ):
        if text:
            console.print(Text(f"{label}: ", style="bold").append(Text(text, style="")))
