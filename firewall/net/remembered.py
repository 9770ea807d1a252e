"""A memory of what was read before from the wire, bounded: in entries, and in how long each may be."""

from collections.abc import Callable, Sized
from typing import TypeVar

LONGEST = 256
"""What is longer (in characters of a text) is read anew each time: long nonsense must not fill the memory."""

_K = TypeVar("_K", bound=Sized)
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
        if len(key) <= LONGEST:
            if len(self) >= self._entries:
                self.clear()  # cheaper than to know which key was asked for longest ago
            self[key] = value
        return value


def remembered(entries: int) -> Callable[[Callable[[str], _R]], Callable[[str], _R]]:
    """Decorate a pure function of a text so that short texts are not read again, up to ``entries`` of them."""

    def decorate(read: Callable[[str], _R]) -> Callable[[str], _R]:
        return Memory(read, entries).__getitem__

    return decorate
