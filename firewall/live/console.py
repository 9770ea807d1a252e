"""Sentences for the operator on stderr (the journal), from a thread of their own.

A terminal that is stopped, a full pipe or a reader that went away must not hold up a message.
"""

import contextlib
import os
import queue
import threading

from firewall.errors import word_of_machine

_LINES_MAX = 1000
_STDERR = 2


class Console:
    """Writes lines to stderr in order; when more wait than fit, later ones are counted instead."""

    def __init__(self, descriptor: int = _STDERR) -> None:
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes | None] = queue.Queue(_LINES_MAX)
        self._unsaid = 0
        self._thread = threading.Thread(target=self._write_lines, name="console", daemon=True)
        self._thread.start()

    def say(self, sentence: str) -> None:
        """Write one line, ``sosgate: sentence``. Never waits and never fails."""
        line = "sosgate: " + " ".join(sentence.splitlines())
        if self._unsaid:
            line += f" ({self._unsaid} earlier lines could not be shown)"
        try:
            self._lines.put_nowait(line.encode("utf-8", "backslashreplace") + b"\n")
            self._unsaid = 0
        except queue.Full:
            self._unsaid += 1

    def close(self, timeout_s: float = 1.0) -> None:
        """Wait, within bounds, until everything has been written."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
        self._thread.join(timeout_s)

    def _write_lines(self) -> None:
        while (line := self._lines.get()) is not None:
            with contextlib.suppress(OSError):
                os.write(self._descriptor, line)


def broke(error: object) -> str:
    """Begin the sentence on an exception: whose fault it is. What the machine refuses is no bug, as no more files."""
    return f"ALARM internal_error: {'a bug in sosgate' if word_of_machine(error) is None else 'the machine refuses'}"
