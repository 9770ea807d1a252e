from rich.cells import cell_len

from firewall.lint.rendering.label import labelled, usable_width


def lines(text: str, width: int | None) -> list[str]:
    return ["".join(piece for piece, _ in line) for line in labelled("  why: ", text, width)]


def test_a_text_is_folded_at_blanks_below_its_beginning_by_the_cells_it_takes() -> None:
    assert lines("a 🚒🚒🚒🚒 b", 14) == ["  why: a", "       🚒🚒🚒🚒", "       b"]
    assert max(cell_len(line) for line in lines("one two three four", 14)) <= 14


def test_a_word_that_is_too_long_has_a_line_of_its_own() -> None:
    assert lines("a waytoolongforit b", 12) == ["  why: a", "       waytoolongforit", "       b"]


def test_without_a_terminal_nothing_is_folded() -> None:
    assert lines("one two three four", None) == ["  why: one two three four"]
    assert (usable_width(None), usable_width(10), usable_width(100)) == (None, 40, 100)
