"""SIP inside tunnels and mirrors; scapy builds them, tshark reads them beside us."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.erspan import ERSPAN_II, ERSPAN_III
from scapy.contrib.geneve import GENEVE
from scapy.contrib.gtp import GTP_U_Header, GTPPDUSessionContainer
from scapy.contrib.mpls import MPLS
from scapy.layers.inet import GRE, ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.layers.vxlan import VXLAN
from scapy.packet import Packet as Scapy
from scapy.packet import Raw

from firewall.net.datagram import Datagram, Packet
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from firewall.net.tunnel import MAX_TUNNELS, inside_ip, inside_udp, quoted_by_icmp
from tests.net.packets import CALLER, CALLER6, PSAP, PSAP6, record, tshark_of_each

SIP = b"OPTIONS sip:psap.example SIP/2.0\r\nCall-ID: tunnelled\r\n\r\n"
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
AROUND = IP(src="203.0.113.1", dst="203.0.113.2")
AROUND6 = IPv6(src="2001:db8:9::1", dst="2001:db8:9::2")
INNER = IP(src=CALLER, dst=PSAP) / UDP(sport=5062, dport=5060) / Raw(SIP)
INNER6 = IPv6(src=CALLER6, dst=PSAP6) / UDP(sport=5062, dport=5060) / Raw(SIP)
TEREDO = UDP(sport=50000, dport=3544)
INNER_TEREDO = IPv6(src="2001:0:cb00:7101::7", dst=PSAP6) / UDP(sport=5062, dport=5060) / Raw(SIP)
FRAME = Ether(**MACS) / INNER
FRAME6 = Ether(**MACS) / Dot1Q(vlan=7) / INNER6
# tshark must be told of the kernel's default port.
LINUX_VXLAN = ("-d", "udp.port==8472,vxlan")

TUNNELS: dict[str, Scapy] = {
    "IPv4 in IPv4": AROUND / INNER,
    "IPv6 in IPv4": AROUND / INNER6,
    "IPv4 in IPv6": AROUND6 / INNER,
    "IPv6 in IPv6": AROUND6 / INNER6,
    "GRE": AROUND / GRE() / INNER,
    "GRE, IPv6": AROUND / GRE() / INNER6,
    "GRE with checksum, key and sequence": AROUND / GRE(chksum_present=1, key_present=1, seqnum_present=1) / INNER,
    "GRE, bridged": AROUND / GRE(proto=0x6558) / FRAME,
    "GRE over IPv6": AROUND6 / GRE(proto=0x6558, key_present=1, key=9) / FRAME6,
    "EoIP": IP(src="203.0.113.1", dst="203.0.113.2", proto=47)
    / Raw(b"\x20\1\x64\0" + len(FRAME).to_bytes(2, "big") + b"\7\0")
    / FRAME,
    "ERSPAN I": AROUND / GRE(proto=0x88BE) / FRAME,
    "ERSPAN II": AROUND / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / FRAME6,
    "ERSPAN III": AROUND / GRE(proto=0x22EB, seqnum_present=1) / ERSPAN_III() / FRAME,
    "VXLAN": AROUND / UDP(sport=50000, dport=4789) / VXLAN(vni=7) / FRAME,
    "VXLAN on Linux's port": AROUND / UDP(sport=50000, dport=8472) / VXLAN(vni=7) / FRAME,
    "VXLAN GPE": AROUND / UDP(sport=50000, dport=4790) / Raw(b"\x0c\0\0\1\0\0\7\0") / INNER,
    "VXLAN GPE, Ethernet": AROUND / UDP(sport=50000, dport=4790) / Raw(b"\x0c\0\0\3\0\0\7\0") / FRAME,
    "TZSP": AROUND / UDP(sport=50000, dport=37008) / Raw(b"\1\0\0\1\1") / FRAME,
    "TZSP with tags": AROUND / UDP(sport=50000, dport=37008) / Raw(b"\1\0\0\1\0\x0a\1\xd8\1") / FRAME,
    "VXLAN over IPv6": AROUND6 / UDP(sport=50000, dport=4789) / VXLAN(vni=7) / FRAME6,
    "Geneve": AROUND / UDP(sport=50000, dport=6081) / GENEVE(proto=0x6558) / FRAME,
    "GTP-U": AROUND / UDP(sport=2152, dport=2152) / GTP_U_Header(teid=1) / INNER,
    "GTP-U with an extension": AROUND
    / UDP(sport=2152, dport=2152)
    / GTP_U_Header(teid=1, E=1, next_ex=0x85)
    / GTPPDUSessionContainer(type=0, QFI=1)
    / INNER,
    "L2TP": AROUND / UDP(sport=1701, dport=1701) / Raw(b"\0\2\0\1\0\1\xff\3\0\x21") / INNER,
    "L2TP to a client": AROUND / UDP(sport=1701, dport=50000) / Raw(b"\0\2\0\1\0\1\xff\3\0\x21") / INNER,
    "L2TP with all options": AROUND
    / UDP(sport=1701, dport=1701)
    / Raw(b"\x4b\2" + (16 + len(INNER6)).to_bytes(2, "big") + b"\0\1\0\1\0\0\0\0\0\2ab\0\x57")
    / INNER6,
    "Teredo": AROUND / TEREDO / INNER_TEREDO,
    "Teredo to a client": AROUND / UDP(sport=3544, dport=50000) / INNER_TEREDO,
    "Teredo with its server's words": AROUND / TEREDO / Raw(b"\0\1\1\2iaa" + bytes(17)) / INNER_TEREDO,
    "MPLS in GRE": AROUND / GRE(proto=0x8847) / MPLS(label=16, s=1, ttl=64) / INNER,
    "MPLS in IP": IP(src="203.0.113.1", dst="203.0.113.2", proto=137) / MPLS(label=16, s=1, ttl=64) / INNER6,
    "Ethernet in IP": IP(src="203.0.113.1", dst="203.0.113.2", proto=97) / Raw(b"\x30\0") / FRAME,
    "Ethernet in IPv6": IPv6(src="2001:db8:9::1", dst="2001:db8:9::2", nh=143) / FRAME,
    "VXLAN in GRE": AROUND / GRE() / AROUND / UDP(dport=4789) / VXLAN(vni=7) / FRAME,
}


def decode(packet: Scapy, *, as_captured: bool = False) -> Datagram | Undecoded:
    return FrameDecoder(as_captured=as_captured).decode(record(bytes(Ether(**MACS) / packet)))


@pytest.mark.parametrize("packet", TUNNELS.values(), ids=TUNNELS.keys())
def test_the_datagram_inside_is_what_the_firewall_would_see(packet: Scapy) -> None:
    inner = [layer for layer in packet.iterpayloads() if isinstance(layer, IP | IPv6)][-1]
    assert decode(packet) == Datagram(inner.src, 5062, inner.dst, 5060, SIP, frame_number=1)


def of_tshark(folder: Path, *fields: str, lost_bytes: int = 0) -> dict[str, list[str]]:
    """What tshark reads of the packets in each tunnel, one inside the other."""
    frames = [bytes(Ether(**MACS) / packet) for packet in TUNNELS.values()]
    kept = [(1, frame[: len(frame) - lost_bytes]) for frame in frames]
    fields = ("ip.src", "ipv6.dst", "udp.dstport", *fields)
    rows = tshark_of_each(folder / "a.pcapng", kept, *fields, lost_bytes=lost_bytes, options=LINUX_VXLAN)
    return dict(zip(TUNNELS, rows, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return of_tshark(tmp_path_factory.mktemp("whole"), "sip.Call-ID", "frame.len")


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return of_tshark(tmp_path_factory.mktemp("cut"), "sip.Method", lost_bytes=5)


@pytest.mark.parametrize("name", TUNNELS)
def test_tshark_sees_the_same_packets_one_inside_the_other(name: str, whole: dict[str, list[str]]) -> None:
    found = decode(TUNNELS[name], as_captured=True)
    assert isinstance(found, Packet)
    chain = (*found.outer, found)
    assert whole[name] == [
        ",".join(each.src_ip for each in chain if "." in each.src_ip),
        ",".join(each.dst_ip for each in chain if ":" in each.dst_ip),
        ",".join(str(each.dst_port) for each in chain if each.transport == "UDP"),
        "tunnelled",
        str(found.frame_len),
    ]


def test_fragments_of_a_tunnel_and_inside_a_tunnel_are_joined() -> None:
    long = IP(src=CALLER, dst=PSAP, id=9) / UDP(sport=5062, dport=5060) / Raw(SIP * 40)
    pieces = [AROUND / GRE() / piece for piece in long.fragment(800)]
    around = AROUND.copy()
    around.id = 5
    outside = (around / GRE() / long).fragment(800)
    for packets in (pieces, list(reversed(pieces)), outside):
        decoder = FrameDecoder()
        frames = [bytes(Ether(**MACS) / piece) for piece in packets]
        found = [decoder.decode(record(frame, number=number)) for number, frame in enumerate(frames, 1)]
        assert [type(each).__name__ for each in found] == ["Undecoded"] * (len(frames) - 1) + ["Datagram"]
        assert found[-1] == Datagram(CALLER, 5062, PSAP, 5060, SIP * 40, frame_number=len(frames))


def test_packets_inside_packets_without_end_are_refused() -> None:
    nested: Scapy = INNER
    for depth in range(MAX_TUNNELS + 1):
        found = decode(nested)
        assert isinstance(found, Datagram), depth
        nested = AROUND / nested
    refused = decode(nested)
    assert isinstance(refused, Undecoded)
    assert (refused.kind, refused.datagram.src_ip) == ("malformed", "203.0.113.1")


def test_a_mirror_that_cut_its_frame_is_told_as_truncated() -> None:
    found = decode(AROUND / GRE(proto=0x88BE, seqnum_present=1) / ERSPAN_II() / Raw(bytes(FRAME)[:-5]))
    assert isinstance(found, Undecoded)
    assert (found.kind, found.reason) == ("truncated", "truncated: the tunnelled frame is too short for the packet")


@pytest.mark.parametrize("name", TUNNELS)
def test_a_snapshot_length_cuts_what_is_inside_as_tshark_sees_it(name: str, cut: dict[str, list[str]]) -> None:
    frame = bytes(Ether(**MACS) / TUNNELS[name])
    found = FrameDecoder(as_captured=True).decode(record(frame[:-5], original=len(frame)))
    assert isinstance(found, Undecoded)
    inner = found.datagram
    assert isinstance(inner, Packet)
    assert (found.kind, inner.payload) == ("truncated", SIP[:-5])
    chain = (*inner.outer, inner)
    assert cut[name] == [
        ",".join(each.src_ip for each in chain if "." in each.src_ip),
        ",".join(each.dst_ip for each in chain if ":" in each.dst_ip),
        ",".join(str(each.dst_port) for each in chain if each.transport == "UDP"),
        "OPTIONS",
    ]


def test_sip_on_a_tunnels_port_is_sip() -> None:
    for port in (4789, 8472, 4790, 6081, 2152, 37008, 1701, 3544):
        assert inside_udp(5060, port, SIP) is inside_udp(port, 5060, SIP) is None
        found = decode(IP(src=CALLER, dst=PSAP) / UDP(sport=5060, dport=port) / Raw(SIP))
        assert found == Datagram(CALLER, 5060, PSAP, port, SIP, frame_number=1)


def test_what_an_icmp_error_quotes_is_told_beside_it_and_is_no_traffic() -> None:
    for error in (AROUND / ICMP(type=3, code=3) / INNER, AROUND6 / ICMPv6DestUnreach(code=4) / INNER6):
        live, told = decode(error), decode(error, as_captured=True)
        assert isinstance(live, Datagram)
        assert (live.transport, isinstance(live, Packet)) == ("other", False)
        assert isinstance(told, Packet)
        assert (told.quoted, told.src_port, told.payload, len(told.outer)) == (True, 5062, SIP, 1)
    cut = decode(AROUND / ICMP(type=3, code=3) / Raw(bytes(INNER)[:28]), as_captured=True)
    assert isinstance(cut, Packet)
    assert (cut.quoted, cut.src_port, cut.payload) == (True, 5062, b"")
    assert quoted_by_icmp(1, bytes(ICMP(type=8) / INNER), 0, 60) is None


@given(st.sampled_from([4, 41, 47, 1, 58, 51]), st.binary(max_size=80))
def test_any_bytes_in_a_tunnel_are_read_or_refused(protocol: int, data: bytes) -> None:
    for as_captured in (False, True):
        frame = bytes(AROUND.__class__(src="203.0.113.1", dst="203.0.113.2", proto=protocol) / Raw(data))
        assert isinstance(
            FrameDecoder(as_captured=as_captured).decode(record(frame, link_type=101)), Datagram | Undecoded
        )
    inside = inside_ip(protocol, data, 0, len(data))
    assert inside is None or inside.start >= 0


@given(st.sampled_from([4789, 4790, 6081, 2152, 9060, 37008, 1701, 3544]), st.binary(max_size=80))
def test_any_bytes_to_a_tunnels_port_are_read_or_refused(port: int, data: bytes) -> None:
    frame = bytes(AROUND / UDP(sport=1, dport=port) / Raw(data))
    assert isinstance(FrameDecoder().decode(record(frame, link_type=101)), Datagram | Undecoded)
