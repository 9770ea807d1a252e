"""Where a session description says that media is sent (RFC 8866 §5.7, §5.14, RFC 3605, 5761, 8839, 4975, 6947)."""

import ipaddress
import re
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from firewall.net.datagram import MAX_PORT
from firewall.net.remembered import remembered
from firewall.net.rtp_stream import STATIC_CLOCK_RATES
from firewall.sip.sdp import MediaDescription, candidates_of, payload_maps

MediaProtocol = Literal["rtp", "rtcp", "msrp", "udp"]
"""``rtp`` also carries RTCP where both share the port (RFC 5761), and the STUN and DTLS before it (RFC 7983).
``udp``: what SDP negotiates over UDP that is no RTP, as fax (T.38), data channels (RFC 8841), floor control."""
Endpoint = tuple[str, int]
"""Address and port; the address as the description has it where it is none (a host name)."""

_KIND_LIMIT = 16
NOWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104
"""Who puts media on hold names one of these (RFC 3264 §8.4)."""
_UNNAMED = "unknown"
"""Where a description has no ``c=``, which RFC 8866 §5.7 wants: a host that nobody knows."""
MAX_PORTS = 8  # of a range ``m=audio 49170/2``: hierarchical encodings (RFC 8866 §5.14) have few layers
MAX_CANDIDATES = 8  # of each component: more than ICE needs (RFC 8445 §5.1.1), few enough for a hostile description
_MSRP_URI = re.compile(r"msrps?://(?:[^@/]*@)?(\[[0-9A-Fa-f:.]+\]|[^:/;\[\]]+):([0-9]{1,5})[/;]", re.ASCII)
_ALTC = re.compile(r"[0-9]+ +IP[46] +([0-9A-Fa-f:.]+) +([0-9]{1,5})(?:/([0-9]{1,5}))?", re.ASCII)
# RFC 3551 §6: the encodings of payload types that need no a=rtpmap.
_STATIC_ENCODINGS = {
    0: "pcmu", 3: "gsm", 4: "g723", 5: "dvi4", 6: "dvi4", 7: "lpc", 8: "pcma", 9: "g722", 10: "l16", 11: "l16",
    12: "qcelp", 13: "cn", 14: "mpa", 15: "g728", 16: "dvi4", 17: "dvi4", 18: "g729", 25: "celb", 26: "jpeg", 28: "nv",
    31: "h261", 32: "mpv", 33: "mp2t", 34: "h263",
}  # fmt: skip


class Formats(Struct, frozen=True, gc=False):
    """The RTP formats of a medium: payload types with the encoding's name and clock rate (Hz) of each, where known.

    Events have no clock rate: all packets of one have the timestamp of its beginning (RFC 4733 §2.2.1), so these say
    nothing of when a packet was sent. ``are_bundled``: they are those of several media on one port.
    """

    payload_types: frozenset[int] = frozenset()
    codecs: tuple[str, ...] = ()
    clock_rates: tuple[tuple[int, int], ...] = ()
    are_bundled: bool = False

    def and_those_of(self, other: "Formats") -> "Formats":
        """Return these formats and those of a medium on the same port."""
        codecs, rates = dict.fromkeys((*self.codecs, *other.codecs)), dict((*other.clock_rates, *self.clock_rates))
        return Formats(self.payload_types | other.payload_types, tuple(codecs), tuple(rates.items()), True)


def endpoints(medium: MediaDescription, protocol: MediaProtocol, *, is_muxed: bool = False) -> tuple[Endpoint, ...]:
    """Return where this medium takes packets of a protocol: the address it names, others, its ICE candidates.

    () for a rejected medium and for a protocol that it does not have. ``is_muxed``: both sides agreed to have RTCP on
    the RTP port, where it is part of ``rtp``; who only offers that takes it on the next port, too (RFC 5761 §5.1.1).
    """
    if medium.port == 0:
        return ()
    if protocol == "msrp":
        return _msrp_endpoint(medium)
    if not (_is_over_udp(medium) if protocol == "udp" else is_rtp_medium(medium)):
        return ()
    if protocol == "rtcp" and is_muxed:
        return ()
    named = _rtcp_endpoints(medium) if protocol == "rtcp" else _ports(medium, medium.port)
    if not has_other_addresses(medium):
        return named
    others = _alternatives(medium.attribute_values("altc"), is_rtcp=protocol == "rtcp")
    candidates = _udp_candidates(medium.attribute_values("candidate"), 2 if protocol == "rtcp" else 1)
    return tuple(dict.fromkeys((*named, *others, *candidates)))


def has_other_addresses(medium: MediaDescription) -> bool:
    """Tell whether a medium offers more than the address of its ``c=``."""
    return "candidate" in medium.own.by_name or "altc" in medium.own.by_name


def _alternatives(values: tuple[str, ...], *, is_rtcp: bool) -> tuple[Endpoint, ...]:
    """Return the endpoints that values of ``a=altc`` name: of an offer by who has IPv4 and IPv6 (RFC 6947 §4.1)."""
    found: list[Endpoint] = []
    for match in map(_ALTC.fullmatch, values[:MAX_CANDIDATES]):
        if match is not None:
            port = int(match[3] or int(match[2]) + 1) if is_rtcp else int(match[2])
            found.append((_address(match[1]), port))
    return tuple([each for each in found if 0 < each[1] <= MAX_PORT])


