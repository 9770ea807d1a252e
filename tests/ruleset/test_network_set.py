"""Networks are merged into sorted intervals without gaps or overlaps."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from firewall.net.address import IPV4_FIRST, Network
from firewall.ruleset.network_set import common, merged

small = st.builds(lambda first, size: Network(first, first + size), st.integers(0, 60), st.integers(0, 9))


@given(st.lists(small, max_size=12))
def test_merged_intervals_hold_the_same_addresses(networks: list[Network]) -> None:
    intervals = merged(networks)
    for number in range(72):
        assert any(number in each for each in intervals) is any(number in each for each in networks)
    assert all(low.last + 1 < high.first for low, high in pairwise(intervals))


def test_the_two_families_are_never_merged() -> None:
    below = Network(IPV4_FIRST - 2, IPV4_FIRST - 1)
    first = Network(IPV4_FIRST, IPV4_FIRST + 1)
    assert merged([first, below]) == (below, first)


def test_the_first_common_stretch_is_found() -> None:
    assert common([Network(1, 4), Network(8, 9)], [Network(5, 8), Network(9, 20)]) == Network(8, 8)
    assert common([Network(1, 4)], [Network(5, 8)]) is None


@given(st.lists(small, max_size=8), st.lists(small, max_size=8))
def test_lists_have_a_stretch_in_common_where_they_have_an_address_in_common(
    first: list[Network], second: list[Network]
) -> None:
    shared = {number for number in range(72) for a in first for b in second if number in a and number in b}
    both = common(sorted(first), sorted(second))
    assert (both is not None) == bool(shared)
    assert both is None or set(range(both.first, both.last + 1)) <= shared
