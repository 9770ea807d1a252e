"""The kernel's sets of media flows: which one holds a pinhole, and how its element looks there.

A set is named by what its key compares, and by what is done (``kernel_set``). ``media4`` and ``media6``: source
address, destination address and port. ``media4_port``: the source port too. ``media4_from_ZONE``: only destination
address and port, of packets that come from the zone (``media4_from`` from anywhere, in a policy without zones).
"""

import hashlib
import re
import socket
from typing import Literal, NamedTuple, get_args
from urllib.parse import quote, unquote

from firewall.engine.pinhole import Pinhole, PinholeKey
from firewall.net.ip import packed_address_text
from firewall.ruleset.policy import Inspect
from firewall.sip.media_endpoint import MediaProtocol

Family = Literal[4, 6]
FAMILIES: tuple[Family, ...] = (4, 6)

CHAIN_OF: dict[Inspect, str] = {"first": "media_first", "sample": "media_sample", "all": "media_all"}
"""Where the packets of an allowed flow go: by which of them are copied to the daemon."""
ACCEPT = "accept"
"""In place of a chain, where no packet is copied: each chain, and each rule in it, costs every packet."""
DROP_CHAIN = "media_dropped"

_ADDRESS_FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
_ADDRESS_BYTES = {4: 4, 6: 16}
_PORT_BYTES = 4  # two of them padding
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]{1,48}")
_MAX_COMMENT_BYTES = 250  # the kernel keeps 256 bytes with an element, three of them around the comment
_KINDS: dict[str, MediaProtocol] = {kind: kind for kind in get_args(MediaProtocol)}


COPYING = (*CHAIN_OF.values(), DROP_CHAIN)
"""The chains that copy, in the order in which a packet is looked for in their sets."""


class Element(NamedTuple):
    """Where a pinhole is in the kernel: the set, and the bytes of its key."""

    set_name: str
    key: bytes


def zone_set(family: Family, zone: str | None) -> str:
    """Return the name of the set for packets from a zone, whatever their source; None: from anywhere."""
    if zone is None:
        return f"media{family}_from"
    return f"media{family}_from_{plain_name(zone)}"


def plain_name(zone: str) -> str:
    """Return a zone's name where nft can take it as it is, another that stands for it where not."""
    return zone if _PLAIN_NAME.fullmatch(zone) else hashlib.sha256(zone.encode()).hexdigest()[:16]


def set_types(zones: tuple[str, ...]) -> dict[str, str]:
    """Return every set there must be for these zones: its name, and its type as nft writes it."""
    types: dict[str, str] = {}
    for family in FAMILIES:
        end = f"ipv{family}_addr . inet_service"
        types[f"media{family}"] = f"ipv{family}_addr . {end}"
        types[f"media{family}_port"] = f"{end} . {end}"
        for zone in (None, *zones):
            types[zone_set(family, zone)] = end
    return types


def kernel_set(set_name: str, chain: str) -> str:
    """Return the name under which the kernel has the elements of a set whose packets go to a chain, or are accepted.

    Only what is accepted is in a map with its verdict. When an element is added that sends packets to a chain, the
    kernel looks at all elements of such maps, lest chains go round in circles: so each chain has plain sets of its own.
    """
    return set_name if chain == ACCEPT else f"{chain.removeprefix('media_')}_{set_name}"


def element_of(key: PinholeKey) -> Element:
    """Return the place of a pinhole in the kernel.

    Raises:
        ValueError: an address is none.
    """
    family: Family = 6 if ":" in key.dst_ip else 4
    destination = _packed(family, key.dst_ip) + _port(key.dst_port)
    if key.src_ip is None:
        return Element(zone_set(family, key.src_zone), destination)
    source = _packed(family, key.src_ip)
    if key.src_port is None:
        return Element(f"media{family}", source + destination)
    return Element(f"media{family}_port", source + _port(key.src_port) + destination)


def key_of(element: Element, src_zone: str | None) -> PinholeKey | None:
    """Return the pinhole of an element found in the kernel, None where it is none of ours."""
    match = re.fullmatch(r"media([46])(_port|_from\w*)?", element.set_name)
    if match is None:
        return None
    family: Family = 4 if match[1] == "4" else 6
    has_source, has_source_port = match[2] in (None, "_port"), match[2] == "_port"
    size, key = _ADDRESS_BYTES[family], element.key
    end = size + _PORT_BYTES
    if len(key) != end + size * has_source + _PORT_BYTES * has_source_port:
        return None
    src_ip = packed_address_text(key[:size]) if has_source else None
    src_port = int.from_bytes(key[size : size + 2], "big") if has_source_port else None
    dst_port = int.from_bytes(key[-_PORT_BYTES:-2], "big")
    return PinholeKey("UDP", src_zone, src_ip, src_port, packed_address_text(key[-end:-_PORT_BYTES]), dst_port)


def comment_of(pinhole: Pinhole) -> str:
    """Return what an element tells who lists the set: kind, zone it comes from, call (left out where too long)."""
    words = [pinhole.kind, quote(pinhole.key.src_zone or "-", safe="."), quote(pinhole.call_id, safe="@:<>/?[]{}()!*+")]
    comment = " ".join(words)
    return comment if len(comment) <= _MAX_COMMENT_BYTES else " ".join(words[:2])


def read_comment(comment: str) -> tuple[MediaProtocol, str | None, str]:
    """Return what a comment of ours says: kind, zone, call ("" where it is not told)."""
    words = [*comment.split(" "), "", ""]
    return _KINDS.get(words[0], "rtp"), None if words[1] in ("-", "") else unquote(words[1]), unquote(words[2])


def _packed(family: Family, ip: str) -> bytes:
    try:
        return socket.inet_pton(_ADDRESS_FAMILY[family], ip)
    except OSError:
        raise ValueError(f"{ip!r} is no address") from None


def _port(port: int) -> bytes:
    return port.to_bytes(2, "big") + b"\0\0"
