"""Netlink messages: made here, taken apart here, and understood by the kernel."""

import errno
import os
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import MachineError
from firewall.live import netlink
from firewall.live.netlink import (
    DONE,
    ERROR,
    NETFILTER,
    NFTABLES,
    NOOP,
    ROUTE,
    NetlinkSocket,
    answered,
    attribute,
    attributes,
    batch,
    error_code,
    listed,
    message,
    messages,
    nested,
    open_netlink,
    parts,
    refusal,
    text,
)

GET_LINK, GET_RULE = 18, 34
LINK = struct.Struct("=BxHiII")
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
    for *_, start, end in messages(data):
        assert start >= 0
        assert end <= len(data)


def test_a_batch_is_its_messages_between_begin_and_end() -> None:
    body = nested(3, text(1, "sosgate"))
    one = message(NFTABLES, 12, 0, 7, body)
    found = list(messages(batch([one, one])))
    assert [(kind, sequence) for kind, _, sequence, *_ in found] == [(0x10, 0), (0xA0C, 1), (0xA0C, 2), (0x11, 0)]


def test_an_error_says_its_code() -> None:
    data = struct.pack("=IHHIIi", 20, ERROR, 0, 9, 0, -errno.ENOENT)
    ((kind, _, sequence, start, _),) = messages(data)
    assert (kind, sequence, error_code(data, start)) == (ERROR, 9, errno.ENOENT)


def test_a_refusal_names_the_capability_that_is_missing() -> None:
    assert "CAP_NET_ADMIN" in str(refusal("open", "the sets", errno.EPERM))
    assert "CAP_NET_ADMIN" not in str(refusal("open", "the sets", errno.ENOBUFS))


def test_a_socket_that_a_security_module_refuses_is_not_said_to_be_the_loopback_interfaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: int) -> socket.socket:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(netlink, "open_netlink", refuse)
    with pytest.raises(MachineError, match=r"cannot open a netlink socket to netfilter: Permission denied$"):
        NetlinkSocket(NETFILTER)


@pytest.mark.netns
def test_the_kernel_says_which_message_of_a_batch_it_refuses() -> None:
    opened = NetlinkSocket(NETFILTER)
    try:
        absent = message(NFTABLES, 14, 0, 5, text(1, "no_such_table") + text(2, "no_such_set"), family=1)
        opened.send(batch([absent]))
        assert opened.errors() == {1: errno.ENOENT}
        assert opened.receive() is None
    finally:
        opened.close()


@pytest.mark.netns
def test_everything_is_listed_and_one_thing_answered() -> None:
    indices = [LINK.unpack_from(answer)[2] for answer in listed(ROUTE, GET_LINK, bytes(LINK.size))]
    assert indices == [index for index, _ in socket.if_nameindex()]
    loopback = LINK.unpack_from(answered(ROUTE, GET_LINK, LINK.pack(0, 0, 1, 0, 0)))
    assert loopback[1:3] == (772, 1)


@pytest.mark.netns
def test_what_the_kernel_refuses_is_an_error_with_its_code() -> None:
    with pytest.raises(OSError, match="No such device"):
        answered(ROUTE, GET_LINK, LINK.pack(0, 0, 0x7FFFFFFF, 0, 0))
    with pytest.raises(OSError, match="Operation not supported"):
        listed(ROUTE, 250, bytes(16))


@pytest.mark.netns
def test_a_protocol_that_the_kernel_has_not_is_an_error_with_its_code() -> None:
    with pytest.raises(OSError, match="Protocol not supported"):
        open_netlink(31)


@pytest.mark.netns
def test_a_list_that_ends_with_an_error_is_none_and_what_says_nothing_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def said(kind: int, body: bytes) -> bytes:
        return struct.pack("=IHHII", 16 + len(body), kind, 0, 1, 0) + body

    def told(code: int) -> list[bytes]:
        ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        monkeypatch.setattr(netlink, "open_netlink", lambda _: ours)
        with kernels:
            kernels.send(said(NOOP, b"") + said(GET_LINK, b"link") + said(DONE, struct.pack("=i", -code)))
            return listed(ROUTE, GET_LINK, b"")

    assert told(0) == [b"link"]
    with pytest.raises(OSError, match="No buffer space"):
        told(errno.ENOBUFS)


@pytest.mark.netns
@pytest.mark.parametrize("interruptions", [1, 100])
def test_what_changes_while_it_is_listed_is_asked_for_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch, interruptions: int
) -> None:
    asked: list[int] = []

    def told(*_: object) -> list[tuple[int, bytes]]:
        asked.append(1)
        return [(0, b"one"), (0x10 if len(asked) <= interruptions else 0, b"two")]

    monkeypatch.setattr(netlink, "told", told)
    if interruptions == 1:
        assert listed(ROUTE, GET_RULE, bytes(12)) == [b"one", b"two"]
        assert len(asked) == 2
    else:
        with pytest.raises(OSError, match="it changes too often"):
            listed(ROUTE, GET_RULE, bytes(12))
        assert len(asked) == 4
