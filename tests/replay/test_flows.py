"""The short way for RTP tells the same as the long way, and anything unusual goes the long way."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.frame import FrameDecoder
from firewall.net.rtp import is_rtp
from firewall.replay.flows import RtpFlows, rtp_flow
from tests.net.packets import ethernet, ipv4, ipv6, linux_sll, linux_sll2, record, udp
from tests.replay.calls import rtp

PACKET4, PACKET6 = ipv4(udp(rtp(1), 40000, 50000)), ipv6(udp(rtp(1), 40000, 50000))
FRAMES = [
    record(ethernet(PACKET4)),
    record(ethernet(PACKET6)),
    record(linux_sll(PACKET4, outgoing=False), link_type=113),
    record(linux_sll2(PACKET4, interface=1, outgoing=True), link_type=276),
    record(PACKET4, link_type=101),
    record(PACKET6, link_type=101),
    record(PACKET4, link_type=228),
    record(PACKET6, link_type=229),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_flow_is_known_from_its_second_packet_on(frame: CaptureRecord) -> None:
    flows = RtpFlows()
    assert flows.is_negotiated(frame) is None
    flows.learn(frame, negotiated=False)
    assert flows.is_negotiated(frame) is False
    flows.renew(forgotten=False)
    assert flows.is_negotiated(frame) is None
    flows.learn(frame, negotiated=True)
    flows.renew(forgotten=False)
    assert flows.is_negotiated(frame) is True
    flows.renew(forgotten=True)
    assert flows.is_negotiated(frame) is None


def test_flows_of_other_ports_are_others() -> None:
    flows = RtpFlows()
    flows.learn(FRAMES[0], negotiated=True)
    assert flows.is_negotiated(record(ethernet(ipv4(udp(rtp(1), 40001, 50000))))) is None


@pytest.mark.parametrize(
    "frame",
    [
        record(ethernet(ipv4(udp(b"\x80\xc8" + bytes(26), 40001, 50001)))),  # RTCP
        record(ethernet(ipv4(udp(b"INVITE sip:a SIP/2.0\r\n\r\n")))),
        record(ethernet(ipv4(udp(rtp(1), length=20)))),
        record(ethernet(ipv4(udp(rtp(1)), more=True))),
        record(ethernet(ipv4(udp(rtp(1)), options=b"\1\1\1\1"))),
        record(ethernet(PACKET4, tags=(0x8100,))),
        record(ethernet(PACKET4, ethertype=0x0806)),
        record(ethernet(PACKET4)[:-1]),
        record(ethernet(ipv4(udp(rtp(1)), protocol=136))),
        record(ethernet(ipv6(udp(rtp(1)), next_header=136))),
        record(ethernet(PACKET4), link_type=9),
    ],
)
def test_anything_unusual_goes_the_long_way(frame: CaptureRecord) -> None:
    assert rtp_flow(frame.link_type, frame.data) is None


@given(st.sampled_from([PACKET4, PACKET6]), st.integers(0, 60), st.binary(min_size=1, max_size=4), st.integers(0, 40))
def test_what_the_short_way_takes_the_long_way_reads_as_the_same_rtp(
    packet: bytes, at: int, noise: bytes, cut: int
) -> None:
    damaged = (packet[:at] + noise + packet[at + len(noise) :])[: len(packet) - cut]
    flow = rtp_flow(101, damaged)
    if flow is not None:
        decoded = FrameDecoder().decode(record(damaged, link_type=101))
        assert isinstance(decoded, Datagram)
        assert is_rtp(decoded.payload)
        assert flow.endswith(struct.pack(">HH", decoded.src_port, decoded.dst_port))
