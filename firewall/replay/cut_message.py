"""SIP messages of which only the beginning is there: known, as in tshark, by their start line at least.

A snapshot length cut them, or their IP or UDP length says more than the frame holds: a kernel takes no such packet.
"""

from collections import OrderedDict

import msgspec

from firewall.errors import SipSyntaxError
from firewall.net.datagram import Datagram, Packet, Transport
from firewall.net.ip import Undecoded
from firewall.sip.message import Message, Request, parse_message

_LINE_ENDS = b"\r\n"
_STATUS_CODE_END = len("SIP/2.0 180")
MAX_REMEMBERED_SEGMENTS = 16_384


class CutMessages:
    """The messages that a capture's cut frames begin. ``ports`` are those of SIP.

    Of a message on one of them that a snapshot length cut the start line alone is read. On any other port, where tshark
    finds SIP by its content, and of a datagram whose length is wrong, it is all that the frame holds, the header at
    which it is cut too.
    """

    def __init__(self, ports: frozenset[int]) -> None:
        self._ports = ports
        self._segments: OrderedDict[tuple[str, int, str, int, int], None] = OrderedDict()
        """The TCP segments that began a message, the oldest first."""

    def begun_in(self, frame: Undecoded) -> Datagram | None:
        """Return the datagram of a cut frame with what tshark reads as its payload; None when it begins no message.

        A TCP segment that was seen before is a retransmission, or its copy elsewhere: none, too.
        """
        datagram = frame.datagram
        if frame.kind not in ("truncated", "malformed") or datagram.transport not in ("UDP", "TCP"):
            return None
        payload = datagram.payload.lstrip(_LINE_ENDS)
        start_line, line_end, _ = payload.partition(b"\n")
        if b"\0" in start_line:  # to tshark the line ends there
            return None
        message = _read(start_line + line_end)
        if message is None:
            return None
        is_snapped = frame.kind == "truncated" or datagram.transport == "TCP"
        start_alone = is_snapped and (datagram.src_port in self._ports or datagram.dst_port in self._ports)
        if not line_end and not _may_end_so(message, start_line, datagram.transport if start_alone else None):
            return None
        if self._is_repeated(datagram):
            return None
        return msgspec.structs.replace(datagram, payload=start_line.rstrip(_LINE_ENDS) if start_alone else payload)

    def start_line_in(self, frame: Undecoded) -> str | None:
        """Return the start line of the message that a cut frame begins, None when it begins none."""
        begun = self.begun_in(frame)
        message = _read(begun.payload) if begun is not None else None
        return message.start_line if message is not None else None

    def _is_repeated(self, datagram: Datagram) -> bool:
        if not isinstance(datagram, Packet) or datagram.tcp is None:
            return False
        number = datagram.tcp.sequence_number
        key = (datagram.src_ip, datagram.src_port, datagram.dst_ip, datagram.dst_port, number)
        if key in self._segments:
            return True
        self._segments[key] = None
        if len(self._segments) > MAX_REMEMBERED_SEGMENTS:
            self._segments.popitem(last=False)
        return False


def _may_end_so(message: Message, start_line: bytes, transport: Transport | None) -> bool:
    """Tell whether tshark takes a line without its end for a start line; ``transport`` None: it reads all there is."""
    if transport is None:
        return isinstance(message, Request) or start_line[_STATUS_CODE_END:][:1] == b" "
    # A status line may go on; a request line ends with the version (tshark wants no CR behind it).
    return transport == "UDP" and isinstance(message, Request) and not start_line.endswith(b"\r")


def _read(payload: bytes) -> Message | None:
    try:
        return parse_message(payload)
    except SipSyntaxError:
        return None
