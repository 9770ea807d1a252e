"""How many values a field has: which conditions on ``count()`` no message meets together."""

from collections.abc import Sequence

from firewall.lint.language.automaton import within
from firewall.lint.language.core import needed
from firewall.lint.language.predicate import count_of
from firewall.lint.language.value import Said


def count_conflict(said: Sequence[Said], present: int, *, is_single: bool) -> list[int] | None:
    """Return literals about the number of one field's values that no message can have together; None if one can.

    ``present`` is a literal that holds only where the field has a value: as in Wireshark, ``count()`` of an absent
    field is no number, and every condition on it is false.
    """
    if _has_number(said, is_single=is_single):
        return None
    kept = needed(said, lambda few: not _has_number(few, is_single=is_single))
    return list(dict.fromkeys((present, *(each.literal for each in kept))))


def _has_number(said: Sequence[Said], *, is_single: bool) -> bool:
    wanted = [(count_of(each.atom), each.holds) for each in said]
    # Between two ends of intervals nothing changes, so one number of each piece is enough.
    ends = {1, *(end + 1 for numbers, _ in wanted for pair in numbers for end in pair if end is not None)}
    ends |= {low for numbers, _ in wanted for low, _ in numbers}
    numbers = [1] if is_single else sorted(end for end in ends if end >= 1)
    return any(all(within(number, each) == holds for each, holds in wanted) for number in numbers)
