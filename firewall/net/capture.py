"""Capture files: recognise the format, then read its frames.

Formats: pcap (libpcap's ``savefile``) and pcapng (draft-ietf-opsawg-pcapng). A file of any other kind is named in one
sentence; a capture that is damaged or cut gives its frames up to that place and then one ``Cut``.
"""

from firewall.errors import CaptureError, Place
from firewall.net.capture_record import ByteSource, ByteWindow, Capture, Unreadable
from firewall.net.order import in_time_order
from firewall.net.pcap import PCAP_MAGICS, pcap_records
from firewall.net.pcapng import PCAPNG_MAGIC, pcapng_records
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2

_PROBE_BYTES = 512
_CONVERT = "convert it with: editcap -F pcap IN OUT"
_GIVE = "give a pcap or pcapng file"

# What people give by mistake, or in a format that others write: the first bytes, its name, the next step.
_OTHER_FILES: tuple[tuple[bytes, str, str], ...] = (
    (b"snoop\0\0\0", "a snoop capture", _CONVERT),
    (b"GMBU", "a Microsoft Network Monitor capture", _CONVERT),
    (b"RTSS", "a Microsoft Network Monitor capture", _CONVERT),
    (b"\x1f\x8b", "compressed with gzip twice", "decompress it with: gunzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it with: zstd -d"),
    (b"\xfd7zXZ\0", "compressed with xz", "decompress it with: unxz"),
    (b"BZh", "compressed with bzip2", "decompress it with: bunzip2"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "decompress it with: lz4 -d"),
    (b"PK\x03\x04", "a zip archive", "give the captures inside it"),
    (b"\x7fELF", "a program", _GIVE),
)


def read_capture(source: ByteSource, name: str) -> Capture:
    """Return a capture: its frames in the file's order, those of several interfaces in that of time (``order``).

    ``name`` is what errors call it. The file's header is read at once, the frames as they are asked for. Of a damaged
    or cut capture the last that is unreadable is a ``Cut``; nothing is raised once the capture is returned (except what
    ``source.read`` raises).

    Raises:
        CaptureError: the file is no capture, or its header is cut so that it holds no frame.
    """
    window = ByteWindow(source)
    window.require(_PROBE_BYTES)
    magic = window.data[:4]
    unreadable: list[Unreadable] = []
    if magic in PCAP_MAGICS:
        link_type, frames = pcap_records(window, name, unreadable)
        # Any other pcap is of one interface.
        frames = in_time_order(frames) if link_type == LINUX_SLL2 else frames
        return Capture(frames, unreadable, is_of_one_place=link_type not in (LINUX_SLL, LINUX_SLL2))
    if magic == PCAPNG_MAGIC:
        return Capture(in_time_order(pcapng_records(window, name, unreadable)), unreadable)
    cause, next_step = _describe(window.data[:_PROBE_BYTES])
    raise CaptureError(cause, place=Place(name), next_step=next_step)


def _describe(head: bytes) -> tuple[str, str]:
    if not head:
        return "the file is empty, not a capture", _GIVE
    for prefix, kind, next_step in _OTHER_FILES:
        if head.startswith(prefix):
            return f"the file is {kind}, not a pcap or pcapng capture", next_step
    if _is_text(head):
        return "the file is a text file, not a capture", _GIVE
    cause = f"the file is not a pcap or pcapng capture: it begins with the bytes {head[:4].hex(' ')}"
    return cause, f"{_GIVE}; of a capture in another format editcap -F pcap IN OUT makes one"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode()
    except UnicodeDecodeError as error:
        # The probe may have cut the last character in two.
        if error.start < len(head) - 3:
            return False
        text = head[: error.start].decode()
    return bool(text) and all(character.isprintable() or character in "\t\n\r\f\b\x1b" for character in text)
