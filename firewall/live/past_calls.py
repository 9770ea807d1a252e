"""The calls that an earlier run's decision log tells of, read at start."""

import os
from pathlib import Path

from firewall.engine.recovery import RecoveredCall, recovered_calls

LOOK_BACK_BYTES = 64 * 1024 * 1024
"""How much of the log's end is read: some 60 000 messages, in about a second."""


def past_calls(log: Path) -> tuple[RecoveredCall, ...]:
    """Return the calls that the end of a log tells of; none where it is missing, no file, or cannot be read.

    What cannot be read here only makes the start like a first one: unknown in-dialog messages still follow
    (reason ``takeover``).
    """
    try:
        if not log.is_file():
            return ()
        with log.open("rb") as lines:
            if lines.seek(0, os.SEEK_END) > LOOK_BACK_BYTES:
                lines.seek(-LOOK_BACK_BYTES, os.SEEK_END)
                lines.readline()  # the rest of a record that began earlier
            else:
                lines.seek(0)
            return tuple(recovered_calls(lines))
    except OSError:
        return ()
