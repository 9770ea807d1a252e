"""Copies of packets: what NFLOG sends is the datagram that passed."""

import socket
import struct

from hypothesis import given
from hypothesis import strategies as st

from firewall.live.media_copies import read_packet
from firewall.net.datagram import Datagram


def ip_packet(src: str, dst: str, payload: bytes, protocol: int = 17) -> bytes:
    udp = struct.pack(">HHHH", 40_000, 49_170, 8 + len(payload), 0) + payload
    if ":" in src:
        ends = socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst)
        return struct.pack(">IHBB", 6 << 28, len(udp), protocol, 63) + ends + udp
    ends = socket.inet_aton(src) + socket.inet_aton(dst)
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 63, protocol, 0) + ends + udp


def test_a_packet_of_either_family_is_its_datagram() -> None:
    for src, dst, header_bytes in (("192.0.2.10", "198.51.100.10", 42), ("2001:db8:1::10", "2001:db8:2::10", 62)):
        found = read_packet(ip_packet(src, dst, b"\x80\x00rtp"), "f0")
        assert found == Datagram(
            src, 40_000, dst, 49_170, b"\x80\x00rtp", "UDP", "f0", frame_bytes=header_bytes + len(b"\x80\x00rtp")
        )


def test_what_is_no_whole_udp_packet_is_left_out() -> None:
    packet = ip_packet("192.0.2.10", "198.51.100.10", bytes(160))
    assert read_packet(packet[:100], None) is None
    assert read_packet(ip_packet("192.0.2.10", "198.51.100.10", b"", protocol=6), None) is None
    assert read_packet(b"", None) is None


@given(st.binary(max_size=120))
def test_any_bytes_are_a_datagram_or_nothing(packet: bytes) -> None:
    found = read_packet(packet, None)
    assert found is None or len(found.payload) <= len(packet)
