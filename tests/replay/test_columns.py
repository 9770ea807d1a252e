"""A table printed here is the one that rich prints."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from firewall.replay.columns import Cell, Column, print_table

WORDS = st.lists(st.sampled_from(["call", "media_not_negotiated", "192.0.2.10:20168", "x" * 45, "é", "日本語", "a b"]))
TEXTS = WORDS.map(" ".join)
STYLES = st.sampled_from(["", "red", "green"])
COLUMNS = st.lists(
    st.one_of(
        st.builds(Column, st.sampled_from(["call", "rule or reason", "a" * 30])),
        st.builds(Column, st.sampled_from(["from", "medium"]), is_whole=st.just(True)),
        st.builds(Column, st.sampled_from(["packets", "lost %"]), is_number=st.just(True)),
    ),
    min_size=2,
    max_size=6,
)


def by_rich(columns: list[Column], rows: list[list[Cell]], console: Console, title: str) -> None:
    table = Table(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        title=Text(title, style="bold") if title else None,
        title_justify="left",
    )
    for column in columns:
        table.add_column(
            column.heading,
            justify="right" if column.is_number else "left",
            overflow="ellipsis" if column.is_number else "fold",
            no_wrap=column.is_whole,
        )
    for row in rows:
        table.add_row(*(Text(cell.text, style=cell.style) for cell in row))
    console.print(table)


def a_console(width: int, *, is_terminal: bool, encoding: str = "utf-8") -> tuple[Console, io.BytesIO]:
    written = io.BytesIO()
    file = io.TextIOWrapper(written, encoding=encoding, errors="backslashreplace", write_through=True)
    return Console(file=file, width=width, force_terminal=is_terminal, color_system="standard"), written


@given(st.data(), COLUMNS, st.integers(40, 160), st.sampled_from(["", "media", "policy " * 9]), st.booleans())
def test_a_table_is_laid_out_as_rich_does(
    data: st.DataObject, columns: list[Column], width: int, title: str, is_terminal: bool
) -> None:
    cell = st.one_of(st.builds(Cell, TEXTS, STYLES))
    number = st.builds(Cell, st.integers(0, 10**12).map(str))
    rows = data.draw(st.lists(st.tuples(*(number if column.is_number else cell for column in columns)), max_size=5))
    encoding = data.draw(st.sampled_from(["utf-8", "ascii"]))
    ours, theirs = (a_console(width, is_terminal=is_terminal, encoding=encoding) for _ in range(2))
    print_table(columns, rows, ours[0], title)
    by_rich(columns, [list(row) for row in rows], theirs[0], title)
    assert plain(ours[1]) == plain(theirs[1])


def plain(written: io.BytesIO) -> list[str]:
    return [str(Text.from_ansi(line)) for line in written.getvalue().decode().split("\n")]


@pytest.mark.parametrize("width", [60, 140])
def test_on_a_terminal_not_a_byte_differs(width: int) -> None:
    columns = [Column("verdict"), Column("from", is_whole=True), Column("packets", is_number=True)]
    rows = [
        [Cell("media_not_negotiated " * 9, "red"), Cell("192.0.2.10"), Cell("7")],
        [Cell("allow", "green"), Cell("b"), Cell("8")],
    ]
    ours, theirs = (a_console(width, is_terminal=True) for _ in range(2))
    print_table(columns, rows, ours[0], "media")
    by_rich(columns, rows, theirs[0], "media")
    assert ours[1].getvalue() == theirs[1].getvalue()
    assert b"\x1b[31mmedia_not_" in ours[1].getvalue()
