"""STUN on the signalling port: RFC 8489 §5."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.stun import is_stun

BINDING_REQUEST = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(range(12))


def test_a_binding_request_is_stun() -> None:
    assert is_stun(BINDING_REQUEST)
    assert is_stun(b"\x01\x01\x00\x04" + BINDING_REQUEST[4:] + b"abcd")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        BINDING_REQUEST[:19],
        BINDING_REQUEST + b"x",
        b"\x80" + BINDING_REQUEST[1:],
        bytes(20),
        b"INVITE sip:a@b SIP/2.0",
    ],
)
def test_other_bytes_are_not(payload: bytes) -> None:
    assert not is_stun(payload)


@given(st.binary(max_size=40))
def test_any_bytes_are_stun_or_not(payload: bytes) -> None:
    assert is_stun(BINDING_REQUEST[:2] + len(payload).to_bytes(2) + BINDING_REQUEST[4:] + payload)
    assert not is_stun(payload[:19])
