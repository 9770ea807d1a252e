"""Trunks: pairs of addresses that calls went between, and their keep-alives.

Both ends of a trunk ask each other with OPTIONS whether they are there; who gets no answer takes the trunk out of
service, and then *every* call fails, minutes later. So a blocked keep-alive is news although it is no emergency call.
"""

from firewall.net.datagram import Datagram
from firewall.sip.message import Message, Request

MAX_TRUNKS = 10_000


class Trunks:
    """The pairs of addresses between which an INVITE passed; bounded, the longest unused is forgotten."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], None] = {}

    def passed(self, message: Message | None, datagram: Datagram) -> None:
        """Take note of a message that was let through."""
        if not isinstance(message, Request) or message.method != "INVITE":
            return
        pair = _pair(datagram)
        self._pairs.pop(pair, None)
        if len(self._pairs) >= MAX_TRUNKS:
            del self._pairs[next(iter(self._pairs))]
        self._pairs[pair] = None

    def knows(self, datagram: Datagram) -> bool:
        """Tell whether calls went between the ends of a datagram."""
        return _pair(datagram) in self._pairs


def is_keep_alive(message: Message | None) -> bool:
    """Tell whether a message belongs to an OPTIONS exchange outside a dialog."""
    if message is None or message.cseq_method != "OPTIONS":
        return False
    return message.to_tag is None or not isinstance(message, Request)


def _pair(datagram: Datagram) -> tuple[str, str]:
    first, second = datagram.src_ip, datagram.dst_ip
    return (first, second) if first <= second else (second, first)
