"""Media as the daemon keeps it going: pinholes in the kernel, signs of life, counts, and copies of packets."""

import asyncio
from collections.abc import Callable

from firewall.engine.events import FlowsCounted, PinholesRecovered
from firewall.engine.pinhole import Pinhole
from firewall.errors import MachineError
from firewall.live import nftables
from firewall.live.driver import Driver
from firewall.live.media_copies import MediaCopies
from firewall.live.pinholes import Pinholes, PinholesStatus
from firewall.live.sampling import SAMPLE_EVERY_S
from firewall.ruleset.policy import Policy

_LIFE_EVERY_S = 1.0
_COUNT_EVERY_S = 1.0
_COUNT_SHARE = 0.05  # of one processor, at most
_LEARN_S = 1.0


class MediaPath:
    """What ``driver`` decides about media, in the kernel; ``say`` is told what the kernel refuses.

    ``told`` is called when the engine was told something. ``set_up_table`` comes first, then ``begin``, then
    ``show_life``, ``count`` and ``sample`` run until ``end``, before the table is removed.

    Raises:
        MachineError: the kernel gives no netlink socket.
    """

    def __init__(self, driver: Driver, say: Callable[[str], None], told: Callable[[], None]) -> None:
        self._driver = driver
        self._told = told
        self._left: tuple[Pinhole, ...] = ()
        self._takeover = False
        self._pinholes = Pinholes(say)
        try:
            self._copies = MediaCopies()
        except MachineError:
            self._pinholes.close()
            raise

    def close(self) -> None:
        """Let go of the kernel's sockets; its sets stay as they are."""
        self._copies.close()
        self._pinholes.close()

    def status(self) -> PinholesStatus:
        """Return what ``sosgate ctl status`` says."""
        return self._pinholes.status()

    def forget_interfaces(self) -> None:
        """Look names up anew: an interface may have been renamed."""
        self._copies.forget_interfaces()

    async def set_up_table(self, policy: Policy, left_over: bool) -> None:
        """Put the table in place; flows that an earlier run left in it stay without a gap.

        Raises:
            OperatorError: a zone names an interface that cannot be one.
            MachineError: nft is missing, or the kernel refused.
        """
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

    def begin(self, loop: asyncio.AbstractEventLoop, *, takeover: bool) -> None:
        """Tell the engine what was found, carry out what it says from now on, and receive copies."""
        self._takeover = takeover
        self._driver.pinholes = self._pinholes
        if self._left:
            self._driver.tell(PinholesRecovered(self._left))
        if not takeover:
            self._pinholes.show_life()
        loop.add_reader(self._copies.fileno(), self._readable)

    async def show_life(self) -> None:
        """Have the kernel enforce, for as long as this runs."""
        if self._takeover:
            # Calls may be under way that were set up while no daemon ran: copies of their media come first, and the
            # engine lets it through, before anything is dropped for want of a pinhole.
            await asyncio.sleep(_LEARN_S)
        while True:
            self._pinholes.show_life()
            await asyncio.sleep(_LIFE_EVERY_S)

    async def count(self) -> None:
        """Tell the engine what the kernel counts, about once a second."""
        while True:
            await asyncio.sleep(max(_COUNT_EVERY_S, self._pinholes.count_cost_s / _COUNT_SHARE))
            await self._count()

    async def sample(self) -> None:
        """Have packets of long flows copied now and then."""
        while True:
            await asyncio.sleep(SAMPLE_EVERY_S)
            self._pinholes.sample()

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
