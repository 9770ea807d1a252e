"""A packet's numbers (addresses, ports, the frame's length) as lines, cut where the rules cut them.

Between two cuts no rule can tell one number from another, so an atom's truth on one number of each piece is its
exact meaning. That truth comes from the one evaluator, applied to a packet with that number: nothing is said twice.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Literal

from firewall.lint.proof.formula import Formula, Model
from firewall.net.address import IPV4_FIRST

LineName = Literal["src", "dst", "sport", "dport", "frame_len"]
ADDRESSES: tuple[LineName, LineName] = ("src", "dst")
PORTS: tuple[LineName, LineName] = ("sport", "dport")

IPV4_END = IPV4_FIRST + 2**32
ENDS: dict[LineName, int] = {"src": IPV4_END, "dst": IPV4_END, "sport": 2**16, "dport": 2**16, "frame_len": 2**17}
"""How many numbers there are on each line; the largest frame is 64 KB and its headers."""


class Line:
    """One number of a packet. ``cuts`` are the first numbers of its pieces, 0 included."""

    def __init__(self, name: LineName, formula: Formula, cuts: Iterable[int]) -> None:
        self.name = name
        self._formula = formula
        self._end = ENDS[name]
        self.cuts = sorted({0, *(cut for cut in cuts if 0 < cut < self._end)})
        # Order encoding: one variable for each cut, "the number is at least this", in rising order.
        self._at_least = {0: formula.true}
        before = formula.true
        for cut in self.cuts[1:]:
            reached = self._at_least[cut] = formula.new()
            formula.add([-reached, before])
            before = reached

    def at_least(self, number: int) -> int:
        """Return the literal that the number is at least this one, which must be a cut, 0 or beyond the line."""
        return self._formula.false if number >= self._end else self._at_least[number]

    def within(self, first: int, last: int) -> int:
        """Return the literal that the number is in ``first..last``, both ends cut."""
        return self._formula.all_of([self.at_least(first), -self.at_least(last + 1)])

    def where(self, cuts: Iterable[int], holds: Callable[[int], bool]) -> int:
        """Return the literal that ``holds`` is true of the number; it changes at the given cuts only."""
        formula = self._formula
        own = sorted({0, *(cut for cut in cuts if 0 < cut < self._end)})
        runs: list[int] = []
        start: int | None = None
        for cut in own:
            true_here = holds(cut)
            if true_here and start is None:
                start = cut
            elif not true_here and start is not None:
                runs.append(formula.all_of([self.at_least(start), -self.at_least(cut)]))
                start = None
        if start is not None:
            runs.append(self.at_least(start))
        return formula.any_of(runs)

    def piece(self, model: Model) -> tuple[int, int]:
        """Return the piece, ``first..last``, in which a model has the number."""
        low, high = 0, len(self.cuts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if model.holds(self._at_least[self.cuts[middle]]):
                low = middle
            else:
                high = middle - 1
        first = self.cuts[low]
        return first, (self.cuts[low + 1] if low + 1 < len(self.cuts) else self._end) - 1

    def at(self, number: int) -> int:
        """Return the literal that the number is in the same piece as this one."""
        return self._formula.all_of([self.not_below(number), self.not_above(number)])

    def not_below(self, number: int) -> int:
        """Return the literal that the number is in the piece of this one, or above it."""
        return self._at_least[self.cuts[bisect_right(self.cuts, number) - 1]]

    def not_above(self, number: int) -> int:
        """Return the literal that the number is in the piece of this one, or below it."""
        index = bisect_right(self.cuts, number)
        return -self.at_least(self.cuts[index] if index < len(self.cuts) else self._end)
