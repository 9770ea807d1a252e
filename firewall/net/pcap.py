"""The pcap format (draft-ietf-opsawg-pcap), written by tcpdump and everyone else.

File header, 24 bytes: magic, version, two unused words, snapshot length, link type. Then for each frame 16 bytes
(seconds, fraction, captured length, original length) and its captured bytes.
"""

from collections.abc import Iterator
from struct import Struct

from firewall.errors import CaptureError, Place
from firewall.net.capture_record import MAX_PACKET_BYTES, ByteWindow, CaptureRecord, Cut, Unreadable
from firewall.net.pcapng import PCAPNG_MAGIC

_FILE_HEADER_BYTES = 24
# The magic number as it stands in the file: byte order, nanoseconds per unit of the fraction, bytes of a frame's
# header. The last two are the "modified" libpcap of the nineties, whose frame headers carry eight bytes more.
PCAP_MAGICS: dict[bytes, tuple[str, int, int]] = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000, 16),
    b"\xa1\xb2\xc3\xd4": (">", 1000, 16),
    b"\x4d\x3c\xb2\xa1": ("<", 1, 16),
    b"\xa1\xb2\x3c\x4d": (">", 1, 16),
    b"\x34\xcd\xb2\xa1": ("<", 1000, 24),
    b"\xa1\xb2\xcd\x34": (">", 1000, 24),
}
# Before version 2.3 the two lengths stood the other way round; 2.3 itself was written both ways (libpcap, sf-pcap.c).
_LENGTHS_SWAPPED = (2, 3)
# Such headers have other lengths under the usual magic number; Wireshark finds out by trying.
_OR_MODIFIED = (
    "; or its packets have other headers than it says, as a modified libpcap (Nokia's, an old distribution's) writes: "
    "convert it with editcap -F pcap IN OUT"
)
JOINED = "give each file by its name, or what mergecap -w OUT makes of them"


def pcap_records(window: ByteWindow, name: str, unreadable: list[Unreadable]) -> tuple[int, Iterator[CaptureRecord]]:
    """Return the link type and the frames of a pcap file whose first byte is at the window's offset.

    Where it is cut or damaged, a ``Cut`` is added to ``unreadable``.

    Raises:
        CaptureError: the file ends inside its own header.
    """
    if not window.require(_FILE_HEADER_BYTES):
        raise CaptureError(
            f"the capture is cut inside its file header, after {len(window.data)} of {_FILE_HEADER_BYTES} bytes",
            place=Place(name),
            next_step="no packet is left in it; copy it again from where it was made",
        )
    order, fraction_ns, header_bytes = PCAP_MAGICS[window.data[:4]]
    _, major, minor, _, _, _, link_field = Struct(order + "IHHiIII").unpack_from(window.data)
    window.offset = _FILE_HEADER_BYTES
    # The upper half of the field tells the length of a frame check sequence at each frame's end; IP's own length
    # makes it unimportant.
    link_type = link_field & 0xFFFF
    swapped = (major, minor) <= _LENGTHS_SWAPPED
    frames = _frames(window, Struct(order + "IIII"), fraction_ns, header_bytes, link_type, swapped, unreadable)
    return link_type, frames


def _frames(
    window: ByteWindow,
    header: Struct,
    fraction_ns: int,
    header_bytes: int,
    link_type: int,
    swapped: bool,
    unreadable: list[Unreadable],
) -> Iterator[CaptureRecord]:
    unpack = header.unpack_from
    number = 0
    data, offset = window.data, window.offset
    size = len(data)
    while True:
        number += 1
        begin = offset + header_bytes
        if begin > size:
            window.offset = offset
            if not window.require(header_bytes):
                if window.data:
                    unreadable.append(Cut(number, f"cut: the file ends inside the header of packet {number}"))
                return
            data, offset, begin = window.data, 0, header_bytes
            size = len(data)
        seconds, fraction, captured, original = unpack(data, offset)
        if swapped and captured > original:
            captured, original = original, captured
        if not (captured or original) or captured > MAX_PACKET_BYTES:
            reason = _no_frame(data[offset:begin], number, captured)
            if reason is not None:
                unreadable.append(Cut(number, reason))
                return
        end = begin + captured
        if end > size:
            window.offset = offset
            if not window.require(header_bytes + captured):
                have = len(window.data) - header_bytes
                reason = f"cut: the file ends after {have} of the {captured} bytes of packet {number}"
                unreadable.append(Cut(number, reason + (_OR_MODIFIED if captured > original else "")))
                return
            data, begin, end = window.data, header_bytes, header_bytes + captured
            size = len(data)
        yield CaptureRecord(
            number, seconds * 1_000_000_000 + fraction * fraction_ns, link_type, data[begin:end], original
        )
        offset = end


def _no_frame(header: bytes, number: int, captured: int) -> str | None:
    """Say what stands where the header of a frame should; None where it is that of an empty frame."""
    if header[:4] in PCAP_MAGICS or header[:4] == PCAPNG_MAGIC:
        return f"cut: another capture begins where packet {number} should; {JOINED}"
    if captured:
        claim = f"cut: packet {number} claims {captured} bytes, more than {MAX_PACKET_BYTES}"
        return f"{claim}; the file is damaged from here on{_OR_MODIFIED}"
    return None if any(header) else f"cut: there are only zeros where packet {number} should begin"
