"""SIP messages of which only the beginning is there: known, as in tshark, by their start line.

A snapshot length cut them, or their IP or UDP length says more than the frame holds: a kernel takes no such packet.
"""

import msgspec

from firewall.errors import SipSyntaxError
from firewall.net.datagram import Datagram
from firewall.net.ip import Undecoded
from firewall.sip.message import Message, Request, parse_message

_LINE_ENDS = b"\r\n"


def cut_message(frame: Undecoded) -> Datagram | None:
    """Return the datagram of a cut frame with the start line as its whole payload; None when it begins no message.

    What the frame holds beyond the start line is left out, as in tshark: a header may be cut, or the last of several.
    """
    datagram = frame.datagram
    if frame.kind not in ("truncated", "malformed") or datagram.transport not in ("UDP", "TCP"):
        return None
    start_line, line_end, _ = datagram.payload.lstrip(_LINE_ENDS).partition(b"\n")
    if b"\0" in start_line:  # to tshark the line ends there
        return None
    start = msgspec.structs.replace(datagram, payload=start_line.rstrip(_LINE_ENDS) + b"\r\n\r\n")
    message = _read(start.payload)
    # Without its line end a status line may go on; a request line ends with the version (tshark wants no CR behind it).
    is_whole = bool(line_end) or (isinstance(message, Request) and not start_line.endswith(b"\r"))
    return start if message is not None and is_whole else None


def cut_start_line(frame: Undecoded) -> str | None:
    """Return the start line of the message that a cut frame begins, None when it begins none."""
    start = cut_message(frame)
    message = _read(start.payload) if start is not None else None
    return message.start_line if message is not None else None


def _read(payload: bytes) -> Message | None:
    try:
        return parse_message(payload)
    except SipSyntaxError:
        return None
