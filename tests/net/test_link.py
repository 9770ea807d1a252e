"""Link types beside the common ones, which tests/net/test_frame.py has: built by scapy, read by tshark beside us."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS
from scapy.layers.dot11 import Dot11, Dot11QoS, RadioTap
from scapy.layers.inet import IP
from scapy.layers.l2 import LLC, SNAP, Dot3, Ether
from scapy.layers.ppp import PPP, PPPoE

from firewall.net.link import ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP, SHORT, UNKNOWN_LINK, ip_packet
from tests.net.packets import CALLER, PSAP, ethernet, ipv4, ipv6, tshark_of_each, udp

PACKET = ipv4(udp(b"hello", 7000, 7001))
PACKET6 = ipv6(udp(b"hello", 7000, 7001))
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
IN_SNAP = LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0800) / IP(PACKET)
NFLOG = b"\x02\0\0\0" + struct.pack("<HH4s", 8, 1, b"\0\0\0\0") + struct.pack("<HH", 4 + len(PACKET), 9) + PACKET

FRAMES = {
    "PPP": (9, bytes(PPP(proto=0x21)) + PACKET),
    "PPP with its HDLC address": (9, b"\xff\x03\0\x21" + PACKET),
    "PPP with a compressed protocol": (9, b"\x21" + PACKET),
    "PPP in HDLC framing": (50, b"\xff\x03\0\x21" + PACKET),
    "Cisco HDLC": (104, b"\x0f\0\x08\0" + PACKET),
    "PPPoE session": (1, bytes(Ether(**MACS) / PPPoE(sessionid=1) / PPP(proto=0x21) / IP(PACKET))),
    "one MPLS label": (1, bytes(Ether(**MACS) / MPLS(label=16, s=1, ttl=64) / IP(PACKET))),
    "two MPLS labels": (
        1,
        bytes(Ether(**MACS) / MPLS(label=16, s=0, ttl=64) / MPLS(label=17, s=1, ttl=64) / IP(PACKET)),
    ),
    "LLC and SNAP": (1, bytes(Dot3(**MACS) / IN_SNAP)),
    "Wi-Fi": (105, bytes(Dot11(type=2, subtype=0) / IN_SNAP)),
    "Wi-Fi with quality of service": (105, bytes(Dot11(type=2, subtype=8) / Dot11QoS() / IN_SNAP)),
    "Wi-Fi behind radiotap": (127, bytes(RadioTap() / Dot11(type=2, subtype=0) / IN_SNAP)),
    "nflog": (239, NFLOG),
    "Cisco HDLC in a capture of PPP": (9, b"\x0f\0\x08\0" + PACKET),
    "Cisco HDLC in one of PPP in HDLC framing": (50, b"\x8f\0\x08\0" + PACKET),
    "FabricPath": (1, ethernet(b"\x40\x20" + ethernet(PACKET, tags=(0x8100,)), ethertype=0x8903)),
    "VN-Tag": (1, ethernet(b"\0\x20\x10\0\x08\0" + PACKET, ethertype=0x8926)),
    "bridge port extension": (1, ethernet(b"\0\0\0\7\0\0\x81\0\0\5\x08\0" + PACKET, ethertype=0x893F)),
    "Cisco's security group": (1, ethernet(b"\1\1\0\1\0\x0a\x08\0" + PACKET, ethertype=0x8909)),
    "MAC in MAC": (1, ethernet(b"\0\0\x10\x92" + ethernet(PACKET), ethertype=0x88E7)),
    "IPsec inside out": (109, struct.pack("<III", 2, 7, 0) + PACKET),
    "OpenBSD's packet filter": (117, b"\x3d\x02\0\0em0" + bytes(57) + PACKET),
    "PPI": (192, struct.pack("<BBHI", 0, 0, 8, 1) + ethernet(PACKET)),
    "Juniper's": (178, b"MGC\x81" + struct.pack(">H", 6) + b"\x02\x01\x0e\x03\x02\x01" + ethernet(PACKET)),
    "Juniper's without a frame": (178, b"MGC\x02\x02\0\0\0" + PACKET),
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What tshark reads of each frame."""
    capture = tmp_path_factory.mktemp("link") / "a.pcapng"
    rows = tshark_of_each(capture, list(FRAMES.values()), "ip.src", "ip.dst", "udp.srcport")
    return dict(zip(FRAMES, rows, strict=True))


@pytest.mark.parametrize("name", FRAMES)
def test_the_packet_is_found_where_tshark_finds_it(name: str, theirs: dict[str, list[str]]) -> None:
    link_type, frame = FRAMES[name]
    protocol, start = ip_packet(link_type, frame)
    assert (protocol, frame[start : start + len(PACKET)]) == (ETHERTYPE_IPV4, PACKET)
    assert theirs[name] == [CALLER, PSAP, "7000"]


def test_an_ethernet_pseudowire_holds_a_whole_frame() -> None:
    frame = bytes(Ether(**MACS) / MPLS(label=16, s=1, ttl=64)) + bytes(4) + ethernet(PACKET6)
    protocol, start = ip_packet(1, frame)
    assert (protocol, frame[start:]) == (ETHERTYPE_IPV6, PACKET6)


def test_pktap_names_the_link_type_behind_it() -> None:
    frame = struct.pack("<III", 20, 1, 1) + bytes(8) + ethernet(PACKET)
    for link_type in (149, 258):
        protocol, start = ip_packet(link_type, frame)
        assert (protocol, frame[start:]) == (ETHERTYPE_IPV4, PACKET)
    assert ip_packet(258, struct.pack("<III", 12, 1, 258) + frame) == (NOT_IP, 0)


def test_what_holds_no_ip_packet_is_said() -> None:
    encrypted = bytes(Dot11(type=2, subtype=0, FCfield="protected") / IN_SNAP)
    beacon = bytes(Dot11(type=0, subtype=8) / IN_SNAP)
    for link_type, frame in (
        (105, encrypted),
        (105, beacon),
        (1, ethernet(b"arp", ethertype=0x0806)),
        (9, b"\xc0\x21"),
    ):
        assert ip_packet(link_type, frame) == (NOT_IP, 0)
    assert ip_packet(189, PACKET) == (UNKNOWN_LINK, 0)


@pytest.mark.parametrize(("link_type", "frame"), FRAMES.values(), ids=FRAMES.keys())
def test_a_frame_cut_in_its_headers_is_short_or_no_ip(link_type: int, frame: bytes) -> None:
    _, start = ip_packet(link_type, frame)
    for size in range(start):
        assert ip_packet(link_type, frame[:size])[0] in (SHORT, NOT_IP)


LINKS = [0, 1, 9, 12, 50, 51, 101, 104, 105, 108, 109, 113, 117, 127, 149, 178, 192, 219, 239, 258, 276]


@given(st.sampled_from(LINKS), st.binary(max_size=90))
def test_any_bytes_give_a_place_inside_them_or_none(link_type: int, data: bytes) -> None:
    protocol, start = ip_packet(link_type, data)
    assert protocol in (ETHERTYPE_IPV4, ETHERTYPE_IPV6, NOT_IP, SHORT)
    assert start >= 0
