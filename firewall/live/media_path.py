"""Media as the daemon keeps it going: pinholes in the kernel, signs of life, counts, copies of packets, short ways."""

import asyncio
import contextlib
from collections.abc import Callable

from firewall.engine.events import FlowsCounted, FlowsRecovered, PinholesRecovered, PinholesRefused
from firewall.engine.pinhole import Pinhole
from firewall.errors import MachineError
from firewall.live import nftables
from firewall.live.driver import Driver
from firewall.live.forwarding import Forwarding, survey
from firewall.live.links import InterfaceNames
from firewall.live.media_copies import MediaCopies
from firewall.live.pinholes import Pinholes, PinholesStatus
from firewall.live.route import RouteChanges
from firewall.ruleset.policy import Policy

LIFE_EVERY_S = 1.0
_COUNT_EVERY_S = 1.0
_COUNT_SHARE = 0.05  # of one processor, at most
_SURVEY_EVERY_S = 1.0
_ROUTES_SETTLE_S = 0.02  # one change of the network is told as many
_ROUTES_REST_S = 0.2  # from one look to the next, at least


class MediaPath:
    """What ``driver`` decides about media, in the kernel.

    ``told`` is called when the engine was told something, ``network_changed`` when links, addresses, routes or rules
    may be others. ``set_up_table`` comes first, then ``begin``, then ``count`` and ``keep_fast_path`` run, and
    ``show_life`` and ``sample`` are called again and again, until ``end``, before the table is removed.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(
        self,
        driver: Driver,
        interfaces: InterfaceNames,
        told: Callable[[], None],
        network_changed: Callable[[], None],
    ) -> None:
        self._driver = driver
        self._told = told
        self._network_changed = network_changed
        self._left: tuple[Pinhole, ...] = ()
        self._interfaces: tuple[str, ...] | None = None
        self._forwarding: tuple[Forwarding, tuple[str, ...] | None] | None = None
        with contextlib.ExitStack() as opened:
            self._pinholes = Pinholes(lambda error: driver.tell(PinholesRefused(error)))
            opened.callback(self._pinholes.close)
            self._copies = MediaCopies(interfaces)
            opened.callback(self._copies.close)
            self._route_changes = RouteChanges()
            opened.callback(self._route_changes.close)
            self.close = opened.pop_all().close
        self.show_life, self.sample = self._pinholes.show_life, self._pinholes.sample

    def status(self) -> PinholesStatus:
        """Return what ``sosgate ctl status`` says."""
        return self._pinholes.status()

    def use_policy(self, policy: Policy) -> None:
        """Hand media on from these interfaces alone, once ``keep_fast_path`` looks again."""
        self._interfaces = nftables.zone_interfaces(policy)

    async def set_up_table(self, policy: Policy, left_over: bool) -> None:
        """Put the table in place; flows that an earlier run left in it stay without a gap.

        Raises:
            MachineError: nft is missing, or the kernel refused.
        """
        await self._set_up_sets(policy, left_over)
        self.use_policy(policy)
        await self._look_at_forwarding()

    async def _set_up_sets(self, policy: Policy, left_over: bool) -> None:
        anew = nftables.render_ruleset(policy)
        if not left_over:
            await asyncio.to_thread(nftables.apply_ruleset, anew)
            return
        self._left = self._pinholes.recover(tuple(zone.name for zone in policy.zones))
        try:
            await asyncio.to_thread(nftables.apply_ruleset, nftables.render_ruleset(policy, keep_flows=True))
        except MachineError:  # a table of another version, whose sets are not like ours
            await asyncio.to_thread(nftables.apply_ruleset, anew)
            self._pinholes.restore()

    async def put_table_back(self, policy: Policy) -> None:
        """Make the table that another program removed anew, with the flows that are open.

        Raises:
            MachineError: nft is missing, or the kernel refused.
        """
        await asyncio.to_thread(nftables.apply_ruleset, nftables.render_ruleset(policy))
        self._pinholes.restore()

    def begin(self, loop: asyncio.AbstractEventLoop, logged: FlowsRecovered, *, takeover: bool) -> None:
        """Tell the engine what was found, carry out what it says from now on, and receive copies."""
        self._driver.pinholes = self._pinholes
        self._driver.tell(logged)  # after a clean stop these are to be opened anew
        if self._left:
            self._driver.tell(PinholesRecovered(self._left))
        if not takeover:
            # Otherwise calls may be under way that were set up while no daemon ran: copies of their media come first,
            # and the engine lets it through, before anything is dropped for want of a pinhole.
            self._pinholes.show_life()
        loop.add_reader(self._copies.fileno(), self._readable)

    async def count(self) -> None:
        """Tell the engine what the kernel counts, about once a second."""
        while True:
            await asyncio.sleep(max(_COUNT_EVERY_S, self._pinholes.count_cost_s / _COUNT_SHARE))
            await self._count()

    async def keep_fast_path(self) -> None:
        """Hand media at rest on at once, between interfaces where the kernel would do nothing else with it.

        None once this ends, however it does: nobody would look any more whether it may be.
        """
        changed = asyncio.Event()

        def read() -> None:  # at once: what waits unread would have the loop call this again and again
            if self._route_changes.drain():
                self._network_changed()
                changed.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(self._route_changes.fileno(), read)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_SURVEY_EVERY_S):
                        await changed.wait()
                    await asyncio.sleep(_ROUTES_SETTLE_S)
                    changed.clear()
                    self._pinholes.follow_routes()
                await self._look_at_forwarding()
                await asyncio.sleep(_ROUTES_REST_S)
        finally:
            loop.remove_reader(self._route_changes.fileno())
            self._forwarding = None
            self._pinholes.use_fast_path(Forwarding((), "nobody looks any more whether there may be one"), None)

    async def _look_at_forwarding(self) -> None:
        found = await asyncio.to_thread(survey, our_programs=self._pinholes.fast_programs())
        if (found, self._interfaces) == self._forwarding:
            return
        self._forwarding = found, self._interfaces
        self._pinholes.use_fast_path(found, self._interfaces)

    async def end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the last counts; the sets are about to go."""
        await self._count()
        loop.remove_reader(self._copies.fileno())
        self._driver.pinholes = None

    async def _count(self) -> None:
        counts = await self._pinholes.count()
        self._driver.tell(FlowsCounted(counts, self._pinholes.refused_packets))
        self._told()

    def _readable(self) -> None:
        self._driver.copied(self._copies.receive())
        self._told()
