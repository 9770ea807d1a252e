"""Builders of packets and capture files, byte by byte, for what a test must have under its own hands."""

import io
import ipaddress
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

from firewall.net.capture import read_capture
from firewall.net.capture_record import Capture, CaptureRecord, Cut, Unreadable

CALLER, PSAP = "192.0.2.7", "198.51.100.2"
CALLER6, PSAP6 = "2001:db8:1::7", "2001:db8:2::2"
START_NS = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND_NS = 1_000_000_000


def udp(payload: bytes, src_port: int = 5060, dst_port: int = 5060, length: int | None = None) -> bytes:
    size = 8 + len(payload) if length is None else length
    return struct.pack(">HHHH", src_port, dst_port, size, 0) + payload


def tcp(payload: bytes, src_port: int = 5060, dst_port: int = 5060) -> bytes:
    return struct.pack(">HHIIBBHHH", src_port, dst_port, 1, 1, 5 << 4, 0x18, 65535, 0, 0) + payload


def ipv4(
    body: bytes,
    src: str = CALLER,
    dst: str = PSAP,
    *,
    protocol: int = 17,
    identification: int = 1,
    offset: int = 0,
    more: bool = False,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    header_bytes = 20 + len(options)
    return (
        struct.pack(
            ">BBHHHBBH4s4s",
            0x40 | header_bytes // 4,
            0,
            header_bytes + len(body) if total is None else total,
            identification,
            (0x2000 if more else 0) | offset // 8,
            64,
            protocol,
            0,
            ipaddress.IPv4Address(src).packed,
            ipaddress.IPv4Address(dst).packed,
        )
        + options
        + body
    )


def ipv6(body: bytes, src: str = CALLER6, dst: str = PSAP6, *, next_header: int = 17) -> bytes:
    addresses = ipaddress.IPv6Address(src).packed + ipaddress.IPv6Address(dst).packed
    return struct.pack(">IHBB", 6 << 28, len(body), next_header, 64) + addresses + body


def ethernet(packet: bytes, *, tags: tuple[int, ...] = (), ethertype: int | None = None) -> bytes:
    """An Ethernet frame; ``tags`` are VLAN tag types from the outermost on."""
    inner = (0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800) if ethertype is None else ethertype
    types = [*tags, inner]
    stack = b"".join(struct.pack(">HH", 100, following) for following in types[1:])
    return b"\x02\0\0\0\0\x02\x02\0\0\0\0\x01" + struct.pack(">H", types[0]) + stack + packet


def linux_sll(packet: bytes, *, outgoing: bool) -> bytes:
    return struct.pack(">HHH8sH", 4 if outgoing else 0, 1, 6, b"\x02\0\0\0\0\x01\0\0", 0x0800) + packet


def linux_sll2(packet: bytes, *, interface: int, outgoing: bool) -> bytes:
    address = b"\x02\0\0\0\0\x01\0\0"
    return struct.pack(">HHIHBB8s", 0x0800, 0, interface, 1, 4 if outgoing else 0, 6, address) + packet


def pcap(
    frames: list[bytes] | list[tuple[int, bytes]],
    *,
    link_type: int = 1,
    order: str = "<",
    nanoseconds: bool = False,
    snap_bytes: int = 262_144,
) -> bytes:
    """A pcap file of frames, or of (timestamp in ns, frame); without timestamps a millisecond lies between two."""
    magic, unit_ns = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, snap_bytes, link_type)]
    for number, item in enumerate(frames):
        at_ns, frame = item if isinstance(item, tuple) else (START_NS + number * 1_000_000, item)
        kept = frame[:snap_bytes]
        seconds, rest_ns = divmod(at_ns, SECOND_NS)
        parts.append(struct.pack(order + "IIII", seconds, rest_ns // unit_ns, len(kept), len(frame)) + kept)
    return b"".join(parts)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    padded = body + bytes(-len(body) % 4)
    size = struct.pack(order + "I", 12 + len(padded))
    return struct.pack(order + "I", kind) + size + padded + size


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int = 1, options: bytes = b"", order: str = "<", snap_bytes: int = 0) -> bytes:
    return block(1, struct.pack(order + "HHI", link_type, 0, snap_bytes) + options, order)


def enhanced(
    frame: bytes, ticks: int, number: int = 0, options: bytes = b"", order: str = "<", lost_bytes: int = 0
) -> bytes:
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, len(frame), len(frame) + lost_bytes)
    return block(6, head + frame + bytes(-len(frame) % 4) + options, order)


def read_all(data: bytes, name: str = "test.pcap") -> list[CaptureRecord | Unreadable]:
    return read_to_the_end(read_capture(io.BytesIO(data), name))


def read_to_the_end(capture: Capture) -> list[CaptureRecord | Unreadable]:
    """The frames of a capture, then what could not be read of it."""
    return [*capture.frames, *capture.unreadable]


def frames_of(data: bytes) -> list[CaptureRecord]:
    """The frames of a capture that is expected to be whole."""
    read = read_all(data)
    return [frame for frame in read if isinstance(frame, CaptureRecord)] if not losses(read) else []


def losses(read: list[CaptureRecord | Unreadable]) -> list[Unreadable]:
    return [frame for frame in read if isinstance(frame, Unreadable)]


def is_cut(read: list[CaptureRecord | Unreadable]) -> bool:
    return bool(read) and isinstance(read[-1], Cut)


def record(frame: bytes, *, link_type: int = 1, number: int = 1, original: int | None = None) -> CaptureRecord:
    return CaptureRecord(number, START_NS + number, link_type, frame, len(frame) if original is None else original)


def tshark(capture: Path, *fields: str, only: str | None = None, options: tuple[str, ...] = ()) -> list[list[str]]:
    """The fields of each frame as tshark reads them: the second opinion."""
    command = ["tshark", "-n", *options, "-r", str(capture), "-T", "fields", "-E", "separator=|"]
    for name in fields:
        command += ["-e", name]
    if only is not None:
        command += ["-Y", only]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.split("|") for line in done.stdout.splitlines()]


def tshark_of_each(
    capture: Path, frames: Sequence[tuple[int, bytes]], *fields: str, lost_bytes: int = 0, options: tuple[str, ...] = ()
) -> list[list[str]]:
    """The fields of frames of many link types, in one run: tshark takes most of its time to start.

    ``lost_bytes`` of each frame were cut by the snapshot length.
    """
    interfaces = [interface(link_type) for link_type, _ in frames]
    blocks = [enhanced(frame, number, number, lost_bytes=lost_bytes) for number, (_, frame) in enumerate(frames)]
    capture.write_bytes(b"".join([section(), *interfaces, *blocks]))
    return tshark(capture, *fields, options=options)


def segment(
    data: bytes,
    sequence: int,
    *,
    flags: str = "A",
    acknowledges: int = 0,
    ports: tuple[int, int] = (1024, 5060),
    back: bool = False,
) -> bytes:
    """An IPv4 packet with one TCP segment from the caller to the PSAP, or ``back``; ``flags`` are S, A, F, R."""
    bits = sum({"F": 1, "S": 2, "R": 4, "A": 16}[letter] for letter in flags)
    src_port, dst_port = ports[::-1] if back else ports
    header = struct.pack(
        ">HHIIBBHHH", src_port, dst_port, sequence % 2**32, acknowledges % 2**32, 5 << 4, bits, 65535, 0, 0
    )
    src, dst = (PSAP, CALLER) if back else (CALLER, PSAP)
    return ipv4(header + data, src, dst, protocol=6)
