"""Which TCP connections are closed to make room for others when there are as many as there may be."""

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice

from firewall.live.connection import Connection

QUIET_S = 32.0
"""What has been quiet for less than this may be in the middle of a transaction (Timer B, RFC 3261 §17.1.1.2)."""
GREEDY_SHARE = 4
"""A source with more than one in so many of all connections is greedy: it makes room before any other."""


def making_room(
    connections: Iterable[Connection],
    newcomer: int | None,
    most: int,
    now: float,
    is_urgent: Callable[[Connection], bool],
) -> list[Connection]:
    """Return the connections to close so that one more may be, which ``newcomer`` (a source) makes; none: refuse it.

    First those of which no message was ever let through; then those of greedy sources, for a newcomer of others even
    where they are not quiet; then quiet ones; of each the longest quiet. One that ``is_urgent``, as it has an emergency
    call, only where all are: who talks sends nothing, and is the longest quiet of all, so others go that are not quiet.
    """
    candidates = list(connections)
    greedy = {
        source for source, count in Counter(each.source for each in candidates).items() if count > most // GREEDY_SHARE
    }
    may_be_busy = set() if newcomer in greedy else greedy
    found = [
        each for each in candidates if not each.useful or now - each.last_active > QUIET_S or each.source in may_be_busy
    ]
    found.sort(key=lambda each: (each.useful, each.source not in greedy, each.last_active))
    count = 1 + most // 64
    spare = list(islice((each for each in found if not is_urgent(each)), count))
    if spare or not found or newcomer in greedy:
        return spare
    others = sorted(candidates, key=lambda each: each.last_active)
    return list(islice((each for each in others if not is_urgent(each)), 1)) or found[:count]
