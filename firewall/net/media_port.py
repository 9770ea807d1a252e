"""Which datagrams may be media by their ports alone: one definition for the kernel's rules and for replay."""

FIRST_MEDIA_PORT = 1024
"""RTP has no ports of its own (RFC 3550 §11), but none of it uses the system ports (RFC 6335 §6): what comes from or
goes to one of them, as answers of DNS and NTP do, is no media."""


def is_media_port(src_port: int, dst_port: int, other_ports: frozenset[int]) -> bool:
    """Tell whether a UDP datagram between these ports is media, or would be; ``other_ports`` are the policy's."""
    return (
        src_port >= FIRST_MEDIA_PORT
        and dst_port >= FIRST_MEDIA_PORT
        and src_port not in other_ports
        and dst_port not in other_ports
    )
