"""Captures as other tools write them: every container, link type and wrapping, each around the same few messages."""

import struct
import zlib

from tests.net.packets import (
    CALLER,
    CALLER6,
    PSAP,
    PSAP6,
    SECOND_NS,
    START_NS,
    block,
    enhanced,
    ethernet,
    interface,
    ipv4,
    ipv6,
    linux_sll,
    linux_sll2,
    option,
    pcap,
    section,
    segment,
    udp,
)
from tests.replay.calls import back, forth, invite, message, rtp

INVITE = invite("foreign")
OPTIONS = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="foreign-o")
RINGING = message("SIP/2.0 180 Ringing", "1 INVITE", call_id="foreign", to_tag="t")
TWO = [forth(INVITE), back(RINGING)]
TICKS = START_NS // 1000


def simple(frame: bytes, order: str = "<", original: int | None = None) -> bytes:
    size = struct.pack(order + "I", len(frame) if original is None else original)
    return block(3, size + frame, order)


def obsolete(frame: bytes, order: str = "<") -> bytes:
    head = struct.pack(order + "HHIIII", 0, 0xFFFF, TICKS >> 32, TICKS & 0xFFFF_FFFF, len(frame), len(frame))
    return block(2, head + frame, order)


def kuznetsov(frames: list[bytes]) -> bytes:
    head = struct.pack("<IHHiIII", 0xA1B2CD34, 2, 4, 0, 0, 65535, 1)
    records = [struct.pack("<IIIIIHBB", 1_767_225_600, 0, len(f), len(f), 1, 0x800, 0, 0) + f for f in frames]
    return head + b"".join(records)


def authenticated(body: bytes, following: int = 17) -> bytes:
    """IP's Authentication Header (RFC 4302 §2) with a 96-bit check value."""
    return struct.pack(">BBHII", following, 4, 0, 0x1234, 1) + bytes(12) + body


def hep1(payload: bytes) -> bytes:
    """HEP version 1 (version 2 with the time behind the addresses): fixed header, then the addresses."""
    head = struct.pack(">BBBBHH", 1, 16, 2, 17, 5060, 5060)
    return head + bytes([192, 0, 2, 7, 198, 51, 100, 2]) + payload


