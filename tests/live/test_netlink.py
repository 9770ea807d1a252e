"""Netlink messages: made here, taken apart here, and understood by the kernel."""

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.live.netlink import (
    ERROR,
    NFTABLES,
    NetfilterSocket,
    attribute,
    attributes,
    batch,
    error_code,
    message,
    messages,
    nested,
    parts,
    refusal,
    text,
)

PAYLOADS = st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=8)


@given(PAYLOADS)
def test_attributes_are_read_as_they_were_written(wanted: list[tuple[int, bytes]]) -> None:
    data = b"".join(attribute(kind, payload) for kind, payload in wanted)
    assert len(data) % 4 == 0
    assert [(kind, data[start:end]) for kind, start, end in attributes(data, 0, len(data))] == wanted
    assert parts(b"head" + data, 4) == dict(wanted)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_to_their_end(data: bytes) -> None:
    for _, start, end in attributes(data, 0, len(data)):
        assert 0 <= start <= end <= len(data)
    for _, _, start, end in messages(data):
        assert start >= 0
        assert end <= len(data)


def test_a_batch_is_its_messages_between_begin_and_end() -> None:
    body = nested(3, text(1, "sosgate"))
    one = message(NFTABLES, 12, 0, 7, body)
    found = list(messages(batch([one, one])))
    assert [(kind, sequence) for kind, sequence, *_ in found] == [(0x10, 0), (0xA0C, 1), (0xA0C, 2), (0x11, 0)]


def test_an_error_says_its_code() -> None:
    data = struct.pack("=IHHIIi", 20, ERROR, 0, 9, 0, -errno.ENOENT)
    ((kind, sequence, start, _),) = messages(data)
    assert (kind, sequence, error_code(data, start)) == (ERROR, 9, errno.ENOENT)


def test_a_refusal_names_the_capability_that_is_missing() -> None:
    assert "CAP_NET_ADMIN" in str(refusal("open", "the sets", errno.EPERM))
    assert "CAP_NET_ADMIN" not in str(refusal("open", "the sets", errno.ENOBUFS))


@pytest.mark.netns
def test_the_kernel_says_which_message_of_a_batch_it_refuses() -> None:
    opened = NetfilterSocket()
    try:
        absent = message(NFTABLES, 14, 0, 5, text(1, "no_such_table") + text(2, "no_such_set"), family=1)
        opened.send(batch([absent]))
        assert opened.errors() == {1: errno.ENOENT}
        assert opened.receive() is None
    finally:
        opened.close()
