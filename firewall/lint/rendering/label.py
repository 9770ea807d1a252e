"""Sentences behind a label, folded to fit a terminal."""

from collections.abc import Iterator

from rich.cells import cell_len

Line = tuple[tuple[str, str], ...]
"""Pieces of one line, each with its style (rich's words; "" is plain)."""

_MIN_WIDTH = 40


def usable_width(width: int | None) -> int | None:
    """Return a terminal's width in cells, as much as lines need at least; None, where nothing is folded, stays None."""
    return None if width is None else max(width, _MIN_WIDTH)


def labelled(label: str, text: str, width: int | None, style: str = "") -> Iterator[Line]:
    """Yield a text behind its label, what does not fit on lines of its own below its beginning."""
    folded = [text] if width is None else _folded(text, width - len(label))
    yield ((label, "blue"), (folded[0], style))
    for more in folded[1:]:
        yield ((" " * len(label), ""), (more, style))


def _folded(text: str, width: int) -> list[str]:
    """Fold at blanks, counting cells; a word that is too long alone has a line of its own."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and cell_len(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