def hep2(payload: bytes) -> bytes:
    head = struct.pack(">BBBBHH", 2, 28, 2, 17, 5060, 5060) + bytes([192, 0, 2, 7, 198, 51, 100, 2])
    return head + struct.pack("<IIHH", START_NS // SECOND_NS, 0, 101, 0) + payload


def hep3(payload: bytes) -> bytes:
    def chunk(kind: int, value: bytes) -> bytes:
        return struct.pack(">HHH", 0, kind, 6 + len(value)) + value

    chunks = b"".join(
        [
            *(
                chunk(1, b"\x02"),
                chunk(2, b"\x11"),
                chunk(3, bytes([192, 0, 2, 7])),
                chunk(4, bytes([198, 51, 100, 2])),
            ),
            *(chunk(7, b"\x13\xc4"), chunk(8, b"\x13\xc4"), chunk(9, struct.pack(">I", START_NS // SECOND_NS))),
            *(chunk(10, bytes(4)), chunk(11, b"\x01"), chunk(12, bytes(4)), chunk(15, payload)),
        ]
    )
    return b"HEP3" + struct.pack(">H", 6 + len(chunks)) + chunks


def sctp(payload: bytes) -> bytes:
    data = struct.pack(">BBHIHHI", 0, 3, 16 + len(payload), 1, 0, 0, 0) + payload + bytes(-len(payload) % 4)
    head = struct.pack(">HHI", 5060, 5060, 7)
    return head + struct.pack("<I", zlib.crc32(b"")) + data


def udplite(payload: bytes) -> bytes:
    return struct.pack(">HHHH", 5060, 5060, 8, 0) + payload


def nflog(packet: bytes) -> bytes:
    def attribute(kind: int, value: bytes) -> bytes:
        return struct.pack("<HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)

    prefix = attribute(1, struct.pack(">HBx", 0x0800, 3)) + attribute(10, b"sosgate\0")
    return struct.pack(">BBH", 2, 0, 5) + prefix + attribute(9, packet)


def wifi(packet: bytes) -> bytes:
    header = struct.pack("<HH", 0x0008, 0) + b"\x02\0\0\0\0\x01" * 3 + b"\0\0"
    return header + b"\xaa\xaa\x03\0\0\0\x08\0" + packet


def pppoe(packet: bytes) -> bytes:
    return ethernet(struct.pack(">BBHHH", 0x11, 0, 7, len(packet) + 2, 0x21) + packet, ethertype=0x8864)


def mpls(packet: bytes) -> bytes:
    return ethernet(struct.pack(">II", 16 << 12 | 64, 17 << 12 | 0x100 | 64) + packet, ethertype=0x8847)


def containers() -> dict[str, bytes]:
    eth = [ethernet(each) for each in TWO]
    names = block(4, struct.pack("<HH", 1, 11) + bytes([192, 0, 2, 7]) + b"caller\0" + bytes(1) + bytes(4))
    secrets = block(10, struct.pack("<II", 0x544C534B, 12) + b"CLIENT_RANDO")
    one = section() + interface() + enhanced(eth[0], TICKS)
    big = section(">") + interface(order=">") + enhanced(eth[1], TICKS, order=">")
    return {
        "pcap, nanoseconds": pcap(eth, nanoseconds=True),
        "pcap, swapped": pcap(eth, order=">"),
        "pcap, nanoseconds, swapped": pcap(eth, order=">", nanoseconds=True),
        "pcap, Kuznetsov's": kuznetsov(eth),
        "pcap, cooked, nanoseconds": pcap(
            [linux_sll(each, outgoing=False) for each in TWO], link_type=113, nanoseconds=True
        ),
        "pcapng, simple packets": section() + interface() + simple(eth[0]) + simple(eth[1]),
        "pcapng, obsolete packets": section() + interface() + obsolete(eth[0]) + obsolete(eth[1]),
        "pcapng, unknown block": section() + interface() + block(0xBAD, b"what is this") + enhanced(eth[0], TICKS),
        "pcapng, custom block": section() + interface() + block(0xBAD0BAD0, bytes(7)) + enhanced(eth[0], TICKS),
        "pcapng, names and secrets": section() + interface() + names + secrets + enhanced(eth[0], TICKS),
        "pcapng, statistics": one + block(5, struct.pack("<III", 0, 0, 0)) + enhanced(eth[1], TICKS),
        "pcapng, big endian": big,
        "pcapng, sections of both orders": one + big + one,
        "pcapng, comments": section() + interface(options=option(1, b"x") + option(0, b"")) + enhanced(eth[0], TICKS),
    }


def links() -> dict[str, bytes]:
    both = {
        "HDLC of Cisco": (104, lambda packet: b"\x0f\0\x08\0" + packet),
        "PPP": (9, lambda packet: b"\xff\x03\0\x21" + packet),
        "PPP in HDLC framing": (50, lambda packet: b"\xff\x03\0\x21" + packet),
        "PPPoE without Ethernet": (
            51,
            lambda packet: b"\x11\0\0\7" + struct.pack(">HH", len(packet) + 2, 0x21) + packet,
        ),
        "802.11": (105, wifi),
        "radiotap": (127, lambda packet: b"\0\0\x08\0\0\0\0\0" + wifi(packet)),
        "NFLOG": (239, nflog),
        "cooked v2": (276, lambda packet: linux_sll2(packet, interface=2, outgoing=False)),
        "raw IP": (101, lambda packet: packet),
        "raw IPv4": (228, lambda packet: packet),
        "loopback of OpenBSD": (108, lambda packet: b"\0\0\0\2" + packet),
        "PPPoE": (1, pppoe),
        "MPLS": (1, mpls),
        "VLAN, both ways": (1, lambda packet: ethernet(packet, tags=(0x8100,))),
        "user-defined": (147, lambda packet: packet),
    }
    return {name: pcap([wrap(each) for each in TWO], link_type=kind) for name, (kind, wrap) in both.items()}


def wrappings() -> dict[str, bytes]:
    whole, whole6 = udp(INVITE), ipv6(udp(INVITE))
    packets = {
        "AH over IPv4": ipv4(authenticated(whole), protocol=51),
        "AH over IPv6": ipv6(authenticated(whole), next_header=51),
        "IPv4 in IPv6": ipv6(ipv4(whole), next_header=4),
        "6in4": ipv4(whole6, protocol=41),
        "HEP 1": ipv4(udp(hep1(INVITE), 9060, 9060)),
        "HEP 2": ipv4(udp(hep2(INVITE), 9060, 9060)),
        "HEP 3": ipv4(udp(hep3(INVITE), 9060, 9060)),
        "UDP-Lite": ipv4(udplite(INVITE), protocol=136),
        "SCTP": ipv4(sctp(INVITE), protocol=132),
        "WebSocket": segment(b"\x81\xfe" + struct.pack(">HI", len(INVITE), 0) + INVITE, 1, ports=(1024, 80)),
    }
    return {name: pcap([ethernet(packet)]) for name, packet in packets.items()}


def field() -> dict[str, bytes]:
    body = udp(INVITE * 4)
    parts = [
        ipv4(body[:1000], identification=9, more=True),
        ipv4(body[1000:], identification=9, offset=1000),
    ]
    quoted = ipv4(b"\x03\x03\0\0\0\0\0\0" + forth(INVITE), PSAP, CALLER, protocol=1)
    quoted6 = ipv6(b"\x01\x04\0\0\0\0\0\0" + ipv6(udp(INVITE)), PSAP6, CALLER6, next_header=58)
    packets: dict[str, list[bytes]] = {
        "two messages in a datagram": [forth(INVITE + OPTIONS)],
        "line ends before": [forth(b"\r\n\r\n" + INVITE)],
        "keep-alives": [forth(b"\r\n\r\n"), forth(b"\0"), back(b"\r\n"), forth(OPTIONS)],
        "first fragment missing": [parts[1], forth(OPTIONS)],
        "second fragment missing": [parts[0], forth(OPTIONS)],
        "overlapping fragments": [parts[0], ipv4(body[800:], identification=9, offset=800), forth(OPTIONS)],
        "UDP length of nought": [ipv4(udp(INVITE, length=0))],
        "RTP on port 5060": [*(forth(rtp(number)) for number in range(9)), forth(OPTIONS)],
        "ICMP quotes SIP": [forth(INVITE), quoted],
        "ICMPv6 quotes SIP": [forth(INVITE), quoted6],
        "each packet twice": [each for packet in TWO for each in (packet, packet)],
        "TCP, odd ports": [segment(INVITE + OPTIONS, 1, ports=(1024, 7777))],
        "TCP, keep-alive between": [
            *(segment(b"\r\n\r\n", 1), segment(INVITE, 5), segment(b"\r\n\r\n", 5 + len(INVITE))),
            segment(OPTIONS, 9 + len(INVITE)),
        ],
        "TCP, no Content-Length": [segment(INVITE.replace(b"Content-Length", b"X-Length"), 1), forth(OPTIONS)],
    }
    made = {name: pcap([ethernet(packet) for packet in each]) for name, each in packets.items()}
    twice = [
        linux_sll2(segment(each, sequence), interface=2 + outgoing, outgoing=outgoing)
        for each, sequence in ((INVITE, 1), (OPTIONS, 1 + len(INVITE)))
        for outgoing in (False, True)
    ]
    made["TCP, forwarded between two interfaces"] = pcap(twice, link_type=276)
    for snap_bytes in (60, 200, 500):
        made[f"cut after {snap_bytes} bytes"] = pcap([ethernet(each) for each in TWO], snap_bytes=snap_bytes)
    return made


FOREIGN = {**containers(), **links(), **wrappings(), **field()}
