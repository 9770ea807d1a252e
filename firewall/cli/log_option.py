"""The option ``--log`` of the commands that write a decision log."""

from pathlib import Path
from typing import TypeVar

from firewall.errors import OperatorError

P = TypeVar("P", str, Path)


def no_stream(log: P | None) -> P | None:
    """Return the file to write a log to.

    Raises:
        OperatorError: it is ``-``, which stands for standard output elsewhere: nobody would look for such a file.
    """
    if str(log) == "-":
        raise OperatorError("the log is written to a file, not to -", next_step="name one, or /dev/stdout")
    return log
