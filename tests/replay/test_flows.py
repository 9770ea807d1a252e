"""The short way for RTP tells the same as the long way, and anything unusual goes the long way."""

import struct
from itertools import accumulate

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.engine.media_flow import Ends, MediaFlow
from firewall.engine.timestamp import NEVER_NS
from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.frame import FrameDecoder
from firewall.net.rtp import read_rtp_header
from firewall.net.rtp_stream import RtpPacket
from firewall.net.vantage import vantage
from firewall.replay.flows import RtpFlows, rtp_of_flow
from firewall.sip.media_endpoint import Formats
from tests.net.packets import CALLER, PSAP, ethernet, ipv4, ipv6, linux_sll, linux_sll2, record, udp
from tests.replay.calls import rtp

NO_FORMATS = Formats(frozenset(), (), ())
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
    record(ethernet(PACKET4, tags=(0x8100,))),
    record(ethernet(PACKET6, tags=(0x8100,))),
    record(ethernet(PACKET4, tags=(0x88A8, 0x8100))),
]
ENDS4 = ((CALLER, 40000), (PSAP, 50000))


def flow_of(frame: CaptureRecord) -> MediaFlow:
    """The engine's flow after its first packet, this frame's."""
    decoded = FrameDecoder().decode(frame)
    assert isinstance(decoded, Datagram)
    flow = MediaFlow(Ends(decoded.src_ip, decoded.src_port, decoded.dst_ip, decoded.dst_port), NO_FORMATS)
    flow.take(decoded.payload, frame.timestamp_ns)
    flow.is_plain = True
    return flow


def counted(flows: RtpFlows, frame: CaptureRecord) -> bool | None:
    """Have a frame counted: whether its addresses are announced in SDP, None where it goes the long way."""
    before = flows.negotiated
    return flows.negotiated > before if flows.count(iter((frame,)), NEVER_NS) is None else None


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("engines", [0, 1, 2])
def test_a_flow_that_was_learned_is_counted_for_each_engine(frame: CaptureRecord, engines: int) -> None:
    flows, media = RtpFlows(), tuple(flow_of(frame) for _ in range(engines))
    assert counted(flows, frame) is None
    flows.learn(frame, media, negotiated=True)
    assert [counted(flows, frame) for _ in range(3000)] == [True] * 3000
    assert [flow.packets for flow in media] == [3001] * engines
    assert all(flow.octets == 3001 * len(rtp(1)) for flow in media)
    flows.learn(frame, media, negotiated=False)
    assert counted(flows, frame) is False
    flows.renew(())
    assert counted(flows, frame) is None


def test_frames_of_all_links_in_turn_are_counted_as_those_of_one() -> None:
    for first in FRAMES:
        for second in FRAMES:
            flows, media = RtpFlows(), flow_of(first)
            flows.learn(first, (media,), negotiated=True)
            one_flow = rtp_of_flow(first.link_type, first.data) == rtp_of_flow(second.link_type, second.data)
            seen = vantage(first) == vantage(second)
            expected = [True, True if one_flow else None, True]
            assert [counted(flows, frame) for frame in (first, second, first)] == expected
            assert media.packets == 3 + (one_flow and seen)


@pytest.mark.parametrize("end", ENDS4)
def test_a_flow_that_passes_is_asked_about_again_when_one_of_its_ends_changes(end: tuple[str, int]) -> None:
    frame = FRAMES[0]
    flows, flow = RtpFlows(), flow_of(frame)
    flows.learn(frame, (flow,), negotiated=True, passes=True)
    flows.renew([(end[0], end[1] + 2), ("198.51.100.99", end[1]), ("no-address.example", 1)])
    assert counted(flows, frame) is True
    flows.renew([end])
    assert counted(flows, frame) is None
    flows.learn(frame, (flow,), negotiated=True, passes=True)
    assert counted(flows, frame) is True


