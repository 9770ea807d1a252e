"""The program at the ingress of links that hands media on: which packets, what is changed in them, where they go.

What it does not take goes on as if it were not there: a fragment, IP options or extension headers, a hop limit that
ends here, a header whose checksum is wrong, a frame that has less than its packet, or more (padding), a VLAN tag, a
frame for another machine, what is longer than the outgoing link takes, and whatever has no element. With the rest it
does what routing would: hop limit and checksum (RFC 791), the priority that Linux gives a packet by its TOS, and the
neighbour's address.
"""

import socket
import struct

from firewall.live.bpf import Code, Register
from firewall.live.flow_sets import Family

KEY_BYTES: dict[Family, int] = {4: 12, 6: 36}
"""Source, destination, destination port and padding, as the sets ``media4`` and ``media6`` have them."""

ADDRESS_FAMILY: dict[Family, socket.AddressFamily] = {4: socket.AF_INET, 6: socket.AF_INET6}

_VALUE = struct.Struct("=QQIII16s4x")  # packets, octets, outgoing link, its MTU, the neighbour's family and address
VALUE_BYTES = _VALUE.size
_PACKETS, _OCTETS, _LINK, _MTU, _NEIGHBOUR, _NEIGHBOUR_BYTES = 0, 8, 16, 20, 24, 20

# struct __sk_buff of <linux/bpf.h>
_LENGTH, _PACKET_TYPE, _PROTOCOL, _VLAN_PRESENT, _PRIORITY, _IN_LINK, _DATA, _DATA_END = 0, 4, 16, 20, 32, 40, 76, 80
_PACKET_HOST = 0
_LOOK_UP, _REDIRECT_TO_NEIGHBOUR = 1, 152
_GO_ON = -1  # TCX_NEXT

_ETHERNET_BYTES = 14
_ETHERTYPE: dict[Family, int] = {4: 0x0800, 6: 0x86DD}
_UDP, _UDP_BYTES = 17, 8
_FRAGMENT = 0x3FFF  # more fragments, or an offset
_PRIORITY_OF_TOS = 0x4620  # of two bits of TOS each four: 0 → 0, 1 → 2 (bulk), 2 → 6 (interactive), 3 → 4 (both)

# Registers that outlast calls.
_CONTEXT, _PACKET, _END, _ELEMENT, _STACK = map(Register, (6, 7, 8, 9, 10))
_HEADER_BYTES: dict[Family, int] = {4: 20, 6: 40}


def element_value(link: int, mtu: int, family: Family, neighbour: bytes) -> bytes:
    """Return the value of a new element: the outgoing link's index and MTU, and the neighbour's packed address."""
    return _VALUE.pack(0, 0, link, mtu, ADDRESS_FAMILY[family], neighbour)


def counted(value: bytes) -> tuple[int, int]:
    """Return how many packets an element has handed on, and their octets from the IP header on."""
    packets, octets, *_ = _VALUE.unpack(value)
    return packets, octets


def program(maps: dict[Family, int]) -> bytes:
    """Return the program for the IP versions that have a map, by its descriptor."""
    code = Code()
    code.do(_CONTEXT, "=", Register(1))
    for field, expected in ((_PACKET_TYPE, _PACKET_HOST), (_VLAN_PRESENT, 0)):
        code.load(2, 4, _CONTEXT, field)
        code.go_if(2, "!=", expected, "go on")
    code.load(_PACKET, 4, _CONTEXT, _DATA)
    code.load(_END, 4, _CONTEXT, _DATA_END)
    code.load(2, 4, _CONTEXT, _PROTOCOL)
    for version in maps:
        code.go_if(2, "==", socket.htons(_ETHERTYPE[version]), f"IPv{version}")
    code.go("go on")
    for version, fd in maps.items():
        code.label(f"IPv{version}")
        _check_bounds(code, version)
        _check_header(code, version)
        _look_up(code, version, fd)
        _check_link(code)
        _check_whole(code, version)
        _count(code)
        _change_header(code, version)
        _hand_on(code)
    code.label("go on")
    code.do(0, "=", _GO_ON)
    code.exit()
    return code.assembled()


def _check_bounds(code: Code, version: Family) -> None:
    code.do(2, "=", _PACKET)
    code.do(2, "+=", _ETHERNET_BYTES + _HEADER_BYTES[version] + _UDP_BYTES)
    code.go_if(2, ">", _END, "go on")


