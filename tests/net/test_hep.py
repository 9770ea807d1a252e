"""HEPv3 packets as capture agents write them (HEP/EEP network protocol, revision 32)."""

import ipaddress
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.net.datagram import Packet
from firewall.net.frame import FrameDecoder
from firewall.net.hep import read_hep
from tests.net.packets import CALLER, CALLER6, PSAP, PSAP6, SECOND_NS, START_NS, ethernet, ipv4, record, udp

SIP = b"OPTIONS sip:psap.example SIP/2.0\r\n\r\n"


def chunk(kind: int, value: bytes, vendor: int = 0) -> bytes:
    return struct.pack(">HHH", vendor, kind, 6 + len(value)) + value


def hep(
    payload: bytes = SIP,
    *,
    src: str = CALLER,
    dst: str = PSAP,
    protocol: int = 17,
    content: int = 1,
    at_ns: int = START_NS,
    deflated: bool = False,
) -> bytes:
    is_ipv4 = ":" not in src
    seconds, rest_ns = divmod(at_ns, SECOND_NS)
    chunks = [
        chunk(1, b"\x02" if is_ipv4 else b"\x0a"),
        chunk(2, bytes([protocol])),
        chunk(3 if is_ipv4 else 5, ipaddress.ip_address(src).packed),
        chunk(4 if is_ipv4 else 6, ipaddress.ip_address(dst).packed),
        chunk(7, struct.pack(">H", 5062)),
        chunk(8, struct.pack(">H", 5060)),
        chunk(9, struct.pack(">I", seconds)),
        chunk(10, struct.pack(">I", rest_ns // 1000)),
        chunk(11, bytes([content])),
        chunk(12, struct.pack(">I", 2001)),
        chunk(3, b"of another vendor", vendor=7),
        chunk(16, zlib.compress(payload)) if deflated else chunk(15, payload),
    ]
    body = b"".join(chunks)
    return b"HEP3" + struct.pack(">H", 6 + len(body)) + body


@pytest.mark.parametrize(("src", "dst"), [(CALLER, PSAP), (CALLER6, PSAP6)])
@pytest.mark.parametrize("deflated", [False, True])
def test_addresses_payload_and_time_are_the_captured_packets_own(src: str, dst: str, *, deflated: bool) -> None:
    expected = Packet(src, 5062, dst, 5060, SIP, "UDP", captured_ns=START_NS)
    assert read_hep(hep(src=src, dst=dst, deflated=deflated)) == expected


def test_a_message_of_a_tcp_stream_is_whole_and_says_so() -> None:
    packet = read_hep(hep(protocol=6))
    assert packet is not None
    assert (packet.transport, packet.tcp) == ("TCP", None)


def test_what_is_not_sip_is_no_signalling() -> None:
    packet = read_hep(hep(b'{"rtcp": 1}', content=5))
    assert packet is not None
    assert packet.transport == "other"


@pytest.mark.parametrize("port", [9060, 30000])
def test_a_hep_packet_in_a_capture_is_found_by_its_content(port: int) -> None:
    frame = ethernet(ipv4(udp(hep(), 40000, port), "203.0.113.1", "203.0.113.2"))
    decoder = FrameDecoder()
    assert decoder.decode(record(frame, number=4)) == Packet(
        CALLER, 5062, PSAP, 5060, SIP, "UDP", frame_number=4, captured_ns=START_NS
    )


@pytest.mark.parametrize(
    "damaged",
    [hep()[:-1], hep()[:5], b"HEP3\0\x05", hep().replace(struct.pack(">HHH", 0, 7, 8), struct.pack(">HHH", 0, 7, 3))],
)
def test_a_damaged_packet_is_none(damaged: bytes) -> None:
    assert read_hep(damaged) is None


def test_a_deflated_payload_cannot_fill_the_memory() -> None:
    packet = read_hep(hep(bytes(4_000_000), deflated=True))
    assert packet is not None
    assert len(packet.payload) <= 65_535


@given(st.binary(max_size=120), st.integers(0, 200))
def test_any_bytes_give_a_packet_or_none(data: bytes, cut: int) -> None:
    for payload in (data, b"HEP3" + struct.pack(">H", 6 + len(data)) + data, hep()[:cut] + data):
        found = read_hep(payload)
        assert found is None or isinstance(found, Packet)


OLD = {
    "version 1": b"\x01\x10\x02\x11\x13\xc4\x13\xc6" + bytes([192, 0, 2, 7, 198, 51, 100, 2]),
    "version 2": b"\x02\x1c\x02\x06\x13\xc4\x13\xc6" + bytes([192, 0, 2, 7, 198, 51, 100, 2]) + bytes(12),
}


@pytest.mark.parametrize(("version", "transport"), [("version 1", "UDP"), ("version 2", "TCP")])
def test_the_fixed_header_of_earlier_versions_is_read(version: str, transport: str) -> None:
    packet = read_hep(OLD[version] + b"OPTIONS sip:a@b SIP/2.0\r\n\r\n")
    assert packet is not None
    assert (packet.src_ip, packet.src_port, packet.dst_ip, packet.dst_port) == ("192.0.2.7", 5060, "198.51.100.2", 5062)
    assert (packet.transport, packet.payload) == (transport, b"OPTIONS sip:a@b SIP/2.0\r\n\r\n")


@pytest.mark.parametrize("payload", [b"", b"no SIP", b"\x80\0", b"INV"])
@pytest.mark.parametrize("version", OLD)
def test_two_bytes_alone_make_no_hep(version: str, payload: bytes) -> None:
    assert read_hep(OLD[version] + payload) is None
    assert read_hep(OLD[version][:9]) is None