@pytest.mark.parametrize("engines", [1, 2])
def test_a_flow_that_is_not_plain_any_more_goes_the_long_way_and_is_counted_by_none(engines: int) -> None:
    flows, media = RtpFlows(), tuple(flow_of(FRAMES[0]) for _ in range(engines))
    flows.learn(FRAMES[0], media, negotiated=True)
    assert [counted(flows, FRAMES[0]) for _ in range(2)] == [True] * 2
    media[-1].is_plain = False
    assert counted(flows, FRAMES[0]) is None
    assert [flow.packets for flow in media] == [3] * engines


@pytest.mark.parametrize("other", [rtp(1, ssrc=99), rtp(1, payload_type=8)])
@pytest.mark.parametrize("engines", [1, 2])
def test_another_source_or_payload_type_goes_the_long_way(other: bytes, engines: int) -> None:
    flows, media = RtpFlows(), tuple(flow_of(FRAMES[0]) for _ in range(engines))
    flows.learn(FRAMES[0], media, negotiated=True)
    assert counted(flows, record(ethernet(ipv4(udp(other, 40000, 50000))))) is None
    assert [flow.packets for flow in media] == [1] * engines


def test_a_copy_on_its_way_out_is_not_counted_again() -> None:
    incoming = record(linux_sll(PACKET4, outgoing=False), link_type=113)
    outgoing = record(linux_sll(PACKET4, outgoing=True), link_type=113)
    flows, flow = RtpFlows(), flow_of(incoming)
    flows.learn(incoming, (flow,), negotiated=True)
    assert (counted(flows, outgoing), counted(flows, incoming), flow.packets) == (True, True, 2)


def test_flows_of_other_ports_are_others() -> None:
    flows = RtpFlows()
    flows.learn(FRAMES[0], (), negotiated=True)
    assert counted(flows, record(ethernet(ipv4(udp(rtp(1), 40001, 50000))))) is None


@pytest.mark.parametrize(
    "frame",
    [
        record(ethernet(ipv4(udp(b"\x80\xc8" + bytes(26), 40001, 50001)))),  # RTCP
        record(ethernet(ipv4(udp(b"INVITE sip:a SIP/2.0\r\n\r\n")))),
        record(ethernet(ipv4(udp(rtp(1), length=20)))),
        record(ethernet(ipv4(udp(rtp(1)), more=True))),
        record(ethernet(ipv4(udp(rtp(1)), options=b"\1\1\1\1"))),
        record(ethernet(PACKET4, tags=(0x88A8, 0x8100, 0x8100))),
        record(ethernet(PACKET4, ethertype=0x0806)),
        record(ethernet(PACKET4)[:-1]),
        record(ethernet(ipv4(udp(rtp(1)), protocol=136))),
        record(ethernet(ipv6(udp(rtp(1)), next_header=136))),
        record(ethernet(PACKET4), link_type=9),
    ],
)
def test_anything_unusual_goes_the_long_way(frame: CaptureRecord) -> None:
    assert rtp_of_flow(frame.link_type, frame.data) is None
    flows = RtpFlows()
    flows.learn(FRAMES[0], (), negotiated=True)
    assert counted(flows, frame) is None


@given(st.sampled_from([PACKET4, PACKET6]), st.integers(0, 60), st.binary(min_size=1, max_size=4), st.integers(0, 40))
def test_what_the_short_way_takes_the_long_way_reads_as_the_same_rtp(
    packet: bytes, at: int, noise: bytes, cut: int
) -> None:
    damaged = (packet[:at] + noise + packet[at + len(noise) :])[: len(packet) - cut]
    packet = rtp_of_flow(101, damaged)
    if packet is not None:
        decoded = FrameDecoder().decode(record(damaged, link_type=101))
        assert isinstance(decoded, Datagram)
        header = read_rtp_header(decoded.payload)
        assert header is not None
        flow, length, second, sequence, timestamp, ssrc = packet
        assert flow.endswith(struct.pack(">HH", decoded.src_port, decoded.dst_port))
        assert (length - 8, second & 0x7F) == (len(decoded.payload), header.payload_type)
        assert (sequence, timestamp, ssrc) == (header.sequence_number, header.timestamp, header.ssrc)


