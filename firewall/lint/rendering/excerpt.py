"""Lines of a policy as a finding shows them: numbered, with carets under what is at fault, or as a change."""

import difflib
from collections.abc import Iterator, Sequence
from itertools import takewhile

from rich.cells import cell_len

from firewall.lint.finding import Edit, Finding, Fix, Mark
from firewall.lint.rendering.label import Line

_GUTTER = 8
_MAX_MARKED_LINES = 8
_MAX_CELLS = 400
"""Of a line where no terminal sets the limit: an expression may have 64 KB."""
_CUT = "…"
_SIGN_STYLES = {"+": "green", "-": "red"}


def excerpt_lines(finding: Finding, lines: Sequence[str], style: str, width: int | None) -> Iterator[Line]:
    """Yield the finding's own line and those it points at, carets below; nothing where the file cannot be read."""
    line = finding.place.line
    if line is None or not 0 < line <= len(lines):
        return
    marks = [mark for mark in finding.marks if mark.end_line <= len(lines)] or [_whole_line(finding, lines[line - 1])]
    yield (("      |", "blue"),)
    shown = line - 1
    if line < marks[0].line:
        yield _numbered(line, _clipped(lines[line - 1].rstrip(), 0, 0, width)[0])
        shown = line
    for mark in marks:
        if mark.line > shown + 1 and shown >= line:
            yield (("    …", "blue"),)
        yield from _marked(mark, lines, style, width)
        shown = mark.end_line


def _whole_line(finding: Finding, text: str) -> Mark:
    line, bare = finding.place.line or 0, text.rstrip()
    column = finding.place.column or len(bare) - len(bare.lstrip()) + 1
    end = max(len(bare.partition(" #")[0].rstrip()) + 1, column + 1)
    return Mark(line, column, line, end)


def _marked(mark: Mark, lines: Sequence[str], style: str, width: int | None) -> Iterator[Line]:
    last = min(mark.end_line, mark.line + _MAX_MARKED_LINES - 1)
    for number in range(mark.line, last + 1):
        text = lines[number - 1].rstrip()
        start = mark.column - 1 if number == mark.line else len(text) - len(text.lstrip())
        end = mark.end_column - 1 if number == mark.end_line else len(text)
        shown, before, carets = _clipped(text, start, max(end, start + 1), width)
        yield _numbered(number, shown)
        label = f" {mark.label}" if mark.label and number == last else ""
        pointer = " " * before + "^" * carets
        if width is not None and _GUTTER + cell_len(pointer + label) >= width:
            yield (("      | ", "blue"), (pointer, style))
            label, pointer = label.strip(), " " * max(0, min(before, width - _GUTTER - cell_len(label)))
        if pointer.strip() or label:
            yield (("      | ", "blue"), (pointer + label, style))
    if last < mark.end_line:
        yield (("    …", "blue"),)


def _room(width: int | None) -> int:
    return _MAX_CELLS if width is None else width - _GUTTER - 1


def _visible(text: str) -> str:
    """Return a text that is safe on a terminal, as many characters as it has."""
    return "".join(char if char.isprintable() else " " if char == "\t" else "·" for char in text)


def _numbered(number: int, text: str) -> Line:
    return ((f"{number:>5} | ", "blue"), (text, ""))


def _clipped(text: str, start: int, end: int, width: int | None) -> tuple[str, int, int]:
    """Return the text fit for the width, the cells before ``start`` in it, and how many cells the stretch takes."""
    first, last = 0, len(text)
    room = _room(width)
    if cell_len(_visible(text)) > room:
        first = 0 if cell_len(_visible(text[:end])) < room else max(0, min(start - room // 4, len(text) - room + 2))
        last = min(last, first + room)
        while last > first + 1 and cell_len(_visible(text[first:last])) > room - 2 * len(_CUT):
            last -= 1
    head, tail = _CUT if first else "", _CUT if last < len(text) else ""
    before = cell_len(head + _visible(text[first:start]))
    carets = max(cell_len(_visible(text[max(start, first) : min(end, last)])), 1)
    return head + _visible(text[first:last]) + tail, before, carets


def change_lines(fix: Fix, lines: Sequence[str], width: int | None) -> Iterator[Line]:
    """Yield the lines that a fix deletes and adds, numbered as they stand now."""
    if not lines or max(edit.end_line for edit in fix.edits) > len(lines):
        return
    first, last = min(edit.line for edit in fix.edits), max(edit.end_line for edit in fix.edits)
    old = [line.rstrip("\r") for line in lines[first - 1 : last]]
    new = _edited(old, fix.edits, first)
    for kind, start, stop, new_start, new_stop in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        gone, come = old[start:stop], new[new_start:new_stop]
        same = (0, 0) if kind != "replace" else (_common([*gone, *come]), _common([x[::-1] for x in (*gone, *come)]))
        for index, text in enumerate(gone, first + start):
            yield _change(index, "-", text, same, width)
        for text in come:
            yield _change(first + start, "+", text, same, width)


def _common(texts: list[str]) -> int:
    """Return how many characters all of them begin with."""
    alike = (len(set(each)) == 1 for each in zip(*texts, strict=False))
    return sum(1 for _ in takewhile(bool, alike))


def _edited(old: list[str], edits: tuple[Edit, ...], first: int) -> list[str]:
    text = "\n".join(old)

    def offset(line: int, column: int) -> int:
        return sum(len(each) + 1 for each in old[: line - first]) + column - 1

    for edit in reversed(edits):
        start, end = offset(edit.line, edit.column), offset(edit.end_line, edit.end_column)
        text = text[:start] + edit.text.replace("\r\n", "\n") + text[end:]
    return text.split("\n")


def _change(number: int, sign: str, text: str, same: tuple[int, int], width: int | None) -> Line:
    """Return a line of a change, the part that differs shown: ``same`` at the beginning and at the end does not."""
    shown, _, _ = _clipped(text, same[0], max(same[0], len(text) - same[1]), width)
    return ((f"{number:>5} {sign} ", "blue"), (shown, _SIGN_STYLES[sign]))
