"""Sockets that may have the address of others (ip(7), IP_TRANSPARENT), and the options they have by IP version."""

import socket
from typing import NamedTuple

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>


class Options(NamedTuple):
    """The level of an IP version's options, and their numbers: <linux/in.h>, <linux/in6.h>."""

    level: int
    transparent: int
    original_destination: int
    arrival: int
    hops_received: int
    traffic_class_received: int
    hops: int
    traffic_class: int
    path_mtu_discovery: int


OPTIONS = {
    4: Options(socket.IPPROTO_IP, 19, 20, 8, 12, socket.IP_RECVTOS, socket.IP_TTL, socket.IP_TOS, 10),
    6: Options(
        *(socket.IPPROTO_IPV6, 75, 74, socket.IPV6_RECVPKTINFO, socket.IPV6_RECVHOPLIMIT, socket.IPV6_RECVTCLASS),
        *(socket.IPV6_UNICAST_HOPS, socket.IPV6_TCLASS, 23),
    ),
}


def transparent_socket(version: int, kind: int) -> socket.socket:
    """Return a socket that never waits (``kind``: SOCK_DGRAM or SOCK_STREAM), not bound yet.

    Raises:
        OSError: the kernel gives none, or CAP_NET_ADMIN and CAP_NET_RAW are missing.
    """
    opened = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind | socket.SOCK_NONBLOCK)
    try:
        if version == 6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.setsockopt(OPTIONS[version].level, OPTIONS[version].transparent, 1)
    except OSError:
        opened.close()
        raise
    return opened
