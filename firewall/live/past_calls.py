"""The end of an earlier run's decision log, read at start."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from firewall.engine.engine import Engine
from firewall.engine.events import FlowsRecovered
from firewall.engine.recovery import recall

LOOK_BACK_BYTES = 64 * 1024 * 1024
"""How much of the log's end is read: some 60 000 messages, in about two seconds."""

_TAIL_BYTES = 256 * 1024


def last_record_at(log: Path) -> datetime | None:
    """Return the timestamp of the last whole record of a decision log; None when there is none to be read."""
    try:
        tail = list(_ends((log, _TAIL_BYTES))) if log.is_file() else []  # not a pipe: it would wait for who writes
    except OSError:
        return None
    for line in reversed(tail):
        try:
            at = datetime.fromisoformat(msgspec.json.decode(line)["timestamp"])
        except (msgspec.DecodeError, ValueError, TypeError, KeyError):
            continue
        return at if at.tzinfo is not None else at.astimezone()
    return None


def recall_calls(engine: Engine, log: Path) -> FlowsRecovered:
    """Tell an engine, before it starts, of the calls that the end of a log tells of, with the part that was rotated
    last (``.1``) before it where the log is short; return the pinholes that were open.

    Where the log is missing, no file, or cannot be read, the start is like a first one: unknown in-dialog messages
    still follow (reason ``takeover``).
    """
    return recall(engine, _LastLines(log))


class _LastLines:
    """The lines at the end of a log, read anew each time."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def __iter__(self) -> Iterator[bytes]:
        log = self._log
        try:
            if not log.is_file():
                return
            room = LOOK_BACK_BYTES - log.stat().st_size
            rotated = log.with_name(f"{log.name}.1")
            parts = [(rotated, room)] if room > 0 and rotated.is_file() and os.access(rotated, os.R_OK) else []
            yield from _ends(*parts, (log, LOOK_BACK_BYTES))
        except OSError:
            return


def _ends(*parts: tuple[Path, int]) -> Iterator[bytes]:
    """Give the lines at the end of files, of each no more than so many bytes."""
    for path, most_bytes in parts:
        with path.open("rb") as lines:
            if lines.seek(0, os.SEEK_END) > most_bytes:
                lines.seek(-most_bytes, os.SEEK_END)
                lines.readline()  # the rest of a record that began earlier
            else:
                lines.seek(0)
            yield from filter(bytes.strip, lines)  # what has only line ends has millions of them
