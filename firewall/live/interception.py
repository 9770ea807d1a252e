"""Keeps the kernel handing messages to the daemon while other programs remove what they did not make.

A network manager that starts anew flushes policy rules and routes: every message is lost then, unseen. ``nft flush
ruleset``, as nftables' own service does it, takes the table: everything passes, unseen. A host's firewall may drop
what is handed over: every message is lost, too, and that can only be told.
"""

import asyncio
from collections.abc import Awaitable, Callable

from firewall.engine.events import HandoverLost, InterceptionLost
from firewall.errors import MachineError
from firewall.live import nftables, routing
from firewall.live.nftables import HANDED_OVER, TAKEN, counted

LOOK_EVERY_S = 0.25
"""A message that is lost meanwhile is sent again after 0.5 s (T1, RFC 3261 §17.1.1.1)."""

_TABLE = f"the nftables table inet {nftables.TABLE} or its rules"
_ROUTE = f"the policy rule or the route of table {routing.ROUTE_TABLE} (IPv{{}})"


class Interception:
    """Looks after table, policy rules and routes, from the moment they are there.

    ``put_table_back`` makes the table anew; ``told`` is told of each loss, once it is mended or cannot be. Whoever else
    changes the kernel's rules holds ``changing`` meanwhile.
    """

    def __init__(
        self,
        versions: tuple[int, ...],
        put_table_back: Callable[[], Awaitable[None]],
        told: Callable[[InterceptionLost | HandoverLost], None],
        changing: asyncio.Lock,
    ) -> None:
        self._versions = versions
        self._put_table_back = put_table_back
        self._told = told
        self._changing = changing
        self._table = nftables.table_handle()
        self._handover = Handover()
        self._lost = 0

    async def mend(self) -> None:
        """Put back what is missing, and tell what was lost."""
        async with self._changing:  # in the middle of a change the table looks as if it had no rules
            handle = nftables.table_handle()
            if handle is None or handle != self._table:
                await self._mend_table()
        for version in self._versions:
            if not routing.is_delivered_here(version) and not routing.is_switched_off(version):
                self._mend_route(version)
                self._handover.excuse()
        self._look_at_handover()

    async def _mend_table(self) -> None:
        error = None
        try:
            await self._put_table_back()
            self._table = nftables.table_handle()
            self._handover.begin_anew()
        except MachineError as failure:
            error = failure.cause
        self._told(InterceptionLost(_TABLE, "unseen", error))

    def _look_at_handover(self) -> None:
        lost = self._handover.lost()
        if lost > self._lost:
            self._lost = lost
            self._told(HandoverLost(lost))

    def _mend_route(self, version: int) -> None:
        error = None
        try:
            routing.set_up_routes((version,))
            if not routing.is_delivered_here(version):
                error = "another policy rule comes before it"
        except MachineError as failure:
            error = failure.cause
        self._told(InterceptionLost(_ROUTE.format(version), "lost", error))


class Handover:
    """Counts what the kernel hands over from now on and other programs' rules keep from the daemon's sockets."""

    def __init__(self) -> None:
        # In this order: what comes meanwhile is not lost.
        taken, handed_over = counted(TAKEN), counted(HANDED_OVER)
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
