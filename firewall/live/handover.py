"""Whether what the kernel hands over reaches the daemon's sockets.

Other programs' rules may drop it on its way, as a host's firewall does with what comes in to its machine, or take the
mark from it by which it is brought here: then nobody sees a message of it.
"""

import errno
import struct

from firewall.live.netlink import NETFILTER, NFTABLES, attribute, parts, text
from firewall.live.nftables import HANDED_OVER, TABLE, TAKEN
from firewall.live.question import answered

# <linux/netfilter/nf_tables.h>, <linux/netfilter.h>: NFT_MSG_GETOBJ, NFTA_OBJ_*, NFTA_COUNTER_*, NFPROTO_INET.
_GET_OBJECT = NFTABLES << 8 | 19
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_TYPE, _OBJECT_DATA, _COUNTER = 1, 2, 3, 4, 1
_PACKETS = 2
_NETFILTER_HEADER = struct.pack("=BBH", 1, 0, 0)


class Handover:
    """Counts what is lost on the way from now on."""

    def __init__(self) -> None:
        taken, handed_over = _packets(TAKEN), _packets(HANDED_OVER)  # in this order: what comes meanwhile is not lost
        self._before = (handed_over or 0) - (taken or 0)
        self._latest = 0
        self._lost = 0
        self._lost_of_past_tables = 0

    def lost(self) -> int:
        """Return how many messages were lost by the time of the last call: the latest may still be on their way.

        Raises:
            OSError: the kernel does not answer the question.
        """
        handed_over, taken = _packets(HANDED_OVER), _packets(TAKEN)
        if handed_over is not None and taken is not None:
            latest = handed_over - taken - self._before
            self._lost, self._latest = max(self._lost, min(latest, self._latest)), latest
        return self._lost_of_past_tables + self._lost

    def excuse(self) -> None:
        """Take what was lost since ``lost`` for lost by another cause, which is known."""
        handed_over, taken = _packets(HANDED_OVER), _packets(TAKEN)
        if handed_over is not None and taken is not None:
            self._before, self._latest = handed_over - taken - self._lost, self._lost

    def begin_anew(self) -> None:
        """The table was made anew, and counts from nothing."""
        self._lost_of_past_tables += self._lost
        self._before = self._latest = self._lost = 0


def _packets(counter: str) -> int | None:
    """Return what a counter of our table has counted, None where another program has removed it."""
    asked = text(_OBJECT_TABLE, TABLE) + text(_OBJECT_NAME, counter)
    asked += attribute(_OBJECT_TYPE, struct.pack(">I", _COUNTER))
    try:
        answer = answered(NETFILTER, _GET_OBJECT, _NETFILTER_HEADER + asked)
    except OSError as error:
        if error.errno == errno.ENOENT:
            return None
        raise
    counted = parts(parts(answer, len(_NETFILTER_HEADER))[_OBJECT_DATA])
    return int.from_bytes(counted[_PACKETS], "big")
