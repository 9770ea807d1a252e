"""RTP headers, and what is none."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from firewall.net.rtp import RtpHeader, is_rtp, read_rtp_header


def test_every_field_of_the_header_is_read() -> None:
    packet = struct.pack(">BBHII", 2 << 6 | 1 << 5 | 1 << 4 | 3, 1 << 7 | 96, 65535, 160, 0xDEADBEEF) + bytes(20)
    assert read_rtp_header(packet) == RtpHeader(2, 1, 1, 3, 1, 96, 65535, 160, 0xDEADBEEF)


def test_rtcp_on_the_same_port_is_no_rtp() -> None:
    for packet_type in (192, 200, 201, 204, 223):
        assert not is_rtp(bytes([0x80, packet_type]) + bytes(30))


def test_neither_stun_nor_zrtp_nor_a_short_packet_is_rtp() -> None:
    assert not is_rtp(b"\0\1" + bytes(30))
    assert not is_rtp(b"\x10\0ZRTP" + bytes(30))
    assert not is_rtp(b"\x80\0" + bytes(9))


@given(st.binary(max_size=40))
def test_any_bytes_give_a_header_exactly_when_they_are_rtp(payload: bytes) -> None:
    header = read_rtp_header(payload)
    assert (header is not None) == is_rtp(payload)
    assert header is None or header.version == 2
