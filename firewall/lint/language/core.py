"""Few things of many that suffice together: the literals of a conflict, the rules of a cover."""

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")


def needed(things: Iterable[T], suffice: Callable[[list[T]], bool]) -> list[T]:
    """Leave out, one after the other, each of some things that suffice together without which the others still do."""
    kept = list(things)
    for each in tuple(kept):
        fewer = [other for other in kept if other is not each]
        if suffice(fewer):
            kept = fewer
    return kept
