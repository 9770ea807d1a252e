"""A memory of what was read before, for text from the wire: bounded in bytes, not only in entries."""

from collections.abc import Callable
from functools import lru_cache
from typing import TypeVar

LONGEST_CHARACTERS = 256
"""Longer text is read anew each time: a sender of long nonsense must not fill the memory."""

_R = TypeVar("_R")


def remembered(entries: int) -> Callable[[Callable[[str], _R]], Callable[[str], _R]]:
    """Decorate a pure function of a text so that the last ``entries`` short texts are not read again."""

    def decorate(read: Callable[[str], _R]) -> Callable[[str], _R]:
        cached = lru_cache(maxsize=entries)(read)

        def short_cached(text: str) -> _R:
            return cached(text) if len(text) <= LONGEST_CHARACTERS else read(text)

        short_cached.__doc__ = read.__doc__
        return short_cached

    return decorate
