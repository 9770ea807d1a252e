"""Frames: from the link layer, through any tunnels, to the datagram inside."""

from functools import lru_cache
from struct import Struct

import msgspec

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import ETHERNET_HEADER_BYTES, Datagram, Packet
from firewall.net.exported_pdu import EXPORT, EXPORTED_PDU, read_exported_pdu
from firewall.net.hep import HEP_BEGINNINGS
from firewall.net.ip import PacketDecoder, Undecoded, packed_address_text, tcp_header
from firewall.net.link import ETHERNET as ETHERNET
from firewall.net.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6, SHORT, UNKNOWN_LINK, ip_packet
from firewall.net.pcapng import NO_LINK_TYPE
from firewall.net.tunnel import UDP_TUNNEL_PORTS

_USER_LINKS = range(147, 163)  # LINKTYPE_USER0 to USER15
# Ethernet type; of IPv4 version with length, total length, fragment, protocol, addresses; ports and length of UDP.
_PLAIN_UDP = Struct(">12xHBxH2xHxB2x4s4sHHH")
_unpack_plain_udp = _PLAIN_UDP.unpack_from
_UDP_PAYLOAD = _PLAIN_UDP.size + 2  # behind the checksum
# As above, and of TCP: ports, sequence and acknowledgment numbers, header length, flags.
_PLAIN_TCP = Struct(">12xHBxH2xHxB2x4s4sHHIIBB")
_unpack_plain_tcp = _PLAIN_TCP.unpack_from
_TCP_START = ETHERNET_HEADER_BYTES + 20
_PLAIN_IPV4, _TCP, _UDP = 0x45, 6, 17


class FrameDecoder(PacketDecoder):
    """Reads the frames of one capture, in order: any bytes give a datagram or the reason why not."""

    def decode(self, record: CaptureRecord) -> Datagram | Undecoded:
        """Return the datagram in a frame; for one that came in fragments, at the frame that completes it."""
        datagram = self.plain_udp(record) or self.plain_tcp(record)
        if datagram is not None:
            return datagram
        protocol, offset = ip_packet(record.link_type, record.data)
        if protocol == ETHERTYPE_IPV4:
            return self.ipv4(record, offset)
        if protocol == ETHERTYPE_IPV6:
            return self.ipv6(record, offset)
        if protocol == SHORT:
            return self.short(record, "its link header")
        if record.link_type == EXPORTED_PDU:
            return self._exported(record)
        if protocol == UNKNOWN_LINK and record.link_type != NO_LINK_TYPE:
            return self.undecoded(record, "link_type", _unread_link(record.link_type))
        return self.undecoded(record, "not_ip", "the frame holds no IP packet")

    def _exported(self, record: CaptureRecord) -> Packet | Undecoded:
        packet, is_cut = read_exported_pdu(record.data), len(record.data) < record.original_length
        if packet is None and not is_cut:
            return self.undecoded(record, "malformed", "the exported PDU is damaged, or tells no addresses")
        if packet is None:
            return self.short(record, "an exported PDU")
        frame_bytes = record.original_length if self.as_captured else None
        packet = msgspec.structs.replace(packet, frame_bytes=frame_bytes, frame_number=record.frame_number)
        return msgspec.structs.replace(self.short(record, "its message"), datagram=packet) if is_cut else packet

    def plain_udp(self, record: CaptureRecord) -> Datagram | None:
        """Read at once what most frames with signalling are: a whole UDP datagram over IPv4 in an Ethernet frame.

        None for whatever is not that simple, which ``decode`` reads step by step; both read the same (tests/net).
        Nothing is remembered of it.
        """
        data = record.data
        if record.link_type != ETHERNET or len(data) < _UDP_PAYLOAD or record.outer:
            return None
        ethertype, version, total, fragment, protocol, src, dst, src_port, dst_port, length = _unpack_plain_udp(data)
        end = ETHERNET_HEADER_BYTES + total
        if (
            ethertype != ETHERTYPE_IPV4
            or version != _PLAIN_IPV4
            or protocol != _UDP
            or fragment & 0x3FFF  # more fragments, or an offset
            or length != total - 20
            or length < 8
            or end > len(data)
            or dst_port in UDP_TUNNEL_PORTS
            or src_port in UDP_TUNNEL_PORTS
        ):
            return None
        payload = data[_UDP_PAYLOAD:end]
        if payload[:2] in HEP_BEGINNINGS:
            return None
        return Datagram(
            packed_address_text(src),
            src_port,
            packed_address_text(dst),
            dst_port,
            payload,
            "UDP",
            self.in_iface(record) if record.interface else record.interface,
            record.original_length if self.as_captured else None,
            record.frame_number,
        )

    def plain_tcp(self, record: CaptureRecord) -> Packet | None:
        """Read at once a whole TCP segment over IPv4 in an Ethernet frame, as ``plain_udp`` does a datagram."""
        data = record.data
        if record.link_type != ETHERNET or len(data) < _PLAIN_TCP.size or record.outer:
            return None
        (
            ethertype, version, total, fragment, protocol, src, dst,
            src_port, dst_port, sequence, acknowledgment, words, flags,
        ) = _unpack_plain_tcp(data)  # fmt: skip
        start, end = _TCP_START + ((words >> 4) << 2), ETHERNET_HEADER_BYTES + total
        if (
            protocol != _TCP
            or ethertype != ETHERTYPE_IPV4
            or version != _PLAIN_IPV4
            or fragment & 0x3FFF
            or words < 0x50  # a header shorter than it may be
            or not start <= end <= len(data)
        ):
            return None
        return Packet(
            packed_address_text(src),
            src_port,
            packed_address_text(dst),
            dst_port,
            data[start:end],
            "TCP",
            self.in_iface(record) if record.interface else record.interface,
            record.original_length if self.as_captured else None,
            record.frame_number,
            tcp_header(sequence, acknowledgment, flags),
        )


@lru_cache(maxsize=64)
def _unread_link(link_type: int) -> str:
    """Say why frames of a link type are not read: one text for all of them, as each loss is kept."""
    if link_type in _USER_LINKS:
        return f"link type {link_type} is for private use: only who wrote the capture knows what is in it"
    return f"link type {link_type} is not read; {EXPORT}"
