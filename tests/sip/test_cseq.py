"""CSeq: RFC 3261 §20.16."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.cseq import read_cseq


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("4711 INVITE", (4711, "INVITE")),
        (" 1 \t x-method ", (1, "x-method")),
        ("4294967295 ACK", (2**32 - 1, "ACK")),
        ("4294967296 ACK", (None, "ACK")),
        ("-1 ACK", (None, "ACK")),
        ("\u0663 ACK", (None, "ACK")),
        ("9" * 5000 + " ACK", (None, "ACK")),
        ("1", (None, None)),
        ("1 ACK x", (None, None)),
        ("", (None, None)),
    ],
)
def test_number_and_method_are_read(text: str, read: tuple[int | None, str | None]) -> None:
    assert read_cseq(text) == read


@given(st.text(max_size=20))
def test_any_text_is_read(text: str) -> None:
    number, method = read_cseq(text)
    assert number is None or method is not None