@lru_cache(maxsize=256)  # all forks of a call are planned anew with each of its messages
def _udp_candidates(values: tuple[str, ...], component: int) -> tuple[Endpoint, ...]:
    """Return the first endpoints over UDP that values of ``a=candidate`` name for a component."""
    found = [
        (_address(candidate.address), candidate.port)
        for candidate in candidates_of(values)
        if candidate.component == component and candidate.transport == "udp" and candidate.port
    ]
    return tuple(found[:MAX_CANDIDATES])


def is_rtp_medium(medium: MediaDescription) -> bool:
    """Tell whether a medium is RTP over UDP: RTP/AVP, RTP/SAVPF, UDP/TLS/RTP/SAVPF and their like (RFC 5764 §8)."""
    return _is_rtp_over_udp(medium.proto)


@remembered(64)
def _is_rtp_over_udp(proto: str) -> bool:
    words = proto.upper().split("/")
    return "RTP" in words and "TCP" not in words


def named_address(medium: MediaDescription) -> str:
    """Return the address of the ``c=`` that holds for a medium, as ``endpoints`` has it."""
    return _address(medium.address or _UNNAMED)


def plain_address(text: str) -> str | None:
    """Return an address in the form of ``endpoints``; None for a host name, for nowhere, and for one with a zone."""
    address = _printed(text)
    return None if address is None or address in NOWHERE or "%" in address else address


def medium_kind(medium: MediaDescription) -> str:
    """Return the medium's word; text where T.140 hides under another (RFC 4103 §7 registers both text and audio)."""
    return "text" if medium.own.is_text else medium.media.lower()[:_KIND_LIMIT]


def formats(medium: MediaDescription) -> Formats:
    """Return the RTP formats that a medium takes."""
    return _formats(medium.formats, medium.own.by_name.get("rtpmap", ()))


@lru_cache(maxsize=64)  # most media of a network have the formats of others
def _formats(words: tuple[str, ...], rtpmap: tuple[str, ...]) -> Formats:
    maps = payload_maps(rtpmap)
    codecs: dict[str, None] = {}
    payload_types: list[int] = []
    rates: list[tuple[int, int]] = []
    for word in words:
        if not (word.isascii() and word.isdigit() and len(word) <= 3 and int(word) < 128):
            continue
        payload_type = int(word)
        payload_types.append(payload_type)
        mapped = maps.get(word)
        codec = mapped.encoding if mapped is not None else _STATIC_ENCODINGS.get(payload_type)
        rate = mapped.clock_rate if mapped is not None else STATIC_CLOCK_RATES.get(payload_type)
        if codec is not None:
            codecs[codec] = None
        if rate and codec != "telephone-event":
            rates.append((payload_type, rate))
    return Formats(frozenset(payload_types), tuple(codecs), tuple(rates))


def _is_over_udp(medium: MediaDescription) -> bool:
    """UDP without RTP: udptl, UDP/TLS/UDPTL, UDP/DTLS/SCTP and its older name DTLS/SCTP, UDP/BFCP, udp itself."""
    words = medium.proto.upper().split("/")
    return words[0] in ("UDP", "UDPTL", "DTLS") and not is_rtp_medium(medium)


def _ports(medium: MediaDescription, first: int) -> tuple[Endpoint, ...]:
    """The named address with each port of a range: every second one, where RTCP has those between (RFC 8866 §5.14)."""
    if medium.number_of_ports == 1:
        return _named(medium.address, first) if first <= MAX_PORT else ()
    step = 2 if is_rtp_medium(medium) else 1
    last = min(first + step * min(medium.number_of_ports, MAX_PORTS), MAX_PORT + 1)
    return tuple(each for port in range(first, last, step) for each in _named(medium.address, port))


def _rtcp_endpoints(medium: MediaDescription) -> tuple[Endpoint, ...]:
    said = medium.said_rtcp
    if said is None:
        return _ports(medium, medium.port + 1)
    return () if said == (medium.port, medium.address) else _named(said[1], said[0])


def _msrp_endpoint(medium: MediaDescription) -> tuple[Endpoint, ...]:
    """The first URI of ``a=path`` is where the connection goes (RFC 4975 §8.2)."""
    if not medium.is_msrp or not medium.msrp_path:
        return ()
    match = _MSRP_URI.match(medium.msrp_path[0])
    if match is None or not 0 < int(match[2]) <= MAX_PORT:
        return ()
    return _named(match[1].strip("[]"), int(match[2]))


def _named(address: str | None, port: int) -> tuple[Endpoint, ...]:
    return ((_address(address or _UNNAMED), port),)


def _address(text: str) -> str:
    return _printed(text) or text


@remembered(4096)
def _printed(text: str) -> str | None:
    """An address as packets have it and the kernel prints it (RFC 5952), so IPv4 as such; None for what is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return str(address if address.version == 4 else address.ipv4_mapped or address)
