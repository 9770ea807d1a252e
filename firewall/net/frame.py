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
_PLAIN = Struct(">12xHBxH2xHxB2x4s4sHHH")
_unpack_plain = _PLAIN.unpack_from
_TRANSPORT_START = ETHERNET_HEADER_BYTES + 20
_UDP_PAYLOAD = _TRANSPORT_START + 8
# Behind the ports of TCP: sequence and acknowledgment numbers, header length, flags.
_unpack_tcp = Struct(">IIBB").unpack_from
_PLAIN_IPV4, _TCP, _UDP, _LEAST_TCP_BYTES = 0x45, 6, 17, 20


class FrameDecoder(PacketDecoder):
    """Reads the frames of one capture, in order: any bytes give a datagram or the reason why not."""

    def decode(self, record: CaptureRecord) -> Datagram | Undecoded:
        """Return the datagram in a frame; for one that came in fragments, at the frame that completes it."""
        datagram = self.plain(record)
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
        if packet.transport == "other":
            self.note_unread(record, packet.payload)
        frame_bytes = record.original_length if self.as_captured else None
        packet = msgspec.structs.replace(packet, frame_bytes=frame_bytes, frame_number=record.frame_number)
        return msgspec.structs.replace(self.short(record, "its message"), datagram=packet) if is_cut else packet

    def plain(self, record: CaptureRecord) -> Datagram | None:
        """Read at once what most frames are: a whole UDP datagram or TCP segment over IPv4 in an Ethernet frame.

        None for whatever is not that simple, which ``decode`` reads step by step; both read the same (tests/net).
        Nothing is remembered of it.
        """
        data = record.data
        if record.link_type != ETHERNET or len(data) < _PLAIN.size or record.outer:
            return None
        ethertype, version, total, fragment, protocol, src, dst, src_port, dst_port, length = _unpack_plain(data)
        end = ETHERNET_HEADER_BYTES + total
        if (
            ethertype != ETHERTYPE_IPV4
            or version != _PLAIN_IPV4
            or fragment & 0x3FFF  # more fragments, or an offset
            or end > len(data)
        ):
            return None
        src_ip, dst_ip = packed_address_text(src), packed_address_text(dst)
        in_iface = self.in_iface(record) if record.interface else None
        frame_bytes, number = record.original_length if self.as_captured else None, record.frame_number
        if protocol == _UDP:
            payload = data[_UDP_PAYLOAD:end]
            if (
                length != total - 20
                or length < 8
                or dst_port in UDP_TUNNEL_PORTS
                or src_port in UDP_TUNNEL_PORTS
                or payload[:2] in HEP_BEGINNINGS
            ):
                return None
            return Datagram(src_ip, src_port, dst_ip, dst_port, payload, "UDP", in_iface, frame_bytes, number)
        if protocol != _TCP or end < _TRANSPORT_START + _LEAST_TCP_BYTES:
            return None
        sequence, acknowledgment, words, flags = _unpack_tcp(data, _TRANSPORT_START + 4)
        start = _TRANSPORT_START + (words >> 4 << 2)
        if words < 0x50 or start > end:  # a header shorter than it may be, or longer than the packet
            return None
        tcp = tcp_header(sequence, acknowledgment, flags)
        return Packet(src_ip, src_port, dst_ip, dst_port, data[start:end], "TCP", in_iface, frame_bytes, number, tcp)


@lru_cache(maxsize=64)
def _unread_link(link_type: int) -> str:
    """Say why frames of a link type are not read: one text for all of them, as each loss is kept."""
    if link_type in _USER_LINKS:
        return f"link type {link_type} is for private use: only who wrote the capture knows what is in it"
    return f"link type {link_type} is not read; {EXPORT}"
