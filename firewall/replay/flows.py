"""RTP told by its flow alone: the shortest way for the packets that most of a capture is made of.

A flow's first packets go the long way (decoded, decided by the engine). Those that follow are known by the bytes of
their addresses and ports, and only counted. Whatever is unusual about a packet sends it the long way again, and so does
a change of what was negotiated for one of its ends.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from struct import Struct
from typing import Any

from firewall.engine.media_flow import MAX_WAITING, MediaFlow
from firewall.net.capture_record import CaptureRecord
from firewall.net.link import ETHERNET, IPV4, IPV6, RAW
from firewall.net.rtp_stream import RtpPacket
from firewall.net.tcp import Vantage
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2, vantage
from firewall.replay.copies import COPY_WINDOW_NS

_MAX_FLOWS = 65_536
# Of the link header the Ethernet type; of IPv4 version with length, total length, fragment, protocol, addresses with
# ports, UDP length, the RTP header. Of IPv6 version, payload length, next header and the same.
_IPV4_UDP = "BxH2xHxB2x12sH2xBBHII"
_IPV6_UDP = "B3xHBx36sH2xBBHII"
_LINKS = {ETHERNET: "12x2s", LINUX_SLL: "14x2s", LINUX_SLL2: "2s18x", RAW: "0s", IPV4: "0s", IPV6: "0s"}
# IEEE 802.1Q tags, one (a VLAN) or two (QinQ), between the addresses and the Ethernet type.
_TAGS = frozenset({b"\x81\x00", b"\x88\xa8", b"\x91\x00"})
_ONE_TAG, _TWO_TAGS = "16x2s", "20x2s"
_IPV4 = b"\x08\x00"
_ETHERTYPE4, _ETHERTYPE6 = (_IPV4, b""), (b"\x86\xdd", b"")
_HIGHEST_TYPE = 127  # of payload types; above it the marker is set
_PLAIN_IPV4, _UDP, _UDP_BYTES, _UDP_AND_RTP_BYTES = 0x45, 17, 8, 20

RtpOfFlow = tuple[bytes, int, int, int, int, int]
"""Addresses with ports, length of the UDP datagram, second byte of the RTP header, sequence, timestamp, SSRC."""


def _layout(link: str) -> tuple[Callable[[bytes], tuple[Any, ...]], int, Struct, int]:
    plain4 = Struct(f">{link}{_IPV4_UDP}")
    return plain4.unpack_from, plain4.size, Struct(f">{link}{_IPV6_UDP}"), Struct(f">{link}").size


_LAYOUTS = {link_type: _layout(link) for link_type, link in _LINKS.items()}
_TAGGED, _TAGGED_TWICE = _layout(_ONE_TAG), _layout(_TWO_TAGS)
_COOKED = frozenset({LINUX_SLL, LINUX_SLL2})


class _Known:
    """A flow: whether its addresses are announced, the engines' own flows, where and when its packets are seen.

    ``one`` is the flow where a single engine counts it.
    """

    __slots__ = ("interface_id", "last_ns", "media", "negotiated", "one", "outgoing")

    def __init__(self, negotiated: bool, media: tuple[MediaFlow, ...], seen: Vantage, last_ns: int) -> None:
        self.negotiated = negotiated
        self.media = media
        self.one = media[0] if len(media) == 1 else None
        self.interface_id, self.outgoing = seen
        self.last_ns = last_ns


class RtpFlows:
    """The flows of which nothing is asked but their counts.

    One that a pinhole lets pass is known until something changes about one of its ends; any other only until something
    is negotiated anywhere, as that may be why it is refused.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, _Known] = {}
        self._by_end: dict[bytes, set[bytes]] = {}
        self._refused: set[bytes] = set()
        self._link_type = ETHERNET
        self._layout = _LAYOUTS[ETHERNET]

    def count(self, record: CaptureRecord) -> bool | None:
        """Count the RTP packet in a frame for its flow, and tell whether its addresses are announced in SDP.

        None where only the long way can tell; nothing is counted then.
        """
        data, link_type = record.data, record.link_type
        if link_type != self._link_type and link_type in _LAYOUTS:
            self._link_type, self._layout = link_type, _LAYOUTS[link_type]
        unpack, least, _, ip_start = self._layout
        if link_type == self._link_type and len(data) >= least and data[ip_start] == _PLAIN_IPV4:
            # As rtp_of_flow does it, without the cost of calling it.
            ethertype, _, total, fragment, protocol, flow, length, first, second, sequence, timestamp, ssrc = unpack(
                data
            )
            if (
                ethertype not in _ETHERTYPE4
                or protocol != _UDP
                or length != total - 20
                or length < _UDP_AND_RTP_BYTES
                or fragment & 0x3FFF
                or ip_start + total > len(data)
                or first >> 6 != 2
                or 192 <= second <= 223
            ):
                return None
        else:
            packet = rtp_of_flow(link_type, data)
            if packet is None:
                return None
            flow, length, second, sequence, timestamp, ssrc = packet
        known = self._known.get(flow)
        if known is None:
            return None
        now_ns = record.timestamp_ns
        if link_type in _COOKED:
            interface_id, outgoing = vantage(record)
        else:
            interface_id, outgoing = record.interface_id, record.outgoing
        if interface_id != known.interface_id or outgoing is not known.outgoing:
            # The same packet on its way out of the capturing machine, unless it is not seen elsewhere any more.
            return known.negotiated if now_ns - known.last_ns <= COPY_WINDOW_NS else None
        one = known.one
        if one is not None:
            if one.ssrc != ssrc or one.payload_type != second & 0x7F or not one.is_plain:
                return None
            waiting = one.waiting
            waiting.append((sequence, timestamp, length - _UDP_BYTES, now_ns, second > _HIGHEST_TYPE))
            if len(waiting) >= MAX_WAITING:
                one.settle()
        else:
            one_packet = sequence, timestamp, length - _UDP_BYTES, now_ns, second > _HIGHEST_TYPE
            if not _count_all(known.media, second & 0x7F, ssrc, one_packet):
                return None
        known.last_ns = now_ns
        return known.negotiated

    def learn(
        self, record: CaptureRecord, media: tuple[MediaFlow, ...], *, negotiated: bool, passes: bool = False
    ) -> None:
        """Remember what the long way told of a frame: which flows of engines count its packets, () for none, and
        whether every engine has a pinhole for it."""
        packet = rtp_of_flow(record.link_type, record.data)
        if packet is None:
            return
        if len(self._known) >= _MAX_FLOWS:
            self._known.clear()
            self._by_end.clear()
            self._refused.clear()
        flow = packet[0]
        self._known[flow] = _Known(negotiated, media, seen_on(record), record.timestamp_ns)
        if passes:
            for end in _ends_of(flow):
                self._by_end.setdefault(end, set()).add(flow)
        else:
            self._refused.add(flow)

    def renew(self, ends: Iterable[tuple[str, int]]) -> None:
        """Ask again about the flows from or to these addresses and ports, and about those that no pinhole lets pass."""
        for flow in self._refused:
            self._known.pop(flow, None)
        self._refused.clear()
        if not self._by_end:
            return
        for ip, port in ends:
            for flow in self._by_end.pop(_end(ip, port), ()):
                self._known.pop(flow, None)


