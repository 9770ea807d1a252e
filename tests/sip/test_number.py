"""Numbers of digits: RFC 3261 §25.1."""

import pytest

from firewall.sip.number import MAX_UINT32, read_number


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("0070", 70), ("4294967295", MAX_UINT32), ("0" * 10 + "4294967295", MAX_UINT32)]
)
def test_digits_are_a_number(text: str, number: int) -> None:
    assert read_number(text, MAX_UINT32) == number


@pytest.mark.parametrize("text", ["", "4294967296", "-1", "+5", " 5", "1_000", "\u0663", "5.", "x", "0" * 21])
def test_anything_else_is_none(text: str) -> None:
    assert read_number(text, MAX_UINT32) is None
