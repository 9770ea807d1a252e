"""Witnesses as capture files: the call up to and including the blocked message, as the firewall would have seen it."""

import re
from collections.abc import Sequence
from pathlib import Path

from firewall.errors import MachineError
from firewall.lint.finding import Finding, Sent

_NS = 1_000_000_000
_FRAGMENT_PAUSE_NS = 12_000
_CALLER_MAC = "02:00:00:00:00:01"
_FIREWALL_MAC = "02:00:00:00:00:02"


def write_witnesses(findings: list[Finding], folder: Path) -> dict[Finding, str]:
    """Write a capture for each finding that has a witness; return where. Existing files of the same name go.

    Raises:
        MachineError: the folder or a file cannot be written.
    """
    taken: set[str] = set()
    shown = [(each, each.witness.sent) for each in findings if each.witness is not None]
    paths = _written(folder, [(_file_name(finding, taken), sent) for finding, sent in shown])
    return dict(zip((finding for finding, _ in shown), paths, strict=True))


def write_captures(calls: Sequence[tuple[Sent, ...]], stem: str, folder: Path) -> list[str]:
    """Write a capture for each call, ``stem-1.pcap`` and so on; return where. Existing files of the same name go.

    Raises:
        MachineError: the folder or a file cannot be written.
    """
    return _written(folder, [(f"{stem}-{number}.pcap", sent) for number, sent in enumerate(calls, 1)])


def _written(folder: Path, named: Sequence[tuple[str, tuple[Sent, ...]]]) -> list[str]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, sent in named:
            (folder / name).write_bytes(capture_bytes(sent))
    except OSError as error:
        raise MachineError("write the witnesses to", str(folder), error.strerror or str(error)) from None
    return [str(folder / name) for name, _ in named]


def _file_name(finding: Finding, taken: set[str]) -> str:
    policy = Path(finding.place.file).stem
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{finding.code.lower()}-{finding.rule or 'default'}-{policy}")
    name, number = f"{stem}.pcap", 2
    while name in taken:
        name, number = f"{stem}-{number}.pcap", number + 1
    taken.add(name)
    return name


def capture_bytes(sent: tuple[Sent, ...], fragment_bytes: int | None = None) -> bytes:
    """Return datagrams as a pcap file (nanosecond timestamps, Ethernet), the same bytes for the same datagrams.

    IPv4 datagrams with a payload above ``fragment_bytes`` become fragments; without it each is one frame, however long.
    """
    from io import BytesIO

    # Imported here: scapy takes longer to load than lint takes to run.
    from scapy.layers.inet import IP, TCP, UDP, fragment
    from scapy.layers.inet6 import IPv6
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw
    from scapy.utils import PcapWriter

    stream = BytesIO()
    sent_bytes: dict[tuple[str | int, ...], int] = {}
    writer = PcapWriter(stream, linktype=1, nano=True, sync=False, endianness="<", snaplen=262_144)
    writer.write_header(None)
    for number, each in enumerate(sent, start=1):
        datagram = each.datagram
        if ":" in datagram.src_ip:
            network = IPv6(src=datagram.src_ip, dst=datagram.dst_ip, hlim=64)
        else:
            network = IP(src=datagram.src_ip, dst=datagram.dst_ip, ttl=64, id=number % 65536)
        transport = UDP(sport=datagram.src_port, dport=datagram.dst_port)
        if datagram.transport == "TCP":
            way = (datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port)
            number_sent = sent_bytes.get(way, 1)
            heard = sent_bytes.get((*way[2:], *way[:2]), 1)
            transport = TCP(
                sport=datagram.src_port, dport=datagram.dst_port, flags="PA", seq=number_sent, ack=heard, window=65_535
            )
            sent_bytes[way] = number_sent + len(datagram.payload)
        ends = Ether(src=_CALLER_MAC, dst=_FIREWALL_MAC)
        packet = ends / network / transport / Raw(datagram.payload)
        is_cut = fragment_bytes is not None and ":" not in datagram.src_ip
        for index, frame in enumerate(fragment(packet, fragment_bytes) if is_cut else [packet]):
            seconds, nanoseconds = divmod(each.at_ns + index * _FRAGMENT_PAUSE_NS, _NS)
            writer.write_packet(bytes(frame), sec=seconds, usec=nanoseconds)
    writer.flush()
    return stream.getvalue()