def _ends_of(flow: bytes) -> tuple[bytes, bytes]:
    """Return sender and receiver of a flow: both addresses come first, then both ports."""
    size = (len(flow) - 4) // 2
    return flow[:size] + flow[-4:-2], flow[size : 2 * size] + flow[-2:]


def _end(ip: str, port: int) -> bytes:
    try:
        return ip_address(ip).packed + port.to_bytes(2, "big")
    except (ValueError, OverflowError):
        return b""  # a host name, or no port: no packet has it


def _count_all(flows: tuple[MediaFlow, ...], payload_type: int, ssrc: int, packet: RtpPacket) -> bool:
    """Count a packet for each flow, or for none and return False."""
    for flow in flows:
        if not flow.is_plain or flow.ssrc != ssrc or flow.payload_type != payload_type:
            return False
    for flow in flows:
        flow.waiting.append(packet)
        if len(flow.waiting) >= MAX_WAITING:
            flow.settle()
    return True


def seen_on(record: CaptureRecord) -> Vantage:
    """Return where a frame was seen."""
    return vantage(record) if record.link_type in _COOKED else (record.interface_id, record.outgoing)


def rtp_of_flow(link_type: int, data: bytes) -> RtpOfFlow | None:
    """Return flow and RTP header of a frame that holds nothing but one plain RTP packet over UDP; else None."""
    layout = _LAYOUTS.get(link_type)
    if layout is None:
        return None
    if link_type == ETHERNET and data[12:14] in _TAGS:
        layout = _TAGGED_TWICE if data[16:18] in _TAGS else _TAGGED
    unpack4, least4, plain6, ip_start = layout
    size = len(data)
    if size < least4:
        return None
    if data[ip_start] >> 4 == 6:
        return _rtp_of_flow6(data, plain6, ip_start)
    ethertype, version, total, fragment, protocol, flow, length, first, second, sequence, timestamp, ssrc = unpack4(
        data
    )
    if (
        version == _PLAIN_IPV4
        and protocol == _UDP
        and length == total - 20
        and length >= _UDP_AND_RTP_BYTES
        and not fragment & 0x3FFF
        and ip_start + total <= size
        and first >> 6 == 2
        and not 192 <= second <= 223
        and ethertype in _ETHERTYPE4
    ):
        return flow, length, second, sequence, timestamp, ssrc
    return None


def _rtp_of_flow6(data: bytes, plain: Struct, ip_start: int) -> RtpOfFlow | None:
    if len(data) < plain.size:
        return None
    ethertype, _, total, protocol, flow, length, first, second, sequence, timestamp, ssrc = plain.unpack_from(data)
    if (
        protocol == _UDP
        and length == total
        and length >= _UDP_AND_RTP_BYTES
        and ip_start + 40 + total <= len(data)
        and first >> 6 == 2
        and not 192 <= second <= 223
        and ethertype in _ETHERTYPE6
    ):
        return flow, length, second, sequence, timestamp, ssrc
    return None
