"""Fields of the packet around and beside SIP: frame, addresses, ports."""

from collections.abc import Callable
from operator import attrgetter
from typing import Literal

from firewall.net.address import address_number
from firewall.net.datagram import Datagram, Packet
from firewall.ruleset.facts import Facts
from firewall.ruleset.field_spec import (
    MAX_UINT16,
    MAX_UINT32,
    PRESENT,
    FieldSpec,
    OneReader,
    Reader,
    Values,
    own_field,
    single,
)


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
    fields = [FieldSpec(prefix, "protocol", f"IPv{family} is present", _of_family(family, lambda _: PRESENT))]
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
    present = _of_transport(transport, lambda _: PRESENT)
    fields = [FieldSpec(prefix, "protocol", f"{transport} is present", present)]
    for part, read, what in _PORTS:
        reader = _of_transport(transport, read)
        fields.append(FieldSpec(f"{prefix}.{part}", "number", f"{what}, {transport}", reader, maximum=MAX_UINT16))
    return fields


_FRAME_LEN = attrgetter("datagram.frame_len")
PACKET_FIELDS: tuple[FieldSpec, ...] = (
    FieldSpec("frame", "protocol", "Always present", lambda _: PRESENT),
    single("frame.len", "number", "Length of the Ethernet frame in bytes", _FRAME_LEN, most=MAX_UINT32),
    *_family_fields("ip", 4),
    *_family_fields("ipv6", 6),
    *_transport_fields("udp", "UDP"),
    *_transport_fields("tcp", "TCP"),
)


def _number(end: str) -> OneReader:
    """The address of an end of the innermost packet; None where it is no IP packet."""
    text = attrgetter(end)
    return lambda facts: address_number(ip) if (ip := text(facts.datagram)) else None


NET_FIELDS: tuple[FieldSpec, ...] = (
    own_field("net.src", "address", "Source address, IPv4 or IPv6", _number("src_ip")),
    own_field("net.dst", "address", "Destination address, IPv4 or IPv6", _number("dst_ip")),
    FieldSpec(
        "net.addr",
        "address",
        "Source and destination address, IPv4 or IPv6",
        lambda facts: _both_addresses(facts.datagram),
        own=True,
    ),
)
