"""One capture of everything: the scenarios of pcaps/, and frames of every odd kind that the readers know."""

import io
from functools import cache
from pathlib import Path

from scapy.contrib.erspan import ERSPAN_II
from scapy.layers.inet import GRE, ICMP, IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet as Scapy
from scapy.packet import Raw

from firewall.net.capture import read_capture
from tests.conformance.rfc5118 import VECTORS as RFC5118
from tests.conformance.test_rfc4475 import VECTORS as RFC4475
from tests.net.packets import (
    START_NS,
    enhanced,
    ethernet,
    interface,
    linux_sll,
    linux_sll2,
    section,
    segment,
    udp,
)
from tests.net.packets import ipv4 as ipv4_packet
from tests.net.packets import ipv6 as ipv6_packet
from tests.oracle.strange import STRANGE
from tests.replay.calls import back, call, forth, invite, message, rtp
from tests.ruleset.captured import MESSAGES

PCAPS = Path(__file__).parents[2] / "pcaps"
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
INVITE = invite("odd")
OPTIONS = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="odd-options")
RINGING = message("SIP/2.0 180 Ringing", "1 INVITE", call_id="odd", to_tag="t")
Named = tuple[str, int, bytes]
"""Name, link type, frame."""


def scenarios() -> list[Named]:
    named = []
    for folder in sorted(path.parent for path in PCAPS.glob("*/capture.pcap")):
        capture = read_capture(io.BytesIO((folder / "capture.pcap").read_bytes()), folder.name)
        named += [(f"{folder.name}/{frame.frame_number}", frame.link_type, frame.data) for frame in capture.frames]
    return named


def messages() -> list[Named]:
    """The messages with which the field table was written."""
    named = []
    for number, each in enumerate(MESSAGES, 1):
        layer = IPv6 if ":" in each.src else IP
        packet = layer(src=each.src, dst=each.dst) / UDP(sport=each.src_port, dport=each.dst_port) / Raw(each.payload)
        named.append((f"message/{number}", 1, bytes(Ether(**MACS) / packet)))
    return named


def strange() -> list[Named]:
    return [(f"strange/{name}", 1, ethernet(forth(payload))) for name, payload in STRANGE.items()]


def torture() -> list[Named]:
    return [(f"torture/{vector.name}", 1, ethernet(forth(vector.raw))) for vector in (*RFC4475, *RFC5118)]


def tunnelled() -> list[Named]:
    inner = IP(src="192.0.2.7", dst="198.51.100.2") / UDP(sport=5062, dport=5060) / Raw(OPTIONS)
    inner6 = IPv6(src="2001:db8:1::7", dst="2001:db8:2::2") / UDP(sport=5062, dport=5060) / Raw(INVITE)
    around = IP(src="203.0.113.1", dst="203.0.113.2")
    packets: dict[str, Scapy] = {
        "IPv4 in IPv4": around / inner,
        "IPv6 in IPv4": around / inner6,
        "IPv4 in IPv6": IPv6(src="2001:db8:9::1", dst="2001:db8:9::2") / inner,
        "GRE": around / GRE() / inner,
        "ERSPAN": around / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / Ether(**MACS) / inner,
        "VXLAN": around / UDP(sport=50000, dport=4789) / VXLAN(vni=7) / Ether(**MACS) / Dot1Q(vlan=9) / inner6,
        "ICMP quotes": around / ICMP(type=3, code=3) / inner,
        "ICMP quotes a part": around / ICMP(type=3, code=3) / Raw(bytes(inner)[:28]),
        "ICMP echo": around / ICMP(type=8) / Raw(b"ping"),
    }
    return [(f"tunnel/{name}", 1, bytes(Ether(**MACS) / packet)) for name, packet in packets.items()]


