"""Literals are read as Wireshark reads them, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.ruleset.literal import (
    ExpressionError,
    read_address_range,
    read_number,
    read_slice,
    read_string,
    string_text,
)


@given(st.binary(max_size=30))
def test_any_bytes_written_as_a_string_are_read_back(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    written = string_text(text)
    assert written.isprintable()
    assert read_string(written) == text


@pytest.mark.parametrize(
    ("token", "text"),
    [(r'"a"', "a"), (r'"\""', '"'), (r'"\\"', "\\"), (r'"\x41\101"', "AA"), (r'"\u00e9"', "é"), (r'"\xc3\xa9"', "é"),
     (r'"\U0001f691"', "🚑"), (r'"\0"', "\0"), (r'"\r\n\t"', "\r\n\t"), (r'"\x4"', "\x04"), (r'"\xff"', "\udcff")],
)  # fmt: skip
def test_escapes_are_wiresharks(token: str, text: str) -> None:
    assert read_string(token) == text


@pytest.mark.parametrize("token", [r'"\q"', r'"\x"', r'"\777"', r'"\u12"', r'"\ud800"', r'"\U00110000"', r'"\9"'])
def test_what_is_no_escape_is_refused_at_its_place(token: str) -> None:
    with pytest.raises(ExpressionError, match="is no escape") as caught:
        read_string(token)
    assert caught.value.offset == 1


@pytest.mark.parametrize(("token", "number"), [("0", 0), ("911", 911), ("0x1F", 31), ("+5", 5), ("0X0", 0)])
def test_numbers_are_decimal_or_hexadecimal(token: str, number: int) -> None:
    assert read_number(token) == number


@pytest.mark.parametrize("token", ["", "x", "1.5", "-1", "010", "00", "1e3", "0x", "9" * 30, "0x" + "f" * 5000, "१"])
def test_other_numbers_are_refused(token: str) -> None:
    with pytest.raises(ExpressionError):
        read_number(token)


def test_addresses_are_intervals() -> None:
    assert str(read_address_range("192.0.2.0", "192.0.2.255")) == "192.0.2.0/24"
    assert str(read_address_range("2001:db8::1", "2001:db8::2")) == "2001:db8::1..2001:db8::2"


@pytest.mark.parametrize(
    ("low", "high"), [("192.0.2.0/24", "192.0.3.0"), ("192.0.2.1", "x"), ("192.0.2.2", "192.0.2.1")]
)
def test_a_range_of_something_else_is_refused(low: str, high: str) -> None:
    with pytest.raises(ExpressionError):
        read_address_range(low, high)


@pytest.mark.parametrize(
    ("token", "bounds"),
    [("[0:3]", (0, 3)), ("[1-2]", (1, 2)), ("[3]", (3, 1)), ("[-3:]", (-3, None)), ("[:4]", (0, 4)),
     ("[ 1 : 2 ]", (1, 2)),
     ("[-3--1]", (-3, 3)), ("[-1]", (-1, 1)), ("[:]", (0, None))],
)  # fmt: skip
def test_a_slice_is_a_start_and_a_length(token: str, bounds: tuple[int, int | None]) -> None:
    assert read_slice(token) == bounds


@pytest.mark.parametrize(
    "token", ["[]", "[-]", "[1-]", "[1:2:3]", "[0:0]", "[3-1]", "[-2-1]", "[1,2]", "[-1:2]", "[70000]"]
)
def test_a_slice_of_nothing_is_refused(token: str) -> None:
    with pytest.raises(ExpressionError):
        read_slice(token)
