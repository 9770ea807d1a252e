"""IPv4, IPv6, UDP and TCP headers as a capture shows them (RFC 791, RFC 8200, RFC 768, RFC 9293).

Checksums are not verified: a capture taken on the sending machine shows them before the network card fills them in.
"""

import ipaddress
from abc import ABC, abstractmethod
from functools import lru_cache
from struct import Struct
from typing import Literal

import msgspec

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram, Packet, TcpHeader, Transport
from firewall.net.fragment import FragmentTable
from firewall.net.hep import HEP3_MAGIC, OLD_HEP_HEADS, read_hep
from firewall.net.signalling import SENT_PROTOCOL
from firewall.net.tunnel import ICMP_PROTOCOLS, MAX_TUNNELS, Inside, inside_ip, inside_udp, quoted_by_icmp
from firewall.net.vantage import vantage

UndecodedKind = Literal["not_ip", "fragment", "truncated", "malformed", "link_type"]


class Undecoded(msgspec.Struct, frozen=True, gc=False):
    """Why a frame gives no datagram.

    ``not_ip`` and ``fragment`` (more are to come) are in order; ``truncated`` (a snapshot length cut the frame),
    ``malformed`` and ``link_type`` are a loss, told in ``reason``. ``datagram`` is what could be read nevertheless:
    addresses and ports as far as they are known, the payload as far as it is there.
    """

    kind: UndecodedKind
    reason: str
    datagram: Datagram


# version/IHL, DSCP, total length, identification, flags/fragment offset, TTL, protocol, checksum, source, destination
_IPV4 = Struct(">BBHHHBBH4s4s").unpack_from
# version/class/flow, payload length, next header, hop limit, source, destination
_IPV6 = Struct(">IHBB16s16s").unpack_from
_IPV6_FRAGMENT = Struct(">BBHI").unpack_from
_UDP = Struct(">HHH").unpack_from
_PORTS = Struct(">HH").unpack_from
_TCP = Struct(">4xIIBB").unpack_from
_FIN, _SYN, _RST, _ACK = 1, 2, 4, 16
_TCP_PROTOCOL, _UDP_PROTOCOL, _UDP_LITE = 6, 17, 136
_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_SHIM6 = 140
# Behind those of Mobile IPv6 (RFC 6275 §6.1.1) and of HIP (RFC 7401 §5.1) nothing stands.
_EXTENSIONS = frozenset({_HOP_BY_HOP, _ROUTING, _AUTHENTICATION, _DESTINATION, _SHIM6})
_DISCARDED_FRAGMENTS = {
    "overlap": "IP fragments overlap: the datagram is discarded, as the kernel does",
    "too long": "IP fragments make more than 65535 bytes: the datagram is discarded",
}
_TRANSPORTS: dict[int, Transport] = {_TCP_PROTOCOL: "TCP", _UDP_PROTOCOL: "UDP", _UDP_LITE: "UDP"}


@lru_cache(maxsize=65_536)
def packed_address_text(packed: bytes) -> str:
    """Return the usual text of an address given as its 4 or 16 bytes (RFC 5952 for IPv6)."""
    if len(packed) == 4:
        return ".".join(map(str, packed))
    return str(ipaddress.IPv6Address(packed))