@given(
    st.sampled_from(FRAMES[:5] + FRAMES[8:]),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 255)), max_size=3),
    st.integers(0, 60),
    st.sampled_from([None, 0, 1]),
)
def test_a_packet_that_looks_like_those_before_is_counted_as_if_it_did_not(
    first: CaptureRecord, changes: list[tuple[int, int]], cut: int, interface_id: int | None
) -> None:
    data = bytearray(first.data)
    for place, value in changes:
        data[min(place, len(data) - 1)] = value
    changed = record(bytes(data)[: len(data) - cut], link_type=first.link_type)
    if interface_id is not None:
        changed = msgspec.structs.replace(changed, interface_id=interface_id)
    told = []
    for alike in (0, 1):  # how many packets came that show what they all look like
        flows, media = RtpFlows(), flow_of(first)
        flows.learn(first, (media,), negotiated=True)
        assert [counted(flows, first) for _ in range(alike)] == [True] * alike
        told.append((counted(flows, changed), media.waiting[alike:], media.packets - alike))
    assert told[0] == told[1]


class WithoutShapes(RtpFlows):
    """Looks into every packet."""

    def _remember_shape(self, *_: object) -> None:
        """Know nothing of what packets look like."""


def told_of(
    flows: RtpFlows, frames: list[CaptureRecord], engines: int, until_ns: int
) -> tuple[list[int], int, list[list[RtpPacket]]]:
    """What is told of frames whose flows are learned as they come: which go the long way, and all counts."""
    media: dict[bytes, tuple[MediaFlow, ...]] = {}
    rest = iter(frames)
    long_ways: list[int] = []
    while (frame := flows.count(rest, until_ns)) is not None:
        long_ways.append(frame.frame_number)
        packet = rtp_of_flow(frame.link_type, frame.data)
        if packet is None:
            flows.renew([ENDS4[0]])  # as a message that negotiates
        else:
            known = media.setdefault(packet[0], tuple(flow_of(frame) for _ in range(engines)))
            flows.learn(frame, known, negotiated=frame.frame_number % 3 > 0, passes=frame.frame_number % 2 > 0)
    return long_ways, flows.negotiated, [flow.waiting for each in media.values() for flow in each]


VARIATIONS = ["", "", "", "marker", "contributors", "RTCP", "no RTP", "type", "source", "interface", "outgoing", "cut"]
VARIATIONS += ["1", "15", "19", "22"]  # one bit of this byte


def varied(frame: CaptureRecord, number: int, how: str, at_ns: int) -> CaptureRecord:
    """The packet of this number in a frame of this kind, with one thing different."""
    begins = {
        "marker": b"\x80\x80",
        "contributors": b"\x81\0",
        "RTCP": b"\x80\xc8",
        "no RTP": b"\0\0",
        "type": b"\x80\x60",
    }
    packet = begins.get(how, b"\x80\0") + rtp(number, ssrc=8 if how == "source" else 7)[2:]
    data = bytearray(frame.data[: -len(packet)] + packet)
    if how.isdecimal():
        data[int(how)] ^= 1
    return msgspec.structs.replace(
        frame,
        data=bytes(data[:-1]) if how == "cut" else bytes(data),
        interface_id=int(how == "interface"),
        outgoing=True if how == "outgoing" else None,
        frame_number=number,
        timestamp_ns=at_ns,
    )


@given(
    st.lists(st.sampled_from(FRAMES), min_size=1, max_size=2),
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from(VARIATIONS),
            st.sampled_from([0, 20_000_000, 900_000_000, 2_000_000_000]),
        ),
        min_size=4,
        max_size=20,
    ),
    st.sampled_from([1, 1, 2]),
    st.sampled_from([NEVER_NS, 4_000_000_000]),
)
def test_frames_in_any_order_are_counted_as_if_none_looked_like_another(
    kinds: list[CaptureRecord], drawn: list[tuple[int, str, int]], engines: int, until_ns: int
) -> None:
    times = accumulate(later_ns for _, _, later_ns in drawn)
    frames = [
        varied(kinds[kind % len(kinds)], number, how, at_ns)
        for number, ((kind, how, _), at_ns) in enumerate(zip(drawn, times, strict=True), 1)
    ]
    assert told_of(RtpFlows(), frames, engines, until_ns) == told_of(WithoutShapes(), frames, engines, until_ns)
