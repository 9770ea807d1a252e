"""Sets of networks as sorted intervals."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import attrgetter

from firewall.errors import fail
from firewall.net.address import Network, family
from firewall.ruleset.policy import StringSet


def merged(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return the same addresses as sorted intervals that neither touch nor overlap, each of one family."""
    result: list[Network] = []
    for network in sorted(networks, key=attrgetter("first")):
        last = result[-1] if result else None
        if last is not None and network.first <= last.last + 1 and family(network.first) == family(last.first):
            result[-1] = Network(last.first, max(last.last, network.last))
        else:
            result.append(network)
    return tuple(result)


def common(first: Sequence[Network], second: Sequence[Network]) -> Network | None:
    """Return addresses that two sorted lists of networks share: the first stretch of them."""
    left, right = 0, 0
    while left < len(first) and right < len(second):
        low = max(first[left].first, second[right].first)
        high = min(first[left].last, second[right].last)
        if low <= high:
            return Network(low, high)
        if first[left].last < second[right].last:
            left += 1
        else:
            right += 1
    return None


@lru_cache(maxsize=256)
def networks_of_list(named: StringSet) -> tuple[Network, ...]:
    """Return the networks of a list file whose set is used with an address field.

    Raises:
        PolicyError: a line is no network, with its place in the list file.
    """
    networks = []
    for text, place in named.lines:
        try:
            networks.append(Network.parse(text))
        except ValueError as error:
            fail(place, str(error), f"set ${named.name} is used with an address field")
    return merged(networks)
