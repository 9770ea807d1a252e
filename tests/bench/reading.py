"""``make bench``, second table: reading captures, as ratios to tshark reading the same files in the same run.

Whole processes, start-up included, each the median of several runs, in seconds of processor time: what else the machine
does counts little. The captures are made here: RTP of one call, and of many, with RTCP, also behind VLAN tags in
pcapng; SIP alone as a busy border sees it, over UDP and with a third over TCP; and the same call again and again
between the same two ports, which makes tshark slow: it looks for all the earlier calls that negotiated the port.
"""

import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.packet_path import call
from tests.bench.rtp_traffic import many_calls, tagged, write_pcapng
from tests.bench.sip_traffic import BEGIN_NS, Frame, busy_border, udp_frame, write_pcap

RTP_PACKETS = 150_000
SIP_MESSAGES = 100_000
RUNS = 3
POLICY = Path(__file__).parents[2] / "rules" / "start.yaml"

# What issue 3 asks of each: our time at most this many times tshark's.
RTP_AT_MOST = 1.0
SIP_AT_MOST = 3.0


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


def seconds(command: list[str], folder: str) -> float:
    """Return the median processor time of a command; ``folder`` keeps its compiled modules, as an installation does."""
    environment = {**os.environ, "PYTHONPATH": str(POLICY.parents[1]), "PYTHONPYCACHEPREFIX": folder}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    times = []
    for _ in range(RUNS):
        begin = _children_seconds()
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, check=False)
        times.append(_children_seconds() - begin)
        if done.returncode not in (0, 1):
            sys.exit(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return statistics.median(times)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        table = Table(title="reading a capture, whole process", title_justify="left")
        for heading in ("capture", "sosgate s", "us each", "tshark s", "us each", "ratio", "asked for"):
            table.add_column(heading, justify="right")
        for name, packets, frames, statistic, at_most in (
            ("RTP of one call", RTP_PACKETS, rtp_frames(RTP_PACKETS), "rtp,streams", RTP_AT_MOST),
            ("RTP of 20 calls", RTP_PACKETS, many_calls(RTP_PACKETS, 20), "rtp,streams", RTP_AT_MOST),
            ("of 200, VLAN, pcapng", RTP_PACKETS, tagged(many_calls(RTP_PACKETS, 200)), "rtp,streams", RTP_AT_MOST),
            ("SIP, UDP", SIP_MESSAGES, busy_border(SIP_MESSAGES), "sip,stat", SIP_AT_MOST),
            ("SIP, UDP and TCP", SIP_MESSAGES, busy_border(SIP_MESSAGES, over_tcp=0.3), "sip,stat", SIP_AT_MOST),
            ("SIP, two ports", SIP_MESSAGES, sip_frames(SIP_MESSAGES), "sip,stat", SIP_AT_MOST),
        ):
            capture = Path(folder) / "reading.pcap"
            (write_pcapng if "pcapng" in name else write_pcap)(capture, frames)
            ours = seconds([sys.executable, "-m", "firewall", "replay", str(capture), "--policy", str(POLICY)], folder)
            theirs = seconds(["tshark", "-q", "-z", statistic, "-r", str(capture)], folder)
            each = [f"{seconds_of_all / packets * 1_000_000:.1f}" for seconds_of_all in (ours, theirs)]
            ratio = f"{ours / theirs:.2f}"
            table.add_row(
                f"{packets} {name}", f"{ours:.2f}", each[0], f"{theirs:.2f}", each[1], ratio, f"<= {at_most:.1f}"
            )
        Console(width=100).print(table)


if __name__ == "__main__":
    main()
