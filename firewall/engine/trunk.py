"""Trunks: pairs of addresses that calls went between, and their keep-alives.

Both ends of a trunk ask each other with OPTIONS whether they are there; who gets no answer takes the trunk out of
service, and then *every* call fails, minutes later. So a blocked keep-alive is news although it is no emergency call,
and it is the cause of calls that fail on the trunk afterwards.
"""

from collections import OrderedDict

import msgspec

from firewall.engine.record import Attribution, HurtBy
from firewall.net.datagram import Datagram
from firewall.sip.message import Message, Request

MAX_TRUNKS = 10_000
DOWN_NS = 3_600 * 1_000_000_000
"""For how long after a blocked keep-alive a call that fails on the trunk is put on it."""


class BlockedKeepAlive(msgspec.Struct, frozen=True, gc=False):
    """A keep-alive that was blocked: when (engine time), and the decision."""

    at_ns: int
    hurt_by: HurtBy
    attribution: Attribution


class Trunks:
    """The pairs of addresses between which an INVITE passed; bounded, the longest unused is forgotten."""

    def __init__(self) -> None:
        self._pairs: OrderedDict[tuple[str, str], None] = OrderedDict()
        # By who asks and who is asked: either end gives the trunk up by itself.
        self._blocked: OrderedDict[tuple[str, str], BlockedKeepAlive] = OrderedDict()

    def passed(self, request: Request, datagram: Datagram) -> None:
        """Take note of a request that was let through."""
        if self._blocked and is_keep_alive(request):
            # Its answer says nothing: a capture also shows answers to questions that these rules block.
            self._blocked.pop((datagram.src_ip, datagram.dst_ip), None)
        if request.method != "INVITE":
            return
        pair = _pair(datagram)
        self._pairs.pop(pair, None)
        if len(self._pairs) >= MAX_TRUNKS:
            self._pairs.popitem(last=False)
        self._pairs[pair] = None

    def blocked(self, message: Message | None, datagram: Datagram, keep_alive: BlockedKeepAlive) -> None:
        """Take note of a keep-alive, question or answer, that was blocked."""
        ends = datagram.src_ip, datagram.dst_ip
        asking = ends if isinstance(message, Request) else ends[::-1]
        self._blocked.pop(asking, None)
        if len(self._blocked) >= MAX_TRUNKS:
            self._blocked.popitem(last=False)
        self._blocked[asking] = keep_alive

    def taken_down(self, datagram: Datagram, now_ns: int) -> BlockedKeepAlive | None:
        """Return the keep-alive between two ends that was blocked last, unless another one passed since."""
        ends = datagram.src_ip, datagram.dst_ip
        found = [self._blocked[asking] for asking in (ends, ends[::-1]) if asking in self._blocked]
        recent = [keep_alive for keep_alive in found if now_ns - keep_alive.at_ns <= DOWN_NS]
        return max(recent, key=lambda keep_alive: keep_alive.at_ns, default=None)

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
