"""What is told of bytes that are no SIP message."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.unreadable import call_id_in


@pytest.mark.parametrize(
    ("payload", "call_id"),
    [
        (b"INVITE\r\nCall-ID: a@b\r\nX", "a@b"),
        (b"call-id :\t a@b \r\n", "a@b"),
        (b"X\ni: short", "short"),
        (b"X\r\ni : a@b\r\nCall-ID: c", "a@b"),
        (b"", None),
        (b"X: Call-ID: a@b\r\n", None),
        (b"Call-ID:\r\n", None),
        (b"\x16\x03\x01", None),
    ],
)
def test_the_call_id_is_found_at_the_beginning_of_a_line(payload: bytes, call_id: str | None) -> None:
    assert call_id_in(payload) == call_id


@given(st.binary(max_size=200))
def test_any_bytes_are_searched(payload: bytes) -> None:
    call_id_in(payload)
