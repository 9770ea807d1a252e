"""Which datagrams are taken for SIP: by port, or by how they begin."""

import pytest

from firewall.net.signalling import MESSAGE_PREFIXES, SIP_PORT, begins_signalling, is_signalling

PORTS = frozenset({SIP_PORT, 5070})
# RFC 3261, 3262, 3265/6665, 3311, 3428, 3515, 3903, 6086.
METHODS = [
    "ACK",
    "BYE",
    "CANCEL",
    "INFO",
    "INVITE",
    "MESSAGE",
    "NOTIFY",
    "OPTIONS",
    "PRACK",
    "PUBLISH",
    "REFER",
    "REGISTER",
    "SUBSCRIBE",
    "UPDATE",
]


@pytest.mark.parametrize("method", METHODS)
def test_every_request_is_found_on_any_port(method: str) -> None:
    assert is_signalling(40000, 40001, f"{method} sip:911@psap.example SIP/2.0\r\n".encode(), PORTS)


def test_a_response_is_found_on_any_port() -> None:
    assert is_signalling(40000, 40001, b"SIP/2.0 200 OK\r\n", PORTS)


@pytest.mark.parametrize(("src_port", "dst_port"), [(5060, 40000), (40000, 5060), (5070, 1), (1, 5070)])
def test_anything_on_a_signalling_port_is_taken(src_port: int, dst_port: int) -> None:
    assert is_signalling(src_port, dst_port, b"\r\n\r\n", PORTS)
    assert is_signalling(src_port, dst_port, b"", PORTS)


@pytest.mark.parametrize(
    "payload", [b"", b"\x80\0" + bytes(160), b"\0\1\0\0\x21\x12\xa4\x42", b"INV", b"GET / HTTP/1.1"]
)
def test_media_and_others_on_other_ports_are_not(payload: bytes) -> None:
    assert not is_signalling(40000, 40002, payload, PORTS)


def test_a_prefix_is_what_one_look_up_in_the_kernel_compares() -> None:
    assert {len(prefix) for prefix in MESSAGE_PREFIXES} == {4}
    assert len(set(MESSAGE_PREFIXES)) == len(MESSAGE_PREFIXES) == len(METHODS) + 1


@pytest.mark.parametrize("payload", [b"I", b"INV", b"INVI", b"INVITE x", b"SIP/2.0"])
def test_what_may_become_a_message_begins_one(payload: bytes) -> None:
    assert begins_signalling(payload)


@pytest.mark.parametrize("payload", [b"", b"X", b"INX", b"INVX", b"HTTP/1.1"])
def test_what_cannot_become_a_message_begins_none(payload: bytes) -> None:
    assert not begins_signalling(payload)
