"""How commands print what they found: lines of styled text that fit a terminal, or one JSON document."""

import json
import sys
from collections.abc import Callable, Iterable

from rich.console import Console
from rich.text import Text


def print_lines(lines: Callable[[int | None], Iterable[Iterable[tuple[str, str]]]]) -> None:
    """Print lines of text and style, made for the width of the terminal in cells (None: the output is none)."""
    console = Console(highlight=False, soft_wrap=True)
    for line in lines(console.width if console.is_terminal else None):
        console.print(Text.assemble(*line))


def print_json(document: object) -> None:
    """Print a document, in pieces: of a long capture it is hundreds of MB."""
    json.dump(document, sys.stdout, indent=2)
    sys.stdout.write("\n")
