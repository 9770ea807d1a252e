"""A memory of what was read before, for text from the wire: bounded in bytes, not only in entries."""

from collections.abc import Callable
from typing import TypeVar

LONGEST_CHARACTERS = 256
"""Longer text is read anew each time: a sender of long nonsense must not fill the memory."""

_R = TypeVar("_R")


class _Memory(dict[str, _R]):
    """What texts were read as. Python looks into a ``dict`` without calling any code of ours for what is there."""

    def __init__(self, read: Callable[[str], _R], entries: int) -> None:
        super().__init__()
        self._read = read
        self._entries = entries

    def __missing__(self, text: str) -> _R:
        value = self._read(text)
        if len(text) <= LONGEST_CHARACTERS:
            if len(self) >= self._entries:
                self.clear()  # cheaper than to know which text was asked for longest ago
            self[text] = value
        return value


def remembered(entries: int) -> Callable[[Callable[[str], _R]], Callable[[str], _R]]:
    """Decorate a pure function of a text so that short texts are not read again, up to ``entries`` of them."""

    def decorate(read: Callable[[str], _R]) -> Callable[[str], _R]:
        return _Memory(read, entries).__getitem__

    return decorate