def _check_header(code: Code, version: Family) -> None:
    begin = _ETHERNET_BYTES
    code.load(2, 1, _PACKET, begin)
    if version == 4:
        code.go_if(2, "!=", 0x45, "go on")  # version 4, no options
        code.load(2, 2, _PACKET, begin + 6)
        code.do(2, "&=", socket.htons(_FRAGMENT))
        code.go_if(2, "!=", 0, "go on")
        protocol, hop_limit = begin + 9, begin + 8
    else:
        code.do(2, "&=", 0xF0)
        code.go_if(2, "!=", 0x60, "go on")
        protocol, hop_limit = begin + 6, begin + 7
    code.load(2, 1, _PACKET, protocol)
    code.go_if(2, "!=", _UDP, "go on")
    code.load(2, 1, _PACKET, hop_limit)
    code.go_if(2, "<=", 1, "go on")


def _look_up(code: Code, version: Family, fd: int) -> None:
    header, size = _HEADER_BYTES[version], KEY_BYTES[version]
    addresses = size - 4
    for offset in range(0, addresses, 4):
        code.load(2, 4, _PACKET, _ETHERNET_BYTES + header - addresses + offset)
        code.store(4, _STACK, offset - size, 2)
    code.load(2, 2, _PACKET, _ETHERNET_BYTES + header + 2)
    code.store(4, _STACK, -4, 2)
    code.set_map(1, fd)
    code.do(2, "=", _STACK)
    code.do(2, "+=", -size)
    code.call(_LOOK_UP)
    code.go_if(0, "==", 0, "go on")
    code.do(_ELEMENT, "=", Register(0))


def _check_link(code: Code) -> None:
    """Leave to routing what goes back where it came from, or is too long there; register 2 ends as its octets."""
    code.load(2, 4, _CONTEXT, _IN_LINK)
    code.load(3, 4, _ELEMENT, _LINK)
    code.go_if(2, "==", Register(3), "go on")
    code.load(2, 4, _CONTEXT, _LENGTH)
    code.do(2, "+=", -_ETHERNET_BYTES)
    code.load(3, 4, _ELEMENT, _MTU)
    code.go_if(2, ">", Register(3), "go on")


def _check_whole(code: Code, version: Family) -> None:
    """Leave to routing what it would cut or drop; register 2 is the packet's length, before and afterwards."""
    begin = _ETHERNET_BYTES
    code.load(3, 2, _PACKET, begin + (2 if version == 4 else 4))
    code.from_network(3, 16)
    if version == 6:
        code.do(3, "+=", _HEADER_BYTES[6])
    code.go_if(2, "!=", Register(3), "go on")
    if version == 6:
        return
    code.do(3, "=", 0)
    for offset in range(0, _HEADER_BYTES[4], 4):
        code.load(4, 4, _PACKET, begin + offset)
        code.do(3, "+=", Register(4))
    for _ in range(3):  # 35 bits, 20, 17, 16
        code.do(4, "=", Register(3))
        code.do(4, ">>=", 16)
        code.do(3, "&=", 0xFFFF)
        code.do(3, "+=", Register(4))
    code.go_if(3, "!=", 0xFFFF, "go on")


def _count(code: Code) -> None:
    code.count(_ELEMENT, _OCTETS, 2)
    code.do(2, "=", 1)
    code.count(_ELEMENT, _PACKETS, 2)


def _change_header(code: Code, version: Family) -> None:
    begin = _ETHERNET_BYTES
    hop_limit = begin + (8 if version == 4 else 7)
    code.load(2, 1, _PACKET, hop_limit)
    code.do(2, "+=", -1)
    code.store(1, _PACKET, hop_limit, 2)
    if version == 6:
        return
    code.load(2, 2, _PACKET, begin + 10)  # the checksum grows by what the header lost, in ones' complement (RFC 1624)
    code.do(2, "+=", socket.htons(0x0100))
    code.go_if(2, "<", 0xFFFF, "no carry")
    code.do(2, "+=", 1)
    code.label("no carry")
    code.store(2, _PACKET, begin + 10, 2)
    code.load(2, 1, _PACKET, begin + 1)  # TOS
    code.do(2, ">>=", 3)
    code.do(2, "&=", 3)
    code.do(2, "<<=", 2)
    code.do(3, "=", _PRIORITY_OF_TOS)
    code.do(3, ">>=", Register(2))
    code.do(3, "&=", 0xF)
    code.store(4, _CONTEXT, _PRIORITY, 3)


def _hand_on(code: Code) -> None:
    code.load(1, 4, _ELEMENT, _LINK)
    code.do(2, "=", _ELEMENT)
    code.do(2, "+=", _NEIGHBOUR)
    code.do(3, "=", _NEIGHBOUR_BYTES)
    code.do(4, "=", 0)
    code.call(_REDIRECT_TO_NEIGHBOUR)
    code.exit()
