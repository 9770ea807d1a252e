"""Tables of text, laid out as rich lays them out (``Table`` with the box ``SIMPLE_HEAD``, without edges).

A report may have many rows, and rich asks each of its cells several times how wide it would like to be, in every width.
Here only a cell that does not fit its column is given to it, to be wrapped. The tests compare both.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

_HEADER_STYLE = "table.header"


@dataclass(frozen=True, slots=True)
class Column:
    """A column. ``is_number``: at the right, and too long ones end in "…". ``is_whole``: never wrapped."""

    heading: str
    is_number: bool = False
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a row's column, and rich's name of how it looks."""

    text: str
    style: str = ""


def _width(text: str) -> int:
    return max(map(cell_len, text.splitlines()), default=0)


def _take(widths: list[int], places: Sequence[int], total: int, at_most: int | None = None) -> None:
    """Take a total from some columns, from each its share of what is left to take."""
    for number, place in enumerate(places):
        share = min(widths[place] if at_most is None else at_most, round(total / (len(places) - number)))
        widths[place] -= share
        total -= share


class _Layout:
    """Where the columns of a table stand: ``widths`` are with the blanks beside each, but for those at the edges."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], console: Console) -> None:
        self.columns = columns
        self._console = console
        last = len(columns) - 1
        self.blanks = [(int(place > 0), int(place < last)) for place in range(len(columns))]
        room = console.width - last  # a divider between each two
        wanted = [
            max(_width(text) for text in (column.heading, *(row[place].text for row in rows)))
            for place, column in enumerate(columns)
        ]
        self.widths = [
            min(width + before + after, room) or 1 for width, (before, after) in zip(wanted, self.blanks, strict=True)
        ]
        if sum(self.widths) > room:
            self._narrow(room)
            self.blanks = [
                (min(before, width), min(after, max(width - before, 0)))
                for width, (before, after) in zip(self.widths, self.blanks, strict=True)
            ]

    def _narrow(self, room: int) -> None:
        """Take from the widest columns that may be wrapped until all have room, then from each its share."""
        widths, wrapped = self.widths, [place for place, column in enumerate(self.columns) if not column.is_whole]
        while wrapped and sum(widths) > room:
            widest = max(widths[place] for place in wrapped)
            next_widest = max((widths[place] for place in wrapped if widths[place] != widest), default=0)
            if widest == next_widest or not widest:
                break
            of_widest = [place for place in wrapped if widths[place] == widest]
            _take(widths, of_widest, sum(widths) - room, at_most=widest - next_widest)
        if sum(widths) > room:
            _take(widths, [place for place, width in enumerate(widths) if width], sum(widths) - room)

    @property
    def width(self) -> int:
        """The whole table's width."""
        return sum(self.widths) + len(self.columns) - 1

    def lines(self, place: int, cell: Cell) -> list[str]:
        """Return a cell's lines, each as long as its column without the blanks."""
        column, (before, after) = self.columns[place], self.blanks[place]
        width = self.widths[place] - before - after
        if cell.text.isascii() and cell.text.isprintable() and len(cell.text) <= width:
            return [cell.text.rjust(width) if column.is_number else cell.text.ljust(width)]
        if not width:
            return [""]  # no room at all
        wrapped = Text(cell.text).wrap(
            self._console,
            width,
            justify="right" if column.is_number else "left",
            overflow="ellipsis" if column.is_number else "fold",
            no_wrap=column.is_whole,
        )
        return [line.plain for line in wrapped]


def print_table(columns: Sequence[Column], rows: Sequence[Sequence[Cell]], console: Console, title: str = "") -> None:
    """Print a table under its headings, with a title where there is one."""
    layout = _Layout(columns, rows, console)
    box = SIMPLE_HEAD.substitute(console.options)  # another where the terminal cannot show its lines
    page = Text()
    if title:
        for line in Text(title, style="bold").wrap(console, layout.width, justify="left"):
            page.append_text(line).append("\n")
    _append_headings(page, layout, box.head_vertical)
    page.append(box.get_row(layout.widths, "head", edge=False))
    for number, row in enumerate(rows, 1):
        page.append("\n")
        _append_row(page, layout, row, box.foot_vertical if number == len(rows) else box.mid_vertical)
    console.print(page, no_wrap=True, overflow="ignore")


def _append_headings(page: Text, layout: _Layout, divider: str) -> None:
    cells = [layout.lines(place, Cell(column.heading)) for place, column in enumerate(layout.columns)]
    height = max(map(len, cells))
    for line_number in range(height):
        for place, lines in enumerate(cells):
            before, after = layout.blanks[place]
            own_line = line_number - (height - len(lines))  # headings stand at the bottom
            page.append(divider if place else "")
            if own_line < 0:
                page.append(" " * layout.widths[place], _HEADER_STYLE)
                continue
            for part in (" " * before, lines[own_line], " " * after):
                page.append(part, _HEADER_STYLE)
        page.append("\n")


def _append_row(page: Text, layout: _Layout, row: Sequence[Cell], divider: str) -> None:
    cells = [layout.lines(place, cell) for place, cell in enumerate(row)]
    for line_number in range(max(map(len, cells))):
        if line_number:
            page.append("\n")
        for place, lines in enumerate(cells):
            before, after = layout.blanks[place]
            page.append(f"{divider if place else ''}{' ' * before}")
            if line_number < len(lines):
                page.append(lines[line_number], row[place].style or None)
            else:
                page.append(" " * cell_len(lines[0]))
            page.append(" " * after)
