"""Fields of the packet around and beside SIP: frame, addresses, ports, RTP."""

from collections.abc import Callable
from typing import Literal

from firewall.net.address import address_number
from firewall.net.datagram import Datagram, Packet
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import FieldSpec, Reader, Values

_MAX_UINT16 = 0xFFFF
_MAX_UINT32 = 0xFFFF_FFFF
_RTP_HEADER_BYTES = 12  # RFC 3550 §5.1, without CSRCs
_RTP_VERSION = 2

_PRESENT = ("",)


def _frame(_: Facts) -> Values:
    return _PRESENT


def _frame_len(facts: Facts) -> Values:
    return (facts.datagram.frame_len,)


def _source(datagram: Datagram) -> Values:
    return (address_number(datagram.src_ip),) if datagram.src_ip else ()  # a frame that is no IP packet has none


def _destination(datagram: Datagram) -> Values:
    return (address_number(datagram.dst_ip),) if datagram.dst_ip else ()


def _both_addresses(datagram: Datagram) -> Values:
    return (*_source(datagram), *_destination(datagram))


def _of_packet(holds: Callable[[Datagram], bool], read: Callable[[Datagram], Values]) -> Reader:
    """The values of a packet that is of the kind; in a capture also those of the tunnels around it, as in Wireshark."""

    def of_packet(facts: Facts) -> Values:
        datagram = facts.datagram
        if isinstance(datagram, Packet) and datagram.outer:
            return tuple(value for each in (*datagram.outer, datagram) if holds(each) for value in read(each))
        return read(datagram) if holds(datagram) else ()

    return of_packet


def _of_family(family: Literal[4, 6], read: Callable[[Datagram], Values]) -> Reader:
    separator = "." if family == 4 else ":"
    return _of_packet(lambda datagram: separator in datagram.src_ip, read)


def _of_transport(transport: str, read: Callable[[Datagram], Values]) -> Reader:
    return _of_packet(lambda datagram: datagram.transport == transport, read)


_ADDRESSES: tuple[tuple[str, Callable[[Datagram], Values], str], ...] = (
    ("src", _source, "Source address"),
    ("dst", _destination, "Destination address"),
    ("addr", _both_addresses, "Source and destination address"),
)


def _family_fields(prefix: str, family: Literal[4, 6]) -> list[FieldSpec]:
    fields = [FieldSpec(prefix, "protocol", f"IPv{family} is present", _of_family(family, lambda _: _PRESENT))]
    for part, read, what in _ADDRESSES:
        fields.append(
            FieldSpec(f"{prefix}.{part}", "address", f"{what}, IPv{family}", _of_family(family, read), family=family)
        )
    return fields


_PORTS: tuple[tuple[str, Callable[[Datagram], Values], str], ...] = (
    ("srcport", lambda datagram: (datagram.src_port,), "Source port"),
    ("dstport", lambda datagram: (datagram.dst_port,), "Destination port"),
    ("port", lambda datagram: (datagram.src_port, datagram.dst_port), "Source and destination port"),
)


def _transport_fields(prefix: str, transport: str) -> list[FieldSpec]:
    present = _of_transport(transport, lambda _: _PRESENT)
    fields = [FieldSpec(prefix, "protocol", f"{transport} is present", present)]
    for part, read, what in _PORTS:
        reader = _of_transport(transport, read)
        fields.append(FieldSpec(f"{prefix}.{part}", "number", f"{what}, {transport}", reader, maximum=_MAX_UINT16))
    return fields


def _is_rtp(facts: Facts) -> bool:
    """Only what SDP negotiated is taken for RTP: nothing in the packet itself says that it is (RFC 3550 §11)."""
    if not facts.media_negotiated or facts.message is not None:
        return False
    payload = facts.datagram.payload
    return len(payload) >= _RTP_HEADER_BYTES and payload[0] >> 6 == _RTP_VERSION


def _rtp(read: Callable[[bytes], int]) -> Reader:
    def header_value(facts: Facts) -> Values:
        return (read(facts.datagram.payload),) if _is_rtp(facts) else ()

    return header_value


def _rtp_fields() -> list[FieldSpec]:
    """RFC 3550 §5.1."""
    table: tuple[tuple[str, str, int, Callable[[bytes], int]], ...] = (
        ("version", "Version", 3, lambda header: header[0] >> 6),
        ("p_type", "Payload type", 127, lambda header: header[1] & 0x7F),
        ("seq", "Sequence number", _MAX_UINT16, lambda header: int.from_bytes(header[2:4], "big")),
        ("timestamp", "Timestamp", _MAX_UINT32, lambda header: int.from_bytes(header[4:8], "big")),
        ("ssrc", "Synchronization source", _MAX_UINT32, lambda header: int.from_bytes(header[8:12], "big")),
    )
    fields = [FieldSpec("rtp", "protocol", "Negotiated RTP", lambda facts: _PRESENT if _is_rtp(facts) else ())]
    fields += [
        FieldSpec(f"rtp.{name}", "number", what, _rtp(read), maximum=maximum) for name, what, maximum, read in table
    ]
    fields.append(FieldSpec("rtp.marker", "flag", "Marker", _rtp(lambda header: header[1] >> 7), maximum=1))
    return fields


PACKET_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("frame", "protocol", "Always present", _frame),
    FieldSpec("frame.len", "number", "Length of the Ethernet frame in bytes", _frame_len, maximum=_MAX_UINT32),
    *_family_fields("ip", 4),
    *_family_fields("ipv6", 6),
    *_transport_fields("udp", "UDP"),
    *_transport_fields("tcp", "TCP"),
    *_rtp_fields(),
)


def _innermost(read: Callable[[Datagram], Values]) -> Reader:
    return lambda facts: read(facts.datagram)


NET_FIELDS: tuple[FieldSpec, ...] = tuple(
    FieldSpec(f"net.{part}", "address", f"{what}, IPv4 or IPv6", _innermost(read), own=True)
    for part, read, what in _ADDRESSES
)
