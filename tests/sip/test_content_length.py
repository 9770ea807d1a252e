"""Content-Length: RFC 3261 §18.3, §20.14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.content_length import announced_length
from firewall.sip.head import Head


def head(values: list[str]) -> Head:
    first = {"content-length": values[0]} if values else {}
    return Head("", [], first, {"content-length": values} if len(values) > 1 else {})


@pytest.mark.parametrize(
    ("values", "length", "anomaly"),
    [
        ([], None, None),
        (["0"], 0, None),
        (["349"], 349, None),
        (["349", "349"], 349, None),
        (["349", "350"], None, "content_length_conflicting"),
        (["-1"], None, "content_length_invalid"),
        (["1_0"], None, "content_length_invalid"),
        (["٣"], None, "content_length_invalid"),
        ([""], None, "content_length_invalid"),
        (["9" * 70_000], 10**10, None),
    ],
)
def test_one_number_is_a_length(values: list[str], length: int | None, anomaly: str | None) -> None:
    assert announced_length(head(values)) == (length, anomaly)


@given(st.lists(st.text(max_size=12), max_size=3))
def test_any_values_give_a_length_or_an_anomaly(values: list[str]) -> None:
    length, anomaly = announced_length(head(values))
    assert (length is None) == (not values or anomaly is not None)
