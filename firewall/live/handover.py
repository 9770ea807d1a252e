"""Whether what the kernel hands over reaches the daemon's sockets.

Other programs' rules may drop it on its way, as a host's firewall does with what comes in to its machine, or take the
mark from it by which it is brought here: then nobody sees a message of it.
"""

from firewall.live.nftables import HANDED_OVER, TAKEN, counted


class Handover:
    """Counts what is lost on the way from now on."""

    def __init__(self) -> None:
        taken, handed_over = counted(TAKEN), counted(HANDED_OVER)  # in this order: what comes meanwhile is not lost
        self._before = (handed_over or 0) - (taken or 0)
        self._latest = 0
        self._lost = 0
        self._lost_of_past_tables = 0

    def lost(self) -> int:
        """Return how many messages were lost by the time of the last call: the latest may still be on their way.

        Raises:
            OSError: the kernel does not answer the question.
        """
        handed_over, taken = counted(HANDED_OVER), counted(TAKEN)
        if handed_over is not None and taken is not None:
            latest = handed_over - taken - self._before
            self._lost, self._latest = max(self._lost, min(latest, self._latest)), latest
        return self._lost_of_past_tables + self._lost

    def excuse(self) -> None:
        """Take what was lost since ``lost`` for lost by another cause, which is known."""
        handed_over, taken = counted(HANDED_OVER), counted(TAKEN)
        if handed_over is not None and taken is not None:
            self._before, self._latest = handed_over - taken - self._lost, self._lost

    def begin_anew(self) -> None:
        """The table was made anew, and counts from nothing."""
        self._lost_of_past_tables += self._lost
        self._before = self._latest = self._lost = 0
