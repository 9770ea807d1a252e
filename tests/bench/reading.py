"""``make bench``, second table: reading captures, as ratios to tshark reading the same files in the same run.

Whole processes, start-up included, each the median of several runs: what a person waits for. The captures are made
here: RTP with a little signalling, and SIP alone.
"""

import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.packet_path import call

RTP_PACKETS = 150_000
SIP_MESSAGES = 100_000
RUNS = 3
BEGIN_NS = 1_800_000_000_000_000_000
POLICY = Path(__file__).parents[2] / "rules" / "start.yaml"

# What issue 3 asks of each: our time at most this many times tshark's.
RTP_AT_MOST = 1.0
SIP_AT_MOST = 3.0

Frame = tuple[int, bytes]
"""Capture time in nanoseconds, and an Ethernet frame."""


def udp_frame(src: tuple[str, int], dst: tuple[str, int], payload: bytes) -> bytes:
    """Return an Ethernet frame with an IPv4 UDP datagram; without checksums, which none of the readers checks."""
    addresses = bytes(int(part) for ip in (src[0], dst[0]) for part in ip.split("."))
    udp = struct.pack("!HHHH", src[1], dst[1], 8 + len(payload), 0)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 28 + len(payload), 0, 0, 64, 17, 0) + addresses
    return b"\x02" * 12 + b"\x08\x00" + ip + udp + payload


def write_pcap(path: Path, frames: Iterable[Frame]) -> None:
    """Write a nanosecond pcap of Ethernet frames."""
    with path.open("wb") as out:
        out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, 1))
        for at_ns, frame in frames:
            seconds, nanoseconds = divmod(at_ns, 1_000_000_000)
            out.write(struct.pack("<IIII", seconds, nanoseconds, len(frame), len(frame)) + frame)


def sip_frames(messages: int) -> Iterator[Frame]:
    """Yield that many SIP messages of ordinary calls."""
    sent = 0
    for number in range(messages):
        for _, datagram in call(number, "6175550199"):
            if sent == messages:
                return
            source, destination = (datagram.src_ip, datagram.src_port), (datagram.dst_ip, datagram.dst_port)
            yield BEGIN_NS + sent * 1_000_000, udp_frame(source, destination, datagram.payload)
            sent += 1


def rtp_frames(packets: int) -> Iterator[Frame]:
    """Yield a call's signalling and then that many RTP packets of its audio, in both directions."""
    yield from sip_frames(4)
    here, there = ("192.0.2.10", 49170), ("198.51.100.10", 49170)
    for number in range(packets):
        sequence = number // 2
        header = struct.pack("!BBHII", 0x80, 0, sequence & 0xFFFF, sequence * 160, 1 + number % 2)
        ends = (here, there) if number % 2 else (there, here)
        yield BEGIN_NS + 1_000_000_000 + number * 10_000_000, udp_frame(*ends, header + b"\xff" * 160)


def seconds(command: list[str]) -> float:
    """Return the median wall time of a command."""
    environment = {**os.environ, "PYTHONPATH": str(POLICY.parents[1])}
    times = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
        times.append(time.perf_counter() - begin)
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return statistics.median(times)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        rtp, sip = Path(folder) / "rtp.pcap", Path(folder) / "sip.pcap"
        write_pcap(rtp, rtp_frames(RTP_PACKETS))
        write_pcap(sip, sip_frames(SIP_MESSAGES))
        table = Table(title="reading a capture, whole process", title_justify="left")
        for heading in ("capture", "sosgate replay s", "tshark s", "ratio", "asked for"):
            table.add_column(heading, justify="right")
        for name, capture, statistic, at_most in (
            (f"{RTP_PACKETS} RTP packets", rtp, "rtp,streams", RTP_AT_MOST),
            (f"{SIP_MESSAGES} SIP messages", sip, "sip,stat", SIP_AT_MOST),
        ):
            ours = seconds([sys.executable, "-m", "firewall", "replay", str(capture), "--policy", str(POLICY)])
            theirs = seconds(["tshark", "-q", "-z", statistic, "-r", str(capture)])
            table.add_row(name, f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}", f"<= {at_most:.1f}")
        Console().print(table)


if __name__ == "__main__":
    main()