def streams() -> list[Named]:
    size = len(INVITE)
    answer = 1000 + size
    second = answer + len(OPTIONS)
    packets = {
        "SYN": segment(b"", 999, flags="S"),
        "first part": segment(INVITE[:300], 1000),
        "last part": segment(INVITE[300:], 1300),
        "answer": segment(RINGING, 1, acknowledges=answer, back=True),
        "message": segment(OPTIONS, answer),
        "message again": segment(OPTIONS, answer),
        "two messages": segment(OPTIONS + OPTIONS.replace(b"odd-options", b"odd-second"), second),
        "FIN": segment(b"", second + 2 * len(OPTIONS) + 6, flags="FA"),
        "no SYN": segment(OPTIONS, 5000, ports=(1030, 5060)),
        "other ports": segment(OPTIONS, 5000, ports=(1031, 7060)),
        "continuation": segment(OPTIONS[100:], 9000, ports=(1033, 5060)),
        "not SIP": segment(b"GET / HTTP/1.0\r\n\r\n", 5000, ports=(1032, 8080)),
    }
    return [(f"tcp/{name}", 1, ethernet(packet)) for name, packet in packets.items()]


def fragments() -> list[Named]:
    body = udp(OPTIONS + bytes(0))
    named = []
    for name, order in (("in order", (0, 1)), ("reversed", (1, 0))):
        identification = 100 + order[0]
        parts = [
            ipv4_packet(body[:160], identification=identification, more=True),
            ipv4_packet(body[160:], identification=identification, offset=160),
        ]
        named += [
            (f"fragments/{name} {place}", 113, linux_sll(parts[part], outgoing=False))
            for place, part in enumerate(order, 1)
        ]
    return named


def odd() -> list[Named]:
    packet = ipv4_packet(udp(INVITE, 5062, 5060))
    return [
        ("link/VLAN", 1, ethernet(packet, tags=(0x8100,))),
        ("link/QinQ", 1, ethernet(packet, tags=(0x88A8, 0x8100))),
        ("link/cooked", 113, linux_sll(packet, outgoing=True)),
        ("link/cooked v2", 276, linux_sll2(packet, interface=3, outgoing=False)),
        ("link/raw", 101, ipv6_packet(udp(OPTIONS))),
        ("link/null", 0, b"\x02\0\0\0" + packet),
        ("link/PPP", 9, b"\xff\x03\0\x21" + packet),
        ("link/ARP", 1, ethernet(bytes(28), ethertype=0x0806)),
        ("ip/options", 1, ethernet(ipv4_packet(udp(OPTIONS), options=b"\1\1\1\1"))),
        ("ip/source route", 1, ethernet(ipv4_packet(udp(OPTIONS), options=b"\x83\7\4\xcb\0\x71\7\0"))),
        ("udp/UDP-Lite", 1, ethernet(ipv4_packet(udp(OPTIONS, length=8), protocol=136))),
        ("ip/extension headers", 1, ethernet(ipv6_packet(b"\x11\0\1\4\0\0\0\0" + udp(OPTIONS), next_header=60))),
        ("udp/keep-alive", 1, ethernet(forth(b"\r\n\r\n"))),
        ("udp/other port", 1, ethernet(forth(OPTIONS, 9999))),
        ("udp/not SIP on 5060", 1, ethernet(forth(b"hello"))),
        ("udp/empty", 1, ethernet(forth(b""))),
        ("udp/DNS port", 1, ethernet(forth(bytes(12), 53))),
        ("rtp/nobody negotiated", 1, ethernet(back(rtp(1), 47000))),
    ]


@cache
def frames() -> tuple[Named, ...]:
    """All frames in the order of the capture, each with a name."""
    calls = [(f"call/{number}", 1, ethernet(packet)) for number, (_, packet) in enumerate(call("oracle"), 1)]
    return (*scenarios(), *messages(), *strange(), *torture(), *calls, *tunnelled(), *streams(), *fragments(), *odd())


@cache
def capture() -> bytes:
    """The frames as a pcapng file, an interface for each link type, a millisecond between two frames."""
    link_types = sorted({link_type for _, link_type, _ in frames()})
    head = section() + b"".join(interface(link_type) for link_type in link_types)
    begin_us = START_NS // 1000
    return head + b"".join(
        enhanced(data, begin_us + number * 1000, link_types.index(link_type))
        for number, (_, link_type, data) in enumerate(frames())
    )
