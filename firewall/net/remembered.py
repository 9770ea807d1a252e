"""A memory of what was read before from the wire, bounded: in entries, and for text in bytes too."""

from collections.abc import Callable
from typing import TypeVar

LONGEST_CHARACTERS = 256
"""Longer text is read anew each time: a sender of long nonsense must not fill the memory."""

_K = TypeVar("_K")
_R = TypeVar("_R")


class Memory(dict[_K, _R]):
    """What ``read`` made of each key, up to ``entries``; to be asked by ``memory[key]``.

    Python looks into a ``dict`` without calling any code of ours for what is there.
    """

    def __init__(self, read: Callable[[_K], _R], entries: int) -> None:
        super().__init__()
        self._read = read
        self._entries = entries

    def __missing__(self, key: _K) -> _R:
        value = self._read(key)
        if len(self) >= self._entries:
            self.clear()  # cheaper than to know which key was asked for longest ago
        self[key] = value
        return value


class _TextMemory(Memory[str, _R]):
    def __missing__(self, text: str) -> _R:
        return super().__missing__(text) if len(text) <= LONGEST_CHARACTERS else self._read(text)


def remembered(entries: int) -> Callable[[Callable[[str], _R]], Callable[[str], _R]]:
    """Decorate a pure function of a text so that short texts are not read again, up to ``entries`` of them."""

    def decorate(read: Callable[[str], _R]) -> Callable[[str], _R]:
        return _TextMemory(read, entries).__getitem__

    return decorate