class PacketDecoder(ABC):
    """Reads IP packets and those inside them. It keeps the fragments that wait for others: one decoder, one capture.

    ``as_captured``: tell of the frame around a datagram what Wireshark does: its length (``frame.len``), the packets of
    the tunnels around it, and the packet that an ICMP error quotes. Without it the length is that of the Ethernet frame
    the datagram makes, and only the datagram counts: that is what the live firewall sees. ``interfaces``: the names
    that mean something to the firewall; a datagram that came in on one of them says so.
    """

    def __init__(self, *, as_captured: bool = False, interfaces: frozenset[str] = frozenset()) -> None:
        self.fragments = FragmentTable()
        self.unread_sip: tuple[int, int] | None = None
        """The first frame with SIP in something that nobody here reads, and how many there were."""
        self.as_captured = as_captured
        self._interfaces = interfaces

    @abstractmethod
    def decode(self, record: CaptureRecord) -> Datagram | Undecoded:
        """Read a frame of any link type."""

    def ipv4(self, record: CaptureRecord, offset: int) -> Datagram | Undecoded:
        """Read the IPv4 packet that begins at ``offset`` of the frame."""
        data = record.data
        if len(data) < offset + 20:
            return self.short(record, "the IPv4 header")
        first, _, total, identification, fragment, _, protocol, _, src, dst = _IPV4(data, offset)
        header_bytes = (first & 15) << 2
        if first >> 4 != 4 or header_bytes < 20:
            return self.undecoded(record, "malformed", "no IPv4 header where one is announced")
        # A total length of 0 is what a capture shows of a segment that the network card is going to cut (TSO).
        end = offset + total if total else len(data)
        if total and total < header_bytes:
            return self.undecoded(record, "malformed", "the IPv4 total length is shorter than the header", src, dst)
        start = offset + header_bytes
        if end > len(data):
            return self._cut_packet(record, src, dst, protocol, start if not fragment & 0x1FFF else None)
        if fragment & 0x3FFF:  # more fragments, or an offset
            return self._fragment(
                record, src, dst, identification, protocol, (fragment & 0x1FFF) << 3, fragment & 0x2000, start, end
            )
        return self._transport(record, src, dst, protocol, data, start, end)

    def ipv6(self, record: CaptureRecord, offset: int) -> Datagram | Undecoded:
        """Read the IPv6 packet that begins at ``offset`` of the frame, through its extension headers."""
        data = record.data
        if len(data) < offset + 40:
            return self.short(record, "the IPv6 header")
        first, payload_bytes, protocol, _, src, dst = _IPV6(data, offset)
        if first >> 28 != 6:
            return self.undecoded(record, "malformed", "no IPv6 header where one is announced")
        start = offset + 40
        end = start + payload_bytes if payload_bytes else len(data)
        protocol, start = _behind_extensions(protocol, data, start, min(end, len(data)))
        if protocol == _FRAGMENT and start + 8 <= min(end, len(data)):
            protocol, _, field, identification = _IPV6_FRAGMENT(data, start)
            start += 8
            if field & 0xFFF9:  # otherwise an atomic fragment (RFC 6946), which is whole
                if end > len(data):
                    return self._cut_packet(record, src, dst, protocol, None)
                return self._fragment(record, src, dst, identification, protocol, field & 0xFFF8, field & 1, start, end)
        if end > len(data):
            return self._cut_packet(record, src, dst, protocol, start)
        return self._transport(record, src, dst, protocol, data, start, end)

    def _transport(
        self, record: CaptureRecord, src: bytes, dst: bytes, protocol: int, data: bytes, start: int, end: int
    ) -> Datagram | Undecoded:
        protocol, start = _behind_extensions(protocol, data, start, end)
        if start > end or protocol in _EXTENSIONS:
            return self.undecoded(record, "malformed", "an extension header is longer than the packet", src, dst)
        if protocol in (_UDP_PROTOCOL, _UDP_LITE):
            if end - start < 8:
                return self.undecoded(record, "malformed", "the packet is too short for a UDP header", src, dst)
            src_port, dst_port, length = _UDP(data, start)
            # 0: a jumbogram's, or one that the network card is going to cut (USO). UDP-Lite has none (RFC 3828 §3.1).
            if length == 0 or protocol == _UDP_LITE:
                length = end - start
            if length < 8 or start + length > end:
                cut = self._datagram(record, src, dst, src_port, dst_port, data[start + 8 : end], "UDP")
                return Undecoded("malformed", "the UDP length does not fit the IP packet", cut)
            return self._udp(record, src, dst, src_port, dst_port, data[start + 8 : start + length])
        if protocol == _TCP_PROTOCOL:
            if end - start < 20:
                return self.undecoded(record, "malformed", "the packet is too short for a TCP header", src, dst)
            src_port, dst_port = _PORTS(data, start)
            tcp, header_bytes = _read_tcp_header(data, start)
            if header_bytes < 20 or start + header_bytes > end:
                cut = self._datagram(record, src, dst, src_port, dst_port, b"", "TCP")
                return Undecoded("malformed", "the TCP header length does not fit", cut)
            return self._datagram(record, src, dst, src_port, dst_port, data[start + header_bytes : end], "TCP", tcp)
        return self._inside_ip(
            record, self._datagram(record, src, dst, 0, 0, data[start:end], "other"), protocol, data[:end], start
        )

    def _udp(
        self, record: CaptureRecord, src: bytes, dst: bytes, src_port: int, dst_port: int, payload: bytes
    ) -> Datagram | Undecoded:
        datagram = self._datagram(record, src, dst, src_port, dst_port, payload, "UDP")
        packet = read_hep(payload) if payload[:4] == HEP3_MAGIC or payload[:2] in OLD_HEP_HEADS else None
        if packet is not None:
            return msgspec.structs.replace(
                packet,
                frame_bytes=datagram.frame_bytes,
                frame_number=datagram.frame_number,
                outer=(*record.outer, datagram) if self.as_captured else (),
            )
        return self._inside_udp(record, datagram, payload)

    def _inside_ip(
        self, record: CaptureRecord, around: Datagram | Undecoded, protocol: int, data: bytes, start: int
    ) -> Datagram | Undecoded:
        """Return the packet inside one of a protocol without ports, or that packet where there is none in it."""
        packet, end = _packet_of(around), len(data)
        inside = inside_ip(protocol, data, start, end)
        if inside is not None:
            return self._enter(record, packet, inside, data)
        if protocol not in ICMP_PROTOCOLS:
            self.note_unread(record, data[start:])
        quoted = quoted_by_icmp(protocol, data, start, end) if self.as_captured else None
        return around if quoted is None else _quotation(self._enter(record, packet, quoted, data), packet)

    def _inside_udp(self, record: CaptureRecord, around: Datagram | Undecoded, payload: bytes) -> Datagram | Undecoded:
        """Return the packet inside a datagram, or the datagram where there is none in it."""
        packet = _packet_of(around)
        inside = inside_udp(packet.src_port, packet.dst_port, payload)
        found = around if inside is None else self._enter(record, packet, inside, payload)
        # Ports say little: what cannot be read as a tunnel's packet is a datagram like any other.
        return around if isinstance(found, Undecoded) and found.kind == "malformed" else found

    def _enter(self, record: CaptureRecord, outer: Datagram, inside: Inside, data: bytes) -> Datagram | Undecoded:
        """Read the packet inside a packet."""
        if len(record.outer) >= MAX_TUNNELS:
            return self.undecoded(record, "malformed", f"more than {MAX_TUNNELS} packets stand one inside the other")
        seen_on, outgoing = vantage(record)
        return self.decode(
            CaptureRecord(
                record.frame_number,
                record.timestamp_ns,
                inside.link_type,
                data[inside.start :],
                record.original_length,
                record.interface,
                seen_on,
                outgoing,
                (*record.outer, outer),
            )
        )

    def _datagram(
        self,
        record: CaptureRecord,
        src: bytes,
        dst: bytes,
        src_port: int,
        dst_port: int,
        payload: bytes,
        transport: Transport,
        tcp: TcpHeader | None = None,
    ) -> Datagram:
        src_ip, dst_ip = packed_address_text(src) if src else "", packed_address_text(dst) if dst else ""
        in_iface = record.interface and self.in_iface(record)
        frame_bytes = record.original_length if self.as_captured else None
        number = record.frame_number
        if tcp is None and not (record.outer and self.as_captured):
            return Datagram(src_ip, src_port, dst_ip, dst_port, payload, transport, in_iface, frame_bytes, number)
        outer = record.outer if self.as_captured else ()
        return Packet(src_ip, src_port, dst_ip, dst_port, payload, transport, in_iface, frame_bytes, number, tcp, outer)

    def _fragment(
        self,
        record: CaptureRecord,
        src: bytes,
        dst: bytes,
        identification: int,
        protocol: int,
        offset: int,
        more: int,
        start: int,
        end: int,
    ) -> Datagram | Undecoded:
        whole = self.fragments.add(
            (src, dst, identification, protocol, vantage(record)),
            offset,
            bool(more),
            record.data[start:end],
            record.frame_number,
            record.timestamp_ns,
        )
        if isinstance(whole, bytes):
            return self._transport(record, src, dst, protocol, whole, 0, len(whole))
        if whole == "waiting":
            return self.undecoded(record, "fragment", "more fragments are to come", src, dst)
        return self.undecoded(record, "malformed", _DISCARDED_FRAGMENTS[whole], src, dst)

    def _cut_packet(
        self, record: CaptureRecord, src: bytes, dst: bytes, protocol: int, start: int | None
    ) -> Datagram | Undecoded:
        """What is left of a packet that its frame holds only in part, or of the packet inside that.

        ``start`` is where its transport begins, None where it does not.
        """
        data = record.data
        src_port, dst_port, payload_start = 0, 0, len(data)
        transport: Transport = "other"
        tcp = None
        if start is not None:
            protocol, start = _behind_extensions(protocol, data, start, len(data))
        if start is not None and protocol in _TRANSPORTS and start + 4 <= len(data):
            src_port, dst_port = _PORTS(data, start)
            transport = _TRANSPORTS[protocol]
            if transport == "UDP":
                payload_start = start + 8
            elif start + 20 <= len(data):
                tcp, header_bytes = _read_tcp_header(data, start)
                payload_start = start + header_bytes
        kind, reason = self._shortage(record, "the packet")
        payload = data[payload_start:]
        datagram = self._datagram(record, src, dst, src_port, dst_port, payload, transport, tcp)
        cut = Undecoded(kind, reason, datagram)
        if transport == "UDP":
            return self._inside_udp(record, cut, payload)
        return cut if start is None or transport == "TCP" else self._inside_ip(record, cut, protocol, data, start)

    def note_unread(self, record: CaptureRecord, data: bytes) -> None:
        """Count a frame with something that is not read when it shows SIP: the Via that each message has."""
        if SENT_PROTOCOL in data:
            first, count = self.unread_sip or (record.frame_number, 0)
            self.unread_sip = first, count + 1

    def in_iface(self, record: CaptureRecord) -> str | None:
        """Return the interface that a frame came in on, None where its name means nothing."""
        return record.interface if record.interface in self._interfaces and not record.outgoing else None

    def short(self, record: CaptureRecord, what: str, src: bytes = b"", dst: bytes = b"") -> Undecoded:
        """Say that the frame ends inside ``what``."""
        kind, reason = self._shortage(record, what)
        return self.undecoded(record, kind, reason, src, dst)

    def _shortage(self, record: CaptureRecord, what: str) -> tuple[UndecodedKind, str]:
        if record.outer:
            return "truncated", f"truncated: the tunnelled frame is too short for {what}"
        if len(record.data) < record.original_length:
            return "truncated", _truncation(len(record.data), record.original_length)
        return "malformed", f"the frame is too short for {what}"

    def undecoded(
        self, record: CaptureRecord, kind: UndecodedKind, reason: str, src: bytes = b"", dst: bytes = b""
    ) -> Undecoded:
        """Say why the frame gives no datagram, with what is known of it."""
        if record.outer and not src:
            return Undecoded(kind, reason, record.outer[-1])  # the packet around it is all that is known
        return Undecoded(kind, reason, self._datagram(record, src, dst, 0, 0, b"", "other"))


