"""Frames: from the link layer, through any tunnels, to the datagram inside."""

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.ip import PacketDecoder, Undecoded
from firewall.net.link import ETHERNET as ETHERNET
from firewall.net.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6, SHORT, UNKNOWN_LINK, ip_packet
from firewall.net.pcapng import NO_LINK_TYPE

_USER_LINKS = range(147, 163)  # LINKTYPE_USER0 to USER15


class FrameDecoder(PacketDecoder):
    """Reads the frames of one capture, in order: any bytes give a datagram or the reason why not."""

    def decode(self, record: CaptureRecord) -> Datagram | Undecoded:
        """Return the datagram in a frame; for one that came in fragments, at the frame that completes it."""
        protocol, offset = ip_packet(record.link_type, record.data)
        if protocol == ETHERTYPE_IPV4:
            return self.ipv4(record, offset)
        if protocol == ETHERTYPE_IPV6:
            return self.ipv6(record, offset)
        if protocol == SHORT:
            return self.short(record, "its link header")
        if protocol == UNKNOWN_LINK and record.link_type in _USER_LINKS:
            reason = f"link type {record.link_type} is for private use: only who wrote the capture knows what is in it"
            return self.undecoded(record, "link_type", reason)
        if protocol == UNKNOWN_LINK and record.link_type != NO_LINK_TYPE:
            return self.undecoded(record, "link_type", f"link type {record.link_type} is not supported")
        return self.undecoded(record, "not_ip", "the frame holds no IP packet")
