"""Sets of networks as sorted intervals."""

from collections.abc import Iterable

from firewall.net.address import Network, family


def merged(networks: Iterable[Network]) -> tuple[Network, ...]:
    """Return the same addresses as sorted intervals that neither touch nor overlap, each of one family."""
    result: list[Network] = []
    for network in sorted(networks):
        last = result[-1] if result else None
        if last is not None and network.first <= last.last + 1 and family(network.first) == family(last.first):
            result[-1] = Network(last.first, max(last.last, network.last))
        else:
            result.append(network)
    return tuple(result)
