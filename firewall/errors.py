"""Every error sosgate raises on purpose, as a tree.

::

    SosgateError
    ├── OperatorError    a file, policy or argument is not what it should be   exit 2
    │                    (PolicyError, CaptureError, ... are made of it)
    ├── MachineError     the kernel or the machine refused an operation        exit 2
    └── SipSyntaxError   bytes that are no SIP message: data for the engine, never shown as an error

Hostile input is not in this tree: parsers turn it into a value or a ``SipSyntaxError`` with a reason code,
and the engine turns that into a decision.
"""

from dataclasses import dataclass
from typing import NoReturn


def _visible(text: str) -> str:
    """Return a text without what ends its line, moves the terminal's cursor or cannot be seen.

    A byte that is no UTF-8, as a file's name may have, is shown as ``\\xff``, as in records (``wire_text``).
    """
    return text if text.isprintable() else "".join(map(_visible_char, text))


def _visible_char(char: str) -> str:
    if char.isprintable():
        return char
    return f"\\x{ord(char) - 0xDC00:02x}" if "\udc80" <= char <= "\udcff" else "·"


def shown(text: str) -> str:
    """Return a text fit to be quoted in one line of an error."""
    return _visible(text if len(text) <= 60 else f"{text[:57]}…")


class SosgateError(Exception):
    """Base of every error sosgate raises on purpose."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where in an operator's file something stands: 1-based line and column, or the file as a whole."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)


class OperatorError(SosgateError):
    """The operator's mistake, as one sentence with its place and the next step.

    ``str()`` gives ``file:line:column: error: cause; next step``. The command line prints it and exits with 2.
    """

    def __init__(self, cause: str, *, place: Place | None = None, next_step: str | None = None) -> None:
        self.cause = cause
        self.place = place
        self.next_step = next_step
        super().__init__(cause)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        then = f"; {self.next_step}" if self.next_step else ""
        return _visible(f"{where}error: {self.cause}{then}")


class PolicyError(OperatorError):
    """A policy (or a file it names) cannot be used."""


def fail(place: Place, cause: str, next_step: str | None = None) -> NoReturn:
    """Raise the ``PolicyError`` for a place."""
    raise PolicyError(cause, place=place, next_step=next_step)


class CaptureError(OperatorError):
    """A capture file cannot be read at all."""


class MachineError(SosgateError):
    """The machine's refusal: what was tried, on which object, the kernel's word for it, what would help."""

    def __init__(self, operation: str, obj: str, cause: str, *, needs: str | None = None) -> None:
        self.operation = operation
        self.obj = obj
        self.cause = cause
        self.needs = needs
        super().__init__(f"cannot {operation} {obj}: {cause}")

    def __str__(self) -> str:
        return _visible(f"error: {self.args[0]}" + (f"; {self.needs}" if self.needs else ""))


class SipSyntaxError(SosgateError):
    """Bytes that are no SIP message, with the reason code the decision log will carry."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")


def word_of_machine(error: object) -> str | None:
    """Return the machine's word for what it refuses, None for any other error: that is a bug."""
    match error:
        case OSError():
            return error.strerror or str(error)
        case MemoryError():
            return "there is no memory left"
        case RuntimeError() if str(error) == "can't start new thread":  # all that Python tells of it
            return "no more threads may be started; raise their limit (ulimit -u, TasksMax)"
        case _:
            return None
