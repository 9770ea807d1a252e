"""Captures of several interfaces in time order: each interface's frames wait in a buffer of its own for the writer.

``dumpcap -i f0 -i f1`` thus writes the copy that leaves on one interface before the original that came in on the other,
now and then. Captures of one interface are given as they are: where their clock goes back, it was set back.
"""

from bisect import insort
from collections import deque
from collections.abc import Iterator
from itertools import chain, islice
from operator import attrgetter

from firewall.net.capture_record import CaptureRecord
from firewall.net.pcapng import NO_LINK_TYPE
from firewall.net.vantage import LINUX_SLL2

WINDOW_NS = 2_000_000_000
"""How long a frame is held back for earlier ones; libpcap hands over its buffers after a second at most."""
STEP_NS = 100_000_000
"""A larger step back on one interface is a clock set back; a smaller one may be that of two processors."""
MAX_HELD_FRAMES = 8_192
MAX_HELD_BYTES = 32 * 1024 * 1024
_LOOK_AHEAD_FRAMES = 1_024

_Interface = tuple[int, bytes]

_time = attrgetter("timestamp_ns")
_link = attrgetter("interface_id", "link_type")


def in_time_order(frames: Iterator[CaptureRecord]) -> Iterator[CaptureRecord]:
    """Return the frames of a capture, those of several interfaces merged by time; frame numbers stay the file's.

    No frame is held back for longer than ``WINDOW_NS`` of the capture's time, nor behind more than ``MAX_HELD_FRAMES``
    or ``MAX_HELD_BYTES``. Where the clock was set back, no frame passes from one side of that place to the other.
    """
    seen: set[_Interface] = set()
    waiting: list[CaptureRecord] = []
    while part := list(islice(frames, _LOOK_AHEAD_FRAMES)):
        seen.update(_interfaces(part))
        if len(seen) > 1:
            yield from _merged(chain(waiting, part, frames))
            return
        yield from waiting
        waiting = part
    yield from waiting


def _interfaces(frames: list[CaptureRecord]) -> Iterator[_Interface]:
    for link in set(map(_link, frames)):
        if link[1] == LINUX_SLL2:
            yield from {(frame.interface_id, frame.data[4:8]) for frame in frames if _link(frame) == link}
        elif link[1] != NO_LINK_TYPE:
            yield link[0], b""


def _merged(frames: Iterator[CaptureRecord]) -> Iterator[CaptureRecord]:
    held: deque[CaptureRecord] = deque()
    held_bytes, latest_ns = 0, 0
    latest_on: dict[_Interface, int] = {}
    for frame in frames:
        at_ns = frame.timestamp_ns
        if frame.link_type != NO_LINK_TYPE:  # whose time is borrowed from another interface's frame
            where = (frame.interface_id, frame.data[4:8] if frame.link_type == LINUX_SLL2 else b"")
            interface_ns = latest_on.get(where, at_ns)
            if at_ns < interface_ns - STEP_NS or at_ns < latest_ns - WINDOW_NS:
                yield from held
                held.clear()
                latest_on.clear()
                held_bytes, latest_ns, interface_ns = 0, at_ns, at_ns
            latest_on[where] = max(interface_ns, at_ns)
        if held and at_ns < held[-1].timestamp_ns:
            insort(held, frame, key=_time)
        else:
            held.append(frame)
        held_bytes += len(frame.data)
        latest_ns = max(latest_ns, at_ns)
        while (
            held[0].timestamp_ns < latest_ns - WINDOW_NS
            or len(held) > MAX_HELD_FRAMES
            or (held_bytes > MAX_HELD_BYTES and len(held) > 1)
        ):
            held_bytes -= len(held[0].data)
            yield held.popleft()
    yield from held
