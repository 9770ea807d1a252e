"""Which datagrams are SIP signalling: one definition for the kernel's rules and for replay.

A UDP datagram is signalling when one of its ports is a signalling port (5060 unless the policy says otherwise), or
when its first four bytes begin a SIP message. The second clause finds SIP on any port; four bytes, because that is
what one nftables set look-up compares.
"""

SIP_PORT = 5060
SENT_PROTOCOL = b"SIP/2.0/"
"""In the Via that each message has (RFC 3261 §20.42)."""

# RFC 3261 §7.1 and the IANA "SIP Methods" registry; a status line begins with the SIP version (§7.2).
MESSAGE_PREFIXES: tuple[bytes, ...] = (
    b"ACK ",
    b"BYE ",
    b"CANC",
    b"INFO",
    b"INVI",
    b"MESS",
    b"NOTI",
    b"OPTI",
    b"PRAC",
    b"PUBL",
    b"REFE",
    b"REGI",
    b"SIP/",
    b"SUBS",
    b"UPDA",
)
_PREFIXES = frozenset(MESSAGE_PREFIXES)
_BEGINNINGS = frozenset(prefix[:size] for prefix in MESSAGE_PREFIXES for size in range(1, len(prefix) + 1))


def is_signalling(src_port: int, dst_port: int, payload: bytes, ports: frozenset[int]) -> bool:
    """Tell whether a UDP datagram is SIP signalling for a firewall whose signalling ports are ``ports``."""
    return dst_port in ports or src_port in ports or payload[:4] in _PREFIXES


def begins_signalling(payload: bytes) -> bool:
    """Tell whether bytes begin a SIP message, or may do so once more of them come; none do not."""
    return payload[:4] in _BEGINNINGS
