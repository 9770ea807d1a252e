"""IP, UDP and TCP as captures show them: lengths obeyed, options and extension headers passed, fragments joined."""

import struct
from pathlib import Path

import pytest

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram, Packet, TcpHeader
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded, packed_address_text
from tests.net.packets import (
    CALLER,
    CALLER6,
    PSAP,
    PSAP6,
    START_NS,
    ethernet,
    ipv4,
    ipv6,
    linux_sll2,
    pcap,
    record,
    tcp,
    udp,
)
from tests.oracle.sharkd import frames_shown

INVITE = b"INVITE urn:service:sos SIP/2.0\r\n" + b"X-Filler: " + b"f" * 9000 + b"\r\n\r\n"


def decode(packet: bytes) -> Datagram | Undecoded:
    return FrameDecoder().decode(record(packet, link_type=101))


def reason(packet: bytes) -> tuple[str, str]:
    decoded = decode(packet)
    assert isinstance(decoded, Undecoded)
    return decoded.kind, decoded.reason


def test_options_of_ipv4_are_passed_over() -> None:
    assert decode(ipv4(udp(b"hi", 7, 8), options=b"\x94\4\0\0" * 3)) == Datagram(
        CALLER, 7, PSAP, 8, b"hi", frame_number=1
    )


def test_extension_headers_of_ipv6_are_passed_over() -> None:
    hop_by_hop = bytes([43, 0, 5, 2, 0, 0, 1, 0])
    routing = bytes([51, 2, 0, 0]) + bytes(20)
    authentication = bytes([60, 4, 0, 0]) + bytes(20)
    destination = bytes([17, 0, 1, 4, 0, 0, 0, 0])
    packet = ipv6(hop_by_hop + routing + authentication + destination + udp(b"hi", 7, 8), next_header=0)
    assert decode(packet) == Datagram(CALLER6, 7, PSAP6, 8, b"hi", frame_number=1)


@pytest.mark.parametrize(
    ("protocol", "is_read"), [(0, True), (43, True), (60, True), (140, True), (135, False), (139, False)]
)
def test_tshark_passes_over_the_same_extension_headers(protocol: int, is_read: bool, tmp_path: Path) -> None:
    packet = ipv6(bytes([17, 0, 0, 0, 0, 0, 0, 0]) + udp(INVITE), next_header=protocol)
    (tmp_path / "a.pcap").write_bytes(pcap([ethernet(packet)]))
    assert bool(frames_shown(tmp_path / "a.pcap", "sip")) == is_read
    decoded = decode(packet)
    assert isinstance(decoded, Datagram)
    assert (decoded.transport == "UDP") == is_read


def test_the_udp_length_ends_the_payload_and_ethernet_padding_is_no_part_of_it() -> None:
    frame = ethernet(ipv4(udp(b"hi") + b"trailing", total=38)) + bytes(18)
    decoded = FrameDecoder().decode(record(frame))
    assert isinstance(decoded, Datagram)
    assert decoded.payload == b"hi"


def test_a_length_of_nought_means_the_rest_as_offloading_cards_show_it() -> None:
    assert decode(ipv4(udp(b"hi", length=0), total=0)) == Datagram(CALLER, 5060, PSAP, 5060, b"hi", frame_number=1)


def test_tcp_has_its_ports_its_segment_and_what_its_header_says_of_the_stream() -> None:
    decoded = decode(ipv4(tcp(b"INVITE", 1024, 5060), protocol=6))
    header = TcpHeader(sequence_number=1, acknowledgment_number=1)
    assert decoded == Packet(CALLER, 1024, PSAP, 5060, b"INVITE", "TCP", frame_number=1, tcp=header)


