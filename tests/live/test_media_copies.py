"""Copies of packets: what NFLOG sends is the datagram that passed."""

import socket
import struct
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import MachineError
from firewall.live import testbed as live_testbed
from firewall.live.links import InterfaceNames
from firewall.live.media_copies import MediaCopies, MediaCopy, read_packet
from firewall.live.nftables import render_ruleset
from firewall.net.datagram import Datagram
from tests.live.conftest import Namespaces
from tests.live.firewall_process import wait_until
from tests.live.peer import udp_socket
from tests.live.sipp import CARRIER, PSAP
from tests.live.test_nftables import CARRIER as CARRIER_ZONE
from tests.live.test_nftables import PSAP as PSAP_ZONE
from tests.live.test_nftables import policy


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


@pytest.mark.netns
def test_the_first_packets_of_each_flow_come_whole_with_time_and_interface(testbed: Namespaces) -> None:
    def nft(script: str) -> None:
        command = ["ip", "netns", "exec", testbed.fw, "nft", "-f", "-"]
        subprocess.run(command, input=script, text=True, check=True)

    nft(render_ruleset(policy(CARRIER_ZONE, PSAP_ZONE)))
    copies = live_testbed.in_namespace(testbed.fw, lambda: MediaCopies(InterfaceNames()))
    try:
        with udp_socket(testbed.carrier, CARRIER, 40_000) as sender, udp_socket(testbed.psap, PSAP, 49_170):
            before_ns = time.time_ns() - 1_000_000
            for number in range(50):
                sender.sendto(bytes((number,)) * 160, (PSAP, 49_170))
        received: list[MediaCopy] = []

        def has_three() -> bool:
            received.extend(live_testbed.in_namespace(testbed.fw, copies.receive))  # where the interfaces have names
            return len(received) >= 3

        wait_until(has_three, "three copies")
    finally:
        copies.close()
        nft("table inet sosgate\ndelete table inet sosgate\n")
    assert [copy.datagram.payload[0] for copy in received] == [0, 1, 2]
    assert received[0].datagram == Datagram(CARRIER, 40_000, PSAP, 49_170, bytes(160), "UDP", "f0", frame_bytes=202)
    assert {copy.copied for copy in received} == {"refused"}
    assert all(before_ns < copy.time_ns <= time.time_ns() for copy in received)


def test_a_second_receiver_in_one_namespace_is_refused(testbed: Namespaces) -> None:
    first = live_testbed.in_namespace(testbed.fw, lambda: MediaCopies(InterfaceNames()))
    try:
        with pytest.raises(MachineError, match=r"log group 505: .*no other program may have this group"):
            live_testbed.in_namespace(testbed.fw, lambda: MediaCopies(InterfaceNames()))
    finally:
        first.close()


def test_what_is_no_whole_udp_packet_is_left_out() -> None:
    packet = ip_packet("192.0.2.10", "198.51.100.10", bytes(160))
    assert read_packet(packet[:100], None) is None
    assert read_packet(ip_packet("192.0.2.10", "198.51.100.10", b"", protocol=6), None) is None
    assert read_packet(b"", None) is None


@given(st.binary(max_size=120))
def test_any_bytes_are_a_datagram_or_nothing(packet: bytes) -> None:
    found = read_packet(packet, None)
    assert found is None or len(found.payload) <= len(packet)
