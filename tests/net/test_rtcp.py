"""RTCP compounds, and what is none."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from firewall.net.rtcp import RtcpHeader, is_rtcp, read_rtcp
from firewall.net.rtp import is_rtp


def test_a_compound_is_read_packet_by_packet() -> None:
    receiver_report = struct.pack(">BBHI", 0x80, 201, 1, 5)
    goodbye = struct.pack(">BBHI", 0x81, 203, 1, 5)
    assert read_rtcp(receiver_report + goodbye) == (RtcpHeader(2, 0, 201, 1, 5), RtcpHeader(2, 1, 203, 1, 5))


def test_a_cut_compound_is_read_up_to_the_cut() -> None:
    assert read_rtcp(struct.pack(">BBH", 0x80, 201, 6)) == (RtcpHeader(2, 0, 201, 6, None),)


@given(st.binary(max_size=64))
def test_any_bytes_are_rtcp_or_rtp_or_neither(payload: bytes) -> None:
    assert not (is_rtcp(payload) and is_rtp(payload))
    assert bool(read_rtcp(payload)) == is_rtcp(payload)