@pytest.mark.parametrize("packet", [ipv4(b"echo", protocol=1), ipv6(b"echo", next_header=58)])
def test_other_protocols_have_addresses_and_no_ports(packet: bytes) -> None:
    decoded = decode(packet)
    assert isinstance(decoded, Datagram)
    assert (decoded.transport, decoded.src_port, decoded.dst_port, decoded.payload) == ("other", 0, 0, b"echo")


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        (ipv4(udp(b"hi", length=11)), "the UDP length does not fit the IP packet"),
        (ipv4(udp(b"hi", length=7)), "the UDP length does not fit the IP packet"),
        (ipv4(b"short"), "the packet is too short for a UDP header"),
        (ipv4(b"short", protocol=6), "the packet is too short for a TCP header"),
        (ipv4(tcp(b"")[:12] + b"\xf0" + tcp(b"")[13:], protocol=6), "the TCP header length does not fit"),
        (ipv4(udp(b"hi"), total=19), "the IPv4 total length is shorter than the header"),
        (ipv4(udp(b"hi"), total=60), "the frame is too short for the packet"),
        (b"\x44" + ipv4(udp(b"hi"))[1:], "no IPv4 header where one is announced"),
        (ipv4(udp(b"hi"))[:19], "the frame is too short for the IPv4 header"),
        (ipv6(udp(b"hi"))[:39], "the frame is too short for the IPv6 header"),
        (ipv6(b"\x11\x09" + bytes(6), next_header=0), "an extension header is longer than the packet"),
        (ipv6(b"\x11\0\0", next_header=0), "an extension header is longer than the packet"),
    ],
)
def test_lengths_that_do_not_fit_are_a_loss_and_said(packet: bytes, expected: str) -> None:
    assert reason(packet) == ("malformed", expected)


def test_a_truncated_datagram_still_tells_its_addresses_and_ports() -> None:
    packet = ipv4(udp(b"\x80\0" + bytes(170), 4000, 6000))
    decoded = FrameDecoder().decode(record(packet[:60], link_type=101, original=len(packet)))
    assert isinstance(decoded, Undecoded)
    assert decoded.kind == "truncated"
    assert decoded.reason == f"truncated: the capture holds 60 of {len(packet)} bytes of the frame"
    partial = decoded.datagram
    assert (partial.src_ip, partial.src_port, partial.dst_port, partial.transport) == (CALLER, 4000, 6000, "UDP")


def fragments4(body: bytes, size: int = 1480, identification: int = 77) -> list[bytes]:
    return [
        ipv4(body[at : at + size], identification=identification, offset=at, more=at + size < len(body))
        for at in range(0, len(body), size)
    ]


def fragments6(body: bytes, size: int = 1232, following: int = 17) -> list[bytes]:
    return [
        ipv6(
            struct.pack(">BBHI", following, 0, at | (at + size < len(body)), 99) + body[at : at + size],
            next_header=44,
        )
        for at in range(0, len(body), size)
    ]


@pytest.mark.parametrize(
    "packets",
    [
        pytest.param(fragments4(udp(INVITE)), id="IPv4"),
        pytest.param(fragments6(udp(INVITE)), id="IPv6"),
        pytest.param(fragments6(bytes([17, 0, 1, 4, 0, 0, 0, 0]) + udp(INVITE), following=60), id="IPv6, options"),
    ],
)
@pytest.mark.parametrize("turn", [0, 1, -1])
def test_a_message_in_fragments_is_whole_at_the_frame_that_completes_it(
    tmp_path: Path, packets: list[bytes], turn: int
) -> None:
    turned = packets[turn:] + packets[:turn]
    decoder = FrameDecoder()
    decoded = [decoder.decode(record(ethernet(packet), number=n)) for n, packet in enumerate(turned, 1)]
    assert [item.kind for item in decoded[:-1] if isinstance(item, Undecoded)] == ["fragment"] * (len(packets) - 1)
    last = decoded[-1]
    assert isinstance(last, Datagram)
    assert (last.payload, last.frame_number, last.src_port) == (INVITE, len(packets), 5060)
    (tmp_path / "a.pcap").write_bytes(pcap([ethernet(packet) for packet in turned]))
    assert frames_shown(tmp_path / "a.pcap", "sip.Method == INVITE") == [len(packets)]


def test_an_atomic_fragment_is_whole() -> None:
    packet = ipv6(struct.pack(">BBHI", 17, 0, 0, 5) + udp(b"hi", 7, 8), next_header=44)
    assert decode(packet) == Datagram(CALLER6, 7, PSAP6, 8, b"hi", frame_number=1)


def test_overlapping_fragments_are_a_loss_as_in_the_kernel() -> None:
    decoder = FrameDecoder()
    first, second = ipv4(bytes(24), more=True), ipv4(bytes(24), offset=8)
    assert isinstance(decoder.decode(record(first, link_type=101)), Undecoded)
    decoded = decoder.decode(record(second, link_type=101, number=2))
    assert isinstance(decoded, Undecoded)
    assert (decoded.kind, "overlap" in decoded.reason) == ("malformed", True)


