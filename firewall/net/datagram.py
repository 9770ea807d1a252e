"""What the engine is given: one packet's addresses and payload, however it was received."""

from typing import Literal

import msgspec

Transport = Literal["UDP", "TCP", "other"]

MAX_PORT = 65_535
ETHERNET_HEADER_BYTES = 14
_UDP_HEADER_BYTES = 8


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """One datagram between two endpoints. A ``msgspec.Struct`` because one is made for every packet.

    Addresses are text as the kernel prints them (RFC 5952), empty for a frame that is no IP packet; ports are 0 where
    the transport has none. ``in_iface`` is None where it is not known (a capture seldom names one). ``frame_number`` is
    the 1-based number of the capture's frame (for a message from several frames, the completing one), None when live.
    """

    src_ip: str
    src_port: int
    dst_ip: str
    dst_port: int
    payload: bytes
    transport: Transport = "UDP"
    in_iface: str | None = None
    frame_bytes: int | None = None
    frame_number: int | None = None

    @property
    def frame_len(self) -> int:
        """Length in bytes of the Ethernet frame this datagram makes (Wireshark's ``frame.len``), without VLAN tags."""
        if self.frame_bytes is not None:
            return self.frame_bytes
        ip_header_bytes = 40 if ":" in self.src_ip else 20
        return ETHERNET_HEADER_BYTES + ip_header_bytes + _UDP_HEADER_BYTES + len(self.payload)


class TcpHeader(msgspec.Struct, frozen=True, gc=False):
    """What a TCP header says of the stream (RFC 9293 §3.1). ``acknowledgment_number`` is None without the ACK flag."""

    sequence_number: int
    acknowledgment_number: int | None = None
    syn: bool = False
    fin: bool = False
    rst: bool = False


class Packet(Datagram, frozen=True, gc=False):
    """A datagram with what a capture tells beside it: made only where there is something to tell.

    ``tcp`` is there for a segment of a stream; a SIP message that a capture agent (HEP) took out of its stream has
    none. ``outer`` are the packets of the tunnels around this one, the outermost first. ``captured_ns`` is when the
    packet was captured, where that is not when its frame was. ``quoted`` is a packet that an ICMP error quotes.
    """

    tcp: TcpHeader | None = None
    outer: tuple[Datagram, ...] = ()
    captured_ns: int | None = None
    quoted: bool = False