@lru_cache(maxsize=4096)
def _truncation(taken_bytes: int, whole_bytes: int) -> str:
    """One text for all frames alike: a snapshot length may cut millions, and each loss is kept."""
    return f"truncated: the capture holds {taken_bytes} of {whole_bytes} bytes of the frame"


def tcp_header(sequence: int, acknowledgment: int, flags: int) -> TcpHeader:
    """Return what the fields of a TCP header say of the stream; without the ACK flag its number says nothing."""
    return TcpHeader(
        sequence, acknowledgment if flags & _ACK else None, bool(flags & _SYN), bool(flags & _FIN), bool(flags & _RST)
    )


def _read_tcp_header(data: bytes, start: int) -> tuple[TcpHeader, int]:
    """Return what the header says of the stream, and its length in bytes."""
    sequence, acknowledgment, words, flags = _TCP(data, start)
    return tcp_header(sequence, acknowledgment, flags), words >> 4 << 2


def _behind_extensions(protocol: int, data: bytes, start: int, end: int) -> tuple[int, int]:
    """Step over the extension headers of IPv6, some of which come behind the Fragment header, and over IPv4's AH."""
    while protocol in _EXTENSIONS and start + 8 <= end:
        size = (data[start + 1] + 2) << 2 if protocol == _AUTHENTICATION else (data[start + 1] + 1) << 3
        protocol, start = data[start], start + size
    return protocol, start


def _quotation(found: Datagram | Undecoded, error: Datagram) -> Datagram | Undecoded:
    """An ICMP error's quotation, mostly cut short, is told beside the error and never counted as traffic or loss."""
    packet = _packet_of(found)
    return msgspec.structs.replace(packet, quoted=True) if isinstance(packet, Packet) else error


def _packet_of(found: Datagram | Undecoded) -> Datagram:
    return found.datagram if isinstance(found, Undecoded) else found
