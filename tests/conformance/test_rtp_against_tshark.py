"""How well media arrived: our figures against ``tshark -q -z rtp,streams``, on calls with loss, jitter and disorder."""

import itertools
import random
import re
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.net.packets import CALLER, CALLER6, PSAP, PSAP6, SECOND_NS, START_NS, ethernet, ipv4, ipv6, pcap, udp
from tests.replay.calls import RULES_CALLS, back, forth, make_policy, message
from tests.replay.replayed import replay_capture

MS = 1_000_000
Media = list[list[tuple[int, bytes]]]
CALLER_PORT, PSAP_PORT = 40000, 50000


@dataclass(frozen=True)
class Line:
    """One line of tshark's table."""

    packets: int
    lost: int
    mean_jitter_ms: float
    max_jitter_ms: float


def tshark_streams(path: Path) -> dict[tuple[str, int, str, int, int], Line]:
    done = subprocess.run(
        ["tshark", "-q", "-z", "rtp,streams", "-r", str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    pattern = re.compile(
        r"^\s*[\d.]+\s+[\d.]+\s+(\S+)\s+(\d+)\s+(\S+)\s+(\d+)\s+0x([0-9A-F]+)\s+.*?\s(\d+)\s+(-?\d+) "
        r"\([-\d.]+%\)((?:\s+[\d.-]+){6})"
    )
    found = {}
    for line in done.stdout.splitlines():
        match = pattern.match(line)
        if match:
            src, src_port, dst, dst_port, ssrc, packets, lost, figures = match.groups()
            numbers = [float(number) for number in figures.split()]
            key = (src, int(src_port), dst, int(dst_port), int(ssrc, 16))
            found[key] = Line(int(packets), int(lost), numbers[4], numbers[5])
    return found


def stream(
    seed: int, src: tuple[str, int], dst: tuple[str, int], ssrc: int, *, payload_type: int, ticks: int, begin_s: float
) -> list[tuple[int, bytes]]:
    """300 packets, 20 ms apart, of which some are lost, late, out of order; the first and last are neither."""
    chance = random.Random(seed)
    packets = []
    sequence, timestamp = chance.randrange(65536), chance.randrange(2**32)
    for number in range(300):
        at_ends = number in (0, 299)
        if chance.random() > 0.05 or at_ends:
            header = struct.pack(
                ">BBHII", 0x80, payload_type, (sequence + number) & 0xFFFF, (timestamp + number * ticks) % 2**32, ssrc
            )
            datagram = udp(header + bytes(160), src[1], dst[1])
            packet = ipv6(datagram, src[0], dst[0]) if ":" in src[0] else ipv4(datagram, src[0], dst[0])
            at_ns = START_NS + round(begin_s * SECOND_NS) + number * 20 * MS
            at_ns += (number > 0) * 40 * MS if at_ends else chance.randrange(30 * MS)
            packets.append((at_ns, packet))
    return packets


def sdp(address: str, port: int) -> bytes:
    family = "IP6" if ":" in address else "IP4"
    return (
        f"v=0\r\no=- 1 1 IN {family} {address}\r\ns=-\r\nc=IN {family} {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP 0 9 13 96 97 98 101\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:98 H264/90000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\n"
    ).encode()


@pytest.mark.parametrize(("caller", "psap"), [(CALLER, PSAP), (CALLER6, PSAP6)])
def test_packets_loss_and_jitter_of_each_stream_are_tsharks(tmp_path: Path, caller: str, psap: str) -> None:
    media: Media = []
    for number, (seed, (payload_type, ticks)) in enumerate(itertools.product(range(6), [(0, 160), (96, 960)])):
        here, there = (caller, CALLER_PORT + 2 * number), (psap, PSAP_PORT + 2 * number)
        media.append(
            stream(seed, here, there, 0x11, payload_type=payload_type, ticks=ticks, begin_s=2)
            + stream(seed + 100, there, here, 0x22, payload_type=payload_type, ticks=ticks, begin_s=2)
            + stream(seed + 200, there, here, 0x33, payload_type=payload_type, ticks=ticks, begin_s=9)
        )
    assert_agreed(tmp_path, caller, psap, media, sources=3)


def test_streams_that_change_stop_and_start_again_are_tsharks_too(tmp_path: Path) -> None:
    """Events, comfort noise, types without a clock rate, frames of several packets, restarts, jumps of the clock."""
    media: Media = []
    for seed in range(12):
        here, there = (CALLER, CALLER_PORT + 2 * seed), (PSAP, PSAP_PORT + 2 * seed)
        media.append(odd_stream(seed, here, there, 0x44) + odd_stream(seed + 100, there, here, 0x55))
    assert_agreed(tmp_path, CALLER, PSAP, media, sources=2)


def odd_stream(seed: int, src: tuple[str, int], dst: tuple[str, int], ssrc: int) -> list[tuple[int, bytes]]:
    """Stretches of a payload type each; between some of them sequence numbers or timestamps jump."""
    chance = random.Random(seed)
    packets = []
    at_ns, sequence, timestamp = START_NS + 2 * SECOND_NS, chance.choice((0, 65500, 30000)), chance.randrange(2**32)
    for _ in range(12):
        payload_type = chance.choice((0, 0, 9, 13, 96, 97, 98, 101))
        ticks = {96: 960, 98: 3000, 101: 0}.get(payload_type, 160)
        at_ns += chance.choice((0, 0, 20 * MS, 3 * SECOND_NS))
        sequence += chance.choice((0, 0, 0, 1, -1, 5, 3000, -40_000))
        timestamp += chance.choice((0, 0, 0, 1600, 24_000, -500, 10**9))
        for number in range(chance.choice((1, 3, 20))):
            for part in range(chance.randint(1, 4) if payload_type == 98 else 1):
                marker = part == 0 and (payload_type == 98 or (number == 0 and chance.random() < 0.5))
                header = struct.pack(
                    ">BBHII", 0x80, marker << 7 | payload_type, sequence & 0xFFFF, timestamp & 0xFFFF_FFFF, ssrc
                )
                datagram = ipv4(udp(header + bytes(20), src[1], dst[1]), src[0], dst[0])
                packets += [(at_ns, datagram)] * chance.choice((0, 1, 1, 1, 1, 2))
                sequence += 1
                at_ns += chance.randrange(MS)
            at_ns += chance.randrange(30 * MS)
            timestamp += ticks
    return packets


def assert_agreed(tmp_path: Path, caller: str, psap: str, media: Media, *, sources: int) -> None:
    """What flows in several calls at once, each at ports of its own, is measured as by one run of tshark."""
    packets = [packet for of_call in media for packet in of_call]
    for number in range(len(media)):
        call_id, ports = f"c{number}", (CALLER_PORT + 2 * number, PSAP_PORT + 2 * number)
        offer = message("INVITE urn:service:sos SIP/2.0", "1 INVITE", call_id=call_id, body=sdp(caller, ports[0]))
        answer = message("SIP/2.0 200 OK", "1 INVITE", call_id=call_id, to_tag="b", body=sdp(psap, ports[1]))
        packets += [(START_NS + number * MS, forth(offer)), (START_NS + SECOND_NS + number * MS, back(answer))]
    path = tmp_path / "calls.pcap"
    path.write_bytes(pcap([(at_ns, ethernet(packet)) for at_ns, packet in sorted(packets)]))

    theirs = tshark_streams(path)
    flows = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.policy.media.flows
    ours = {
        (flow.src_ip, flow.src_port, flow.dst_ip, flow.dst_port, stream.ssrc): stream
        for flow in flows
        for stream in flow.streams
    }
    assert len(theirs) == sources * len(media)
    assert ours.keys() == theirs.keys()
    for key, line in theirs.items():
        assert (ours[key].packets, ours[key].lost) == (line.packets, line.lost)
        assert ours[key].max_jitter_ms == pytest.approx(line.max_jitter_ms, abs=0.01)
        assert ours[key].mean_jitter_ms == pytest.approx(line.mean_jitter_ms, abs=0.01)
