"""STUN on the signalling port: phones keep their binding alive with it (RFC 8489 §5, RFC 5626 §3.5.2)."""

_MAGIC_COOKIE = b"\x21\x12\xa4\x42"
_HEADER_BYTES = 20


def is_stun(payload: bytes) -> bool:
    """Tell whether a datagram is a STUN message: two zero bits, the magic cookie, and a length that is the rest's."""
    return (
        len(payload) >= _HEADER_BYTES
        and payload[0] < 0x40
        and payload[4:8] == _MAGIC_COOKIE
        and int.from_bytes(payload[2:4]) == len(payload) - _HEADER_BYTES
    )
