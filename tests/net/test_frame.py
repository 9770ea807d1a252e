"""From any link type to the IP packet; scapy writes the frames, tshark reads them beside us."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.exported_pdu import EXPORT
from firewall.net.frame import FrameDecoder
from firewall.net.ip import Undecoded
from firewall.net.link import ETHERNET, ETHERTYPE_IPV4, ip_packet
from tests.net.packets import (
    CALLER,
    CALLER6,
    PSAP,
    PSAP6,
    ethernet,
    frames_of,
    ipv4,
    ipv6,
    linux_sll,
    linux_sll2,
    record,
    segment,
    tshark_of_each,
    udp,
)

SIP = b"OPTIONS sip:psap.example SIP/2.0\r\n\r\n"
PACKET4, PACKET6 = ipv4(udp(SIP, 5062, 5060)), ipv6(udp(SIP, 5062, 5060))
IP_FRAMES = [
    (1, ethernet(PACKET4), PACKET4),
    (1, ethernet(PACKET6), PACKET6),
    (1, ethernet(PACKET4, tags=(0x8100,)), PACKET4),
    (1, ethernet(PACKET6, tags=(0x88A8, 0x8100)), PACKET6),
    (1, ethernet(PACKET4, tags=(0x9100, 0x8100, 0x8100)), PACKET4),
    (101, PACKET4, PACKET4),
    (101, PACKET6, PACKET6),
    (228, PACKET4, PACKET4),
    (229, PACKET6, PACKET6),
    (12, PACKET4, PACKET4),
    (14, PACKET6, PACKET6),
    (113, linux_sll(PACKET4, outgoing=False), PACKET4),
    (276, linux_sll2(PACKET4, interface=2, outgoing=True), PACKET4),
    (0, b"\x02\0\0\0" + PACKET4, PACKET4),
    (0, b"\0\0\0\x02" + PACKET4, PACKET4),
    (0, b"\x1e\0\0\0" + PACKET6, PACKET6),
    (0, b"\0\0\0\x18" + PACKET6, PACKET6),
    (108, b"\0\0\0\x02" + PACKET4, PACKET4),
    (108, b"\0\0\0\x1c" + PACKET6, PACKET6),
]


@pytest.mark.parametrize(("link_type", "frame", "packet"), IP_FRAMES)
def test_the_ip_packet_is_found_behind_every_link_header(link_type: int, frame: bytes, packet: bytes) -> None:
    src, dst = (CALLER, PSAP) if packet is PACKET4 else (CALLER6, PSAP6)
    decoded = FrameDecoder().decode(record(frame, link_type=link_type, number=9))
    assert decoded == Datagram(src, 5062, dst, 5060, SIP, "UDP", frame_number=9)


# Link types that the capture library stores under other numbers than the ones we are handed are left to the test above.
STORED = [(link_type, frame) for link_type, frame, _ in IP_FRAMES if link_type not in (12, 14)]


@pytest.fixture(scope="module")
def of_tshark(tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """Addresses, ports and length of each stored frame."""
    fields = ("ip.src", "ip.dst", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "frame.len")
    rows = tshark_of_each(tmp_path_factory.mktemp("frame") / "a.pcapng", STORED, *fields)
    return [[value for value in row if value] for row in rows]


@pytest.mark.parametrize("number", range(len(STORED)))
def test_tshark_finds_the_same_packet(number: int, of_tshark: list[list[str]]) -> None:
    link_type, frame = STORED[number]
    decoded = FrameDecoder(as_captured=True).decode(record(frame, link_type=link_type))
    assert isinstance(decoded, Datagram)
    assert of_tshark[number] == [
        decoded.src_ip,
        decoded.dst_ip,
        str(decoded.src_port),
        str(decoded.dst_port),
        str(decoded.frame_len),
    ]


def test_scapys_vlan_stack_and_padding_are_read(tmp_path: Path) -> None:
    from scapy.layers.inet import IP, UDP
    from scapy.layers.l2 import Dot1Q, Ether
    from scapy.packet import Raw
    from scapy.utils import wrpcap

    frame = Ether() / Dot1Q(vlan=2) / Dot1Q(vlan=3) / IP(src=CALLER, dst=PSAP) / UDP(sport=1, dport=2) / Raw(b"hi")
    wrpcap(str(tmp_path / "a.pcap"), [bytes(frame) + bytes(20)], linktype=1)
    (read,) = frames_of((tmp_path / "a.pcap").read_bytes())
    assert FrameDecoder().decode(read) == Datagram(CALLER, 1, PSAP, 2, b"hi", frame_number=1)


@pytest.mark.parametrize(
    ("link_type", "frame"),
    [
        (1, ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), ethertype=0x0806)),
        (1, ethernet(b"\xaa\xaa\3" + bytes(40), ethertype=43)),
        (0, b"\7\0\0\0" + bytes(30)),
        (101, b"\x20" + bytes(30)),
    ],
)
def test_a_frame_without_an_ip_packet_is_in_order(link_type: int, frame: bytes) -> None:
    decoded = FrameDecoder().decode(record(frame, link_type=link_type))
    assert isinstance(decoded, Undecoded)
    assert decoded.kind == "not_ip"


def test_a_link_type_nobody_reads_is_a_loss_with_its_number() -> None:
    decoded = FrameDecoder().decode(record(PACKET4, link_type=189))
    assert isinstance(decoded, Undecoded)
    assert (decoded.kind, decoded.reason) == ("link_type", f"link type 189 is not read; {EXPORT}")


@pytest.mark.parametrize(("link_type", "frame", "packet"), IP_FRAMES)
def test_a_frame_cut_by_the_snapshot_length_is_a_loss_wherever_it_is_cut(
    link_type: int, frame: bytes, packet: bytes
) -> None:
    for size in range(len(frame)):
        decoded = FrameDecoder().decode(record(frame[:size], link_type=link_type, original=len(frame)))
        assert isinstance(decoded, Undecoded), f"{size} of {len(frame)} bytes"
        assert decoded.kind == "truncated" or (decoded.kind == "not_ip" and not frame[:size].strip(b"\0"))
    assert packet in frame


@pytest.mark.parametrize("protocol", [6, 17])
def test_a_frame_cut_behind_its_ports_has_them(protocol: int) -> None:
    frame = ethernet(ipv4(udp(bytes(20), 5062, 5060), protocol=protocol))
    decoded = FrameDecoder().decode(record(frame[:38], original=len(frame)))
    assert isinstance(decoded, Undecoded)
    assert (decoded.datagram.src_port, decoded.datagram.dst_port, decoded.datagram.payload) == (5062, 5060, b"")


@given(
    st.sampled_from([0, 1, 12, 101, 108, 113, 228, 229, 276, 105, -1]), st.binary(max_size=120), st.integers(0, 2000)
)
def test_any_bytes_give_a_datagram_or_the_reason_why_not(link_type: int, data: bytes, original: int) -> None:
    decoded = FrameDecoder().decode(CaptureRecord(1, 0, link_type, data, original))
    assert isinstance(decoded, Datagram | Undecoded)


@given(
    st.sampled_from(IP_FRAMES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
)
def test_damaged_frames_give_a_datagram_or_the_reason_why_not(
    case: tuple[int, bytes, bytes], damage: list[tuple[int, int]], end: int
) -> None:
    link_type, frame, _ = case
    damaged = bytearray(frame)
    for place, value in damage:
        damaged[place % len(damaged)] = value
    decoder = FrameDecoder()
    for number in (1, 2):
        decoded = decoder.decode(record(bytes(damaged[:end] if end else damaged), link_type=link_type, number=number))
        assert isinstance(decoded, Datagram | Undecoded)


@given(
    st.sampled_from([SIP, b"HEP3\0\x06", b"\x01\x10" + SIP, b"", b"\x80\0\0\1"]),
    st.sampled_from([5060, 4789, 6081, 2152]),
    st.lists(st.tuples(st.integers(0, 45), st.integers(0, 255)), max_size=3),
    st.integers(-30, 8),
    st.booleans(),
)
def test_a_plain_datagram_read_at_once_is_the_one_read_step_by_step(
    payload: bytes, dst_port: int, changes: list[tuple[int, int]], longer: int, as_captured: bool
) -> None:
    frame = bytearray(ethernet(ipv4(udp(payload, 5062, dst_port))))
    is_read_the_same_by_steps(frame, changes, longer, as_captured=as_captured)


@given(
    st.sampled_from([SIP, b"", b"\x16\x03\x01"]),
    st.sampled_from(["A", "SA", "FA", "R", "S"]),
    st.lists(st.tuples(st.integers(0, 57), st.integers(0, 255)), max_size=3),
    st.integers(-50, 8),
    st.booleans(),
)
def test_a_plain_segment_read_at_once_is_the_one_read_step_by_step(
    payload: bytes, flags: str, changes: list[tuple[int, int]], longer: int, as_captured: bool
) -> None:
    frame = bytearray(ethernet(segment(payload, 7, flags=flags, acknowledges=9)))
    is_read_the_same_by_steps(frame, changes, longer, as_captured=as_captured)


def is_read_the_same_by_steps(
    frame: bytearray, changes: list[tuple[int, int]], longer: int, *, as_captured: bool
) -> None:
    """Change bytes of a frame, make it longer or shorter, and read it in both ways."""
    for place, value in changes:
        frame[min(place, len(frame) - 1)] = value
    data = bytes(frame)[: len(frame) + min(longer, 0)] + b"\0" * max(longer, 0)
    whole = record(data, number=9)
    at_once, by_steps = (FrameDecoder(as_captured=as_captured) for _ in range(2))
    ethertype, start = ip_packet(ETHERNET, data)
    if ethertype == ETHERTYPE_IPV4:
        assert at_once.decode(whole) == by_steps.ipv4(whole, start)
