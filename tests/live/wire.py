"""What is on a wire of the testbed: tcpdump records it, tshark reads it. Neither shares code with sosgate."""

import subprocess
from collections import Counter
from pathlib import Path
from typing import IO

from tests.live.firewall_process import WITHIN_S, wait_until


class Wire:
    """tcpdump on one interface of a namespace, while the ``with`` block lasts."""

    def __init__(self, namespace: str, interface: str, capture: Path, *arguments: str) -> None:
        self.capture = capture
        self._errors: IO[bytes] = (capture.with_suffix(".log")).open("wb")
        self._process = subprocess.Popen(
            [
                *("ip", "netns", "exec", namespace, "tcpdump", "-i", interface, "-w", str(capture), "-U"),
                # Each packet takes 64 KB of the buffer there: a thousand may wait while others have the processors.
                *("--immediate-mode", "-B", "65536", "-s", "0", "-Z", "root", *arguments, "udp or ip6 or ip"),
            ],
            stdin=subprocess.DEVNULL,
            stderr=self._errors,
        )

    def __enter__(self) -> "Wire":
        wait_until(lambda: b"listening on" in self.capture.with_suffix(".log").read_bytes(), "tcpdump listens")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(WITHIN_S)
        self._errors.close()
        assert b"\n0 packets dropped by kernel" in self.capture.with_suffix(".log").read_bytes()


def udp_payloads(capture: Path) -> Counter[tuple[str, str]]:
    """Return how often each UDP payload (hex) was sent by each address, fragments put together."""
    command = ["tshark", "-r", str(capture), "-Y", "udp.payload", "-T", "fields"]
    fields = ["-e", "ip.src", "-e", "ipv6.src", "-e", "udp.payload"]
    done = subprocess.run([*command, *fields], capture_output=True, text=True, check=True, timeout=60)
    found: Counter[tuple[str, str]] = Counter()
    for line in done.stdout.splitlines():
        v4, v6, payload = line.split("\t")
        found[v4 or v6, payload] += 1
    return found


def tcp_streams(capture: Path) -> dict[tuple[str, ...], bytes]:
    """Return the bytes of each direction of each TCP connection, as tshark puts them together (without repeats)."""
    command = ["tshark", "-r", str(capture), "-Y", "tcp.len > 0 and not tcp.analysis.retransmission", "-T", "fields"]
    names = ("ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "tcp.payload")
    fields = [argument for name in names for argument in ("-e", name)]
    done = subprocess.run(
        [*command, "-o", "tcp.desegment_tcp_streams:FALSE", *fields],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    found: dict[tuple[str, ...], bytearray] = {}
    for line in done.stdout.splitlines():
        *ends, payload = line.split("\t")
        found.setdefault(tuple(ends), bytearray()).extend(bytes.fromhex(payload))
    return {ends: bytes(data) for ends, data in found.items()}
