"""A message taken apart so that one header, the start line or the body can be exchanged; all else stays as it was."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from firewall.ruleset.literal import bytes_text
from firewall.sip.headers import canonical_name

CRLF = b"\r\n"
_LF = b"\n"


@dataclass(frozen=True, slots=True)
class Line:
    """One header as it stands: its canonical name, its name as written, and its bytes, folded lines included."""

    name: str
    written: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Draft:
    """The start line, the headers in order, and the body; ``line_end`` is LF where the message has no other."""

    start_line: bytes
    lines: tuple[Line, ...]
    body: bytes
    line_end: bytes = CRLF

    @property
    def payload(self) -> bytes:
        """The message's bytes."""
        return self.line_end.join((self.start_line, *(line.content for line in self.lines), b"", self.body))

    def values(self, name: str) -> int:
        """Return how many lines a header has."""
        return sum(line.name == name for line in self.lines)

    def with_values(self, name: str, spelling: str, values: Sequence[bytes]) -> "Draft":
        """Return the draft with these values of a header instead of those it has, in the place of the first."""
        old = [index for index, line in enumerate(self.lines) if line.name == name]
        written = self.lines[old[0]].written if old else spelling
        new = tuple(Line(name, written, f"{written}: ".encode() + value) for value in values)
        rest = [line for line in self.lines if line.name != name]
        return replace(self, lines=(*rest[: self._place(old, rest)], *new, *rest[self._place(old, rest) :]))

    def _place(self, old: list[int], rest: list[Line]) -> int:
        """Where new lines go: where the old stood, else before what describes the body."""
        if old:
            return old[0]
        about_body = (index for index, line in enumerate(rest) if line.name.startswith("content-"))
        return next(about_body, len(rest))

    def only(self, name: str) -> "Draft":
        """Return the draft with the lines of one header alone, and no body."""
        return replace(self, lines=tuple(line for line in self.lines if line.name == name), body=b"")


def read_draft(payload: bytes) -> Draft:
    """Take a well-formed message apart."""
    line_end = CRLF if CRLF * 2 in payload else _LF
    head, _, body = payload.partition(line_end * 2)
    start_line, *rest = head.split(line_end)
    contents: list[bytes] = []
    for content in rest:
        if content[:1] in (b" ", b"\t") and contents:
            contents[-1] += line_end + content
        else:
            contents.append(content)
    lines = []
    for content in contents:
        written = bytes_text(content.partition(b":")[0].strip())
        lines.append(Line(canonical_name(written), written, content))
    return Draft(start_line, tuple(lines), body, line_end)
