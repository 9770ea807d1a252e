"""RTP told by its flow alone: the shortest way for the packets that most of a capture is made of.

A flow's first packets go the long way (decoded, decided by the engine). Those that follow are known by the bytes of
their addresses and ports, and only counted. Whatever is unusual about a packet sends it the long way again, and so does
a change of what was negotiated for one of its ends.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from struct import Struct
from typing import NamedTuple

from firewall.engine.media_flow import MAX_WAITING, MediaFlow
from firewall.net.capture_record import CaptureRecord
from firewall.net.link import ETHERNET, IPV4, IPV6, RAW
from firewall.net.rtp_stream import RtpPacket
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2, Vantage, vantage
from firewall.replay.copies import COPY_WINDOW_NS

_MAX_FLOWS = 65_536
_MAX_SHAPES = 65_536
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
# What is the same in all packets of one size of a flow over IPv4: the link header (without Ethernet's addresses) and
# all of the IP header up to the total length; fragment, time to live, protocol; addresses, ports, UDP length.
_ALIKE = "2x4s2x14s2xHHII"

RtpOfFlow = tuple[bytes, int, int, int, int, int]
"""Addresses with ports, length of the UDP datagram, second byte of the RTP header, sequence, timestamp, SSRC."""


class _Layout(NamedTuple):
    """Where everything stands in a frame of some link layer, with IPv4 or IPv6 behind it."""

    plain4: Struct
    plain6: Struct
    ip_start: int
    alike: Struct


def _layout(link: str, addresses_bytes: int = 0) -> _Layout:
    ip_start = Struct(f">{link}").size
    alike = Struct(f">{addresses_bytes}x{ip_start - addresses_bytes + 4}s{_ALIKE}")
    return _Layout(Struct(f">{link}{_IPV4_UDP}"), Struct(f">{link}{_IPV6_UDP}"), ip_start, alike)


_LAYOUTS = {link_type: _layout(link, 12 if link_type == ETHERNET else 0) for link_type, link in _LINKS.items()}
_TAGGED, _TAGGED_TWICE = _layout(_ONE_TAG, 12), _layout(_TWO_TAGS, 12)
_ETHERNET_ALIKE, _PLAIN_HEAD = _LAYOUTS[ETHERNET].alike, b"\x08\x00\x45"


class _Known:
    """A flow: whether its addresses are announced, the engines' own flows, where and when its packets are seen.

    ``shapes`` are the keys of what its packets looked like so far.
    """

    __slots__ = ("last_ns", "media", "negotiated", "seen_on", "shapes")

    def __init__(self, negotiated: bool, media: tuple[MediaFlow, ...], seen: Vantage, last_ns: int) -> None:
        self.negotiated = negotiated
        self.media = media
        self.seen_on = seen
        self.last_ns = last_ns
        self.shapes: set[bytes] = set()


class _Shape:
    """Packets of a flow that a single engine counts, all of one size and type: what is the same in their frames."""

    __slots__ = (
        "frame_bytes",
        "head",
        "interface_id",
        "key",
        "known",
        "marker",
        "media",
        "middle",
        "octets",
        "outgoing",
        "payload_type",
        "version_and_type",
    )

    def __init__(self, known: _Known, record: CaptureRecord, layout: _Layout, octets: int) -> None:
        self.known = known
        self.media = known.media[0]
        self.head, self.middle, self.key, self.version_and_type = layout.alike.unpack_from(record.data)[:4]
        self.marker, self.payload_type = self.version_and_type & 0x80 != 0, self.version_and_type & 0x7F
        self.frame_bytes = layout.ip_start + 20 + _UDP_BYTES + octets
        self.octets = octets
        self.interface_id, self.outgoing = record.interface_id, record.outgoing


class RtpFlows:
    """The flows of which nothing is asked but their counts.

    One that a pinhole lets pass is known until something changes about one of its ends; any other only until something
    is negotiated anywhere, as that may be why it is refused.
    """

    def __init__(self) -> None:
        self.negotiated = 0
        """How many packets were counted whose addresses are announced in SDP."""
        self._known: dict[bytes, _Known] = {}
        self._shapes: dict[bytes, _Shape] = {}
        self._by_end: dict[bytes, set[bytes]] = {}
        self._refused: set[bytes] = set()
        # The layout of the packet counted last.
        self._link_type = ETHERNET
        self._alike = _ETHERNET_ALIKE

    def count(self, records: Iterator[CaptureRecord], until_ns: int) -> CaptureRecord | None:
        """Count RTP packets, each for its flow, up to a frame of which only the long way can tell; return that one.

        A frame that comes at ``until_ns`` or later ends the counting, too; None where the frames end.
        """
        shapes, link_type, alike = self._shapes, self._link_type, self._alike
        unpack, least_bytes = alike.unpack_from, alike.size
        for record in records:
            data, now_ns = record.data, record.timestamp_ns
            if now_ns >= until_ns:
                return record
            if record.link_type == link_type and len(data) >= least_bytes:
                head, middle, key, version_and_type, sequence, timestamp, ssrc = unpack(data)
                shape = shapes.get(key)
                if shape is not None:
                    media = shape.media
                    if (
                        shape.version_and_type == version_and_type
                        and media.ssrc == ssrc
                        and media.payload_type == shape.payload_type
                        and media.is_plain
                        and shape.head == head
                        and shape.middle == middle
                        and shape.frame_bytes <= len(data)
                        and shape.interface_id == record.interface_id
                        and shape.outgoing is record.outgoing
                    ):
                        waiting = media.waiting
                        waiting.append((sequence, timestamp, shape.octets, now_ns, shape.marker))
                        if len(waiting) >= MAX_WAITING:
                            media.settle()
                        known = shape.known
                        known.last_ns = now_ns
                        self.negotiated += known.negotiated
                        continue
                elif head[:3] == _PLAIN_HEAD and version_and_type >> 14 != 2 and alike is _ETHERNET_ALIKE:
                    return record  # signalling, mostly: no RTP header begins like that
            if not self._count_unlike(record):
                return record
            link_type, alike = self._link_type, self._alike
            unpack, least_bytes = alike.unpack_from, alike.size
        return None

    def _count_unlike(self, record: CaptureRecord) -> bool:
        """Count a packet that does not look like those before; it may be one of a known flow all the same."""
        packet = rtp_of_flow(record.link_type, record.data)
        if packet is None:
            return False
        flow, length, second, sequence, timestamp, ssrc = packet
        known, now_ns = self._known.get(flow), record.timestamp_ns
        if known is None:
            return False
        if vantage(record) == known.seen_on:
            one_packet = sequence, timestamp, length - _UDP_BYTES, now_ns, second > _HIGHEST_TYPE
            if not _count_all(known.media, second & 0x7F, ssrc, one_packet):
                return False
            known.last_ns = now_ns
            if len(known.media) == 1:
                self._remember_shape(record, known, length - _UDP_BYTES)
        elif now_ns - known.last_ns > COPY_WINDOW_NS:
            return False  # else it is the same packet on its way out of the capturing machine
        self.negotiated += known.negotiated
        return True

    def _remember_shape(self, record: CaptureRecord, known: _Known, octets: int) -> None:
        """Know the next packet of this flow and size by what does not change from one to the other."""
        layout = _layout_of(record.link_type, record.data)
        if layout is None or record.data[layout.ip_start] != _PLAIN_IPV4:
            return
        if len(self._shapes) >= _MAX_SHAPES:
            self._shapes.clear()
            for each in self._known.values():
                each.shapes.clear()
        self._link_type, self._alike = record.link_type, layout.alike
        shape = _Shape(known, record, layout, octets)
        self._shapes[shape.key] = shape
        known.shapes.add(shape.key)

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
            self._shapes.clear()
            self._by_end.clear()
            self._refused.clear()
        flow = packet[0]
        self._forget(flow)
        self._known[flow] = _Known(negotiated, media, vantage(record), record.timestamp_ns)
        if passes:
            for end in _ends_of(flow):
                self._by_end.setdefault(end, set()).add(flow)
        else:
            self._refused.add(flow)

    def renew(self, ends: Iterable[tuple[str, int]]) -> None:
        """Ask again about the flows from or to these addresses and ports, and about those that no pinhole lets pass."""
        for flow in self._refused:
            self._forget(flow)
        self._refused.clear()
        if not self._by_end:
            return
        for ip, port in ends:
            for flow in self._by_end.pop(_end(ip, port), ()):
                self._forget(flow)

    def _forget(self, flow: bytes) -> None:
        known = self._known.pop(flow, None)
        if known is not None:
            for key in known.shapes:
                self._shapes.pop(key, None)


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


def rtp_of_flow(link_type: int, data: bytes) -> RtpOfFlow | None:
    """Return flow and RTP header of a frame that holds nothing but one plain RTP packet over UDP; else None."""
    layout = _layout_of(link_type, data)
    if layout is None:
        return None
    plain4, ip_start, size = layout.plain4, layout.ip_start, len(data)
    if size < plain4.size:
        return None
    if data[ip_start] == _PLAIN_IPV4 and data[ip_start + 28] >> 6 != 2:
        return None  # signalling, mostly: no RTP header begins like that
    if data[ip_start] >> 4 == 6:
        return _rtp_of_flow6(data, layout.plain6, ip_start)
    ethertype, version, total, fragment, protocol, flow, length, first, second, sequence, timestamp, ssrc = (
        plain4.unpack_from(data)
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


def _layout_of(link_type: int, data: bytes) -> _Layout | None:
    if link_type == ETHERNET and data[12:14] in _TAGS:
        return _TAGGED_TWICE if data[16:18] in _TAGS else _TAGGED
    return _LAYOUTS.get(link_type)


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