def test_fragments_seen_coming_in_and_going_out_make_one_datagram_on_either_side() -> None:
    decoder = FrameDecoder()
    packets = fragments4(udp(b"x" * 3000))
    seen = [linux_sll2(packet, interface=side, outgoing=side == 2) for packet in packets for side in (1, 2)]
    decoded = [decoder.decode(record(frame, link_type=276, number=n)) for n, frame in enumerate(seen, 1)]
    assert [item.frame_number for item in decoded if isinstance(item, Datagram)] == [len(seen) - 1, len(seen)]
    assert list(decoder.fragments.incomplete()) == []


def test_only_a_known_interface_that_a_packet_came_in_on_is_told() -> None:
    packet = ipv4(udp(b"hi"))
    decoder = FrameDecoder(interfaces=frozenset({"f0"}))

    def in_iface(name: str | None, outgoing: bool | None = None) -> str | None:
        decoded = decoder.decode(CaptureRecord(1, START_NS, 101, packet, len(packet), name, 0, outgoing))
        assert isinstance(decoded, Datagram)
        return decoded.in_iface

    assert [in_iface("f0"), in_iface("eth0"), in_iface(None), in_iface("f0", outgoing=True)] == ["f0", None, None, None]


def test_the_length_of_a_frame_is_its_own_or_that_of_the_ethernet_frame_it_makes() -> None:
    frame = linux_sll2(ipv4(udp(b"hi")), interface=1, outgoing=False)
    wire = FrameDecoder(as_captured=True).decode(record(frame, link_type=276))
    live = FrameDecoder().decode(record(frame, link_type=276))
    assert isinstance(wire, Datagram)
    assert isinstance(live, Datagram)
    assert (wire.frame_len, live.frame_len) == (20 + 30, 14 + 30)


def test_addresses_are_written_as_the_kernel_prints_them() -> None:
    assert packed_address_text(bytes([192, 0, 2, 1])) == "192.0.2.1"
    assert packed_address_text(bytes.fromhex("20010db8000000000000000000000001")) == "2001:db8::1"


def test_sip_in_what_is_not_read_is_counted_with_the_first_frame_that_had_it() -> None:
    decoder = FrameDecoder()
    sip = b"OPTIONS sip:psap.example SIP/2.0\r\nVia: SIP/2.0/SCTP 192.0.2.7\r\n"
    quoted = ipv4(b"\x03\x03" + bytes(6) + ipv4(udp(sip)), protocol=1)
    packets = [ipv4(bytes(40), protocol=132), ipv4(bytes(16) + sip, protocol=132), ipv6(sip, next_header=99), quoted]
    for number, packet in enumerate(packets, 1):
        decoder.decode(record(ethernet(packet), number=number))
    assert decoder.unread_sip == (2, 2)


def test_udp_lite_is_read_to_the_end_of_the_packet_whatever_its_checksum_covers() -> None:
    """RFC 3828 §3.1: where UDP has its length, UDP-Lite has how much its checksum covers."""
    found = FrameDecoder().decode(record(ethernet(ipv4(udp(b"whole", length=8), protocol=136))))
    assert isinstance(found, Datagram)
    assert (found.payload, found.transport) == (b"whole", "UDP")


@pytest.mark.parametrize(("words", "kind"), [(1, "UDP"), (200, None)])
def test_the_authentication_header_is_stepped_over_if_it_fits(words: int, kind: str | None) -> None:
    """RFC 4302 §2.2: its length is in words of four bytes, less two."""
    header = bytes([17, words]) + bytes(10)
    found = FrameDecoder().decode(record(ethernet(ipv4(header + udp(b"inside"), protocol=51))))
    assert (found.transport if isinstance(found, Datagram) else None) == kind


def test_frames_cut_alike_share_the_text_that_says_so() -> None:
    frame = ethernet(ipv4(udp(bytes(172))))
    one, other = (FrameDecoder().decode(record(frame[:60], original=len(frame))) for _ in range(2))
    assert isinstance(one, Undecoded)
    assert isinstance(other, Undecoded)
    assert one.reason is other.reason
