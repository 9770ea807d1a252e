"""``sosgate explain``: the page of a reason, an alarm or a finding, or the story of one call from the decision log."""

import sys
from typing import Annotated

import typer

from firewall.engine.alarm_words import ALARMS
from firewall.engine.reasons import REASONS
from firewall.errors import OperatorError

EXIT_NOT_FOUND = 1


def explain(
    subject: Annotated[
        str, typer.Argument(metavar="CODE|CALL-ID", help="A reason, an alarm, a lint code, or a Call-ID.")
    ],
    log: Annotated[
        list[str] | None,
        typer.Option(
            "--log",
            metavar="FILE",
            help="The decision log with the call, gzip too; give it again for another part; - is standard input.",
        ),
    ] = None,
) -> None:
    """Explain the code of a reason, an alarm or a finding, or tell one call's story from the decision log.

    Exit code 1: not found; 2: a log cannot be read, or is none.
    """
    if log:
        _tell_story(subject, log)
        return
    page = _page(subject)
    if page is None:
        sys.stderr.write(f'"{subject}" is no code of sosgate; for a call\'s story add --log FILE\n')
        raise typer.Exit(EXIT_NOT_FOUND)
    sys.stdout.write(page + "\n")


def _page(code: str) -> str | None:
    from firewall.lint.codes import CODES

    pages = [f"{code}: {one.title} ({one.kind})\n\n{one.text}" for one in REASONS.values() if one.code == code]
    pages += [f"{code} (alarm)\n\n{text}" for name, text in ALARMS.items() if name == code]
    finding = CODES.get(code.upper())
    if finding is not None:
        example = f"\n\nExample:\n\n{finding.example.rstrip()}" if finding.example else ""
        head = f"{finding.code} {finding.name}: {finding.title} ({finding.severity})"
        pages.append(f"{head}\n\n{finding.why}\n\nMend: {finding.mend}{example}")
    return "\n\n".join(pages) or None


def _tell_story(call_id: str, logs: list[str]) -> None:
    from firewall.replay.log import log_lines, oldest_first
    from firewall.replay.story import call_records, tell
    from firewall.ruleset.emergency import wire_text

    log, call_id = wire_text(", ".join(logs)), wire_text(call_id)
    found = call_records(log_lines(oldest_first(logs)), call_id)
    if found.unreadable_lines and not found.has_records:
        raise OperatorError(f"{log} is no decision log", next_step="name the file that --log of run wrote")
    if found.unreadable_lines:
        sys.stderr.write(f"{log}: {found.unreadable_lines} line(s) that are no records were left out\n")
    story = tell(call_id, found)
    if story is None:
        sys.stderr.write(f'{log} has no message with Call-ID "{call_id}"\n')
        raise typer.Exit(EXIT_NOT_FOUND)

    from firewall.cli.story import print_story

    print_story(story)
