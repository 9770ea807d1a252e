"""RTP as captures of many calls hold it: interleaved flows with their signalling and RTCP, and VLAN tags."""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench.packet_path import call
from tests.bench.sip_traffic import BEGIN_NS, Frame, udp_frame
from tests.media import sdp
from tests.messages import CARRIER, PSAP
from tests.net.packets import enhanced, interface, option, section

FIRST_PORT = 20_000
PACKET_NS = 20_000_000
RTCP_EVERY = 250  # packets of a flow: five seconds


def write_pcapng(path: Path, frames: Iterable[Frame]) -> None:
    """Write a nanosecond pcapng of Ethernet frames, as dumpcap does on one interface."""
    with path.open("wb") as out:
        out.write(section() + interface(options=option(9, b"\x09")))
        for at_ns, frame in frames:
            out.write(enhanced(frame, at_ns))


def tagged(frames: Iterable[Frame]) -> Iterator[Frame]:
    """Yield the frames as they are on a port that carries VLANs (IEEE 802.1Q)."""
    for at_ns, frame in frames:
        yield at_ns, frame[:12] + b"\x81\x00\x00\x05" + frame[12:]


def many_calls(packets: int, calls: int) -> Iterator[Frame]:
    """Yield that many calls at a time, from INVITE to BYE, with so many RTP packets of all, interleaved, and RTCP."""
    messages = []
    for number in range(calls):
        media = f"audio {FIRST_PORT + 4 * number} RTP/AVP 0 101"
        messages.append(call(number, "6175550199", sdp(CARRIER[0], media), sdp(PSAP[0], media)))
    at_ns = BEGIN_NS
    for number, (_, datagram) in enumerate(message for each in messages for message in each[:4]):
        at_ns = BEGIN_NS + number * 5_000_000
        yield (
            at_ns,
            udp_frame((datagram.src_ip, datagram.src_port), (datagram.dst_ip, datagram.dst_port), datagram.payload),
        )
    begin_ns, flows = at_ns + PACKET_NS, 2 * calls
    for number in range(packets):
        sequence, flow = divmod(number, flows)
        at_ns = begin_ns + sequence * PACKET_NS + flow * PACKET_NS // flows
        port, ends = FIRST_PORT + 4 * (flow // 2), (CARRIER[0], PSAP[0]) if flow % 2 else (PSAP[0], CARRIER[0])
        header = struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160, 1 + flow)
        yield at_ns, udp_frame((ends[0], port), (ends[1], port), header + b"\xff" * 160)
        if sequence % RTCP_EVERY == RTCP_EVERY - 1:
            report = struct.pack(
                "!BBHIQIII", 0x80, 200, 6, 1 + flow, at_ns & (1 << 63) - 1, sequence * 160, sequence, 0
            )
            yield at_ns + 1, udp_frame((ends[0], port + 1), (ends[1], port + 1), report)
    for number, (_, datagram) in enumerate(message for each in messages for message in each[4:]):
        source, destination = (datagram.src_ip, datagram.src_port), (datagram.dst_ip, datagram.dst_port)
        yield at_ns + (1 + number) * 1_000_000, udp_frame(source, destination, datagram.payload)
