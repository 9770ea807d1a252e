"""The daemon: sockets, kernel rules, log, control socket and signals around one engine, in this network namespace.

Everything set up is taken down at a clean stop, and when start-up fails half-way. After a crash the nftables table
stays: it is what carries out ``on_daemon_down``; the next start takes it over.
"""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from firewall import __version__
from firewall.engine.engine import Engine
from firewall.engine.events import FlowsRecovered, PolicyRefused, PolicyReplaced, Started, Stopped
from firewall.engine.timestamp import timestamp
from firewall.errors import MachineError, OperatorError, SosgateError
from firewall.live import nftables, routing
from firewall.live.background import Background
from firewall.live.backlog import Backlog
from firewall.live.connections import Connections
from firewall.live.console import Console, broke
from firewall.live.control import ControlServer
from firewall.live.driver import Driver
from firewall.live.frozen_disk import PATIENCE_S, FrozenDisk, close_all_but_files
from firewall.live.interception import LOOK_EVERY_S, Interception
from firewall.live.links import InterfaceNames
from firewall.live.listener import Listener, open_listeners
from firewall.live.log_file import LogFile, Syncer
from firewall.live.media_path import LIFE_EVERY_S, MediaPath
from firewall.live.past_calls import last_record_at, recall_calls
from firewall.live.sampling import SAMPLE_EVERY_S
from firewall.live.sd_notify import Notifier
from firewall.live.sender import Sender, descriptors
from firewall.live.status import LogStatus, PolicyStatus, Status
from firewall.live.tcp_socket import open_tcp_listeners
from firewall.live.turns import Turns
from firewall.live.zone_links import ZoneLinks
from firewall.ruleset.emergency import wire_text
from firewall.ruleset.policy import Policy

LOG_RECENT = timedelta(days=1)

_DRAIN_S = 2.0
_SETTLE_S = 0.02
_LINKS_EVERY_S = 5.0
_LOSSES_EVERY_S = 0.5
_EXIT_CRASH = 70
_MEMORY_NEEDED_MB = 256  # of which some 50 are used while there is little to do


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line decides. ``load`` reads the policy file anew at SIGHUP; it raises ``SosgateError``."""

    load: Callable[[], Policy]
    log: Path | None = None
    control: Path | None = None


def run_daemon(settings: Settings) -> None:
    """Run the firewall until SIGTERM or SIGINT.

    Raises:
        OperatorError: the policy cannot be used.
        MachineError: the machine refused something that is needed.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # one that comes before its handler would end this
    descriptors(0)
    _refuse_little_memory()
    policy = settings.load()
    console = Console()
    try:
        asyncio.run(_Daemon(settings, policy, console).run())
    finally:
        console.close()


def _refuse_little_memory() -> None:
    for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        allowed, _ = resource.getrlimit(limit)
        if resource.RLIM_INFINITY != allowed < _MEMORY_NEEDED_MB * 2**20:
            cause = f"no more than {allowed // 2**20} MB of memory may be used here"
            needs = f"it needs {_MEMORY_NEEDED_MB} and more (ulimit -v and -d, LimitAS and LimitDATA)"
            raise MachineError("start", "sosgate", cause, needs=needs)


class _Daemon:
    def __init__(self, settings: Settings, policy: Policy, console: Console) -> None:
        self._settings = settings
        self._console = console
        self._notifier = Notifier(os.environ)
        self._started = timestamp(time.time_ns())
        self._started_monotonic = time.monotonic()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._changing = asyncio.Lock()
        self._takeover = False
        self._zone_links = ZoneLinks(console.say)
        self._interfaces = InterfaceNames()
        self._listeners: list[Listener] = []
        self._policy = policy
        self._log: LogFile | None = None
        self._syncer: Syncer | None = None
        self._sender: Sender
        self._connections: Connections
        self._media: MediaPath
        self._driver: Driver
        self._interception: Interception
        self._backlog: Backlog
        self._turns: Turns
        self._frozen_disk: FrozenDisk | None = None
        self._control: ControlServer | None = None

    async def run(self) -> None:
        """Start, serve, stop."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._survive)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        async with contextlib.AsyncExitStack() as undo:
            await self._start(loop, undo)
            background = Background(self._work_broke_off)
            for work in (self._watch_reload, self._media.count, self._media.keep_fast_path):
                background.begin(work)
            background.every(SAMPLE_EVERY_S, self._media.sample)
            background.every(LOOK_EVERY_S, self._interception.mend)
            background.every(_LOSSES_EVERY_S, self._look_at_losses)
            background.every(LIFE_EVERY_S, self._media.show_life)
            background.every(_LINKS_EVERY_S, self._look_at_links)
            if self._notifier.watchdog_s is not None:
                background.every(self._notifier.watchdog_s / 2, self._notifier.watchdog)
            gc.freeze()  # what start-up made lives as long as the daemon; no collection need look at it again
            await self._stop.wait()
            self._notifier.stopping()
            async with self._changing:  # its nft must not come after the one that removes the table
                await background.stop()

    async def _start(self, loop: asyncio.AbstractEventLoop, undo: contextlib.AsyncExitStack) -> None:
        """Set everything up, the interception last; ``undo`` takes it down in the opposite order."""
        left_over = nftables.table_exists()
        self._takeover = left_over or _recently_written(self._settings.log)
        engine, flows = Engine(self._policy, strict=False), FlowsRecovered(())
        if self._takeover and self._settings.log is not None:
            flows = recall_calls(engine, self._settings.log)
        if self._settings.log is not None:
            # Before the sockets: from then on messages would wait with this for the disk.
            self._open_log(self._settings.log, loop, undo)
        versions = self._open_sockets(engine, loop, undo)
        if self._settings.control is not None:
            commands = {"status": self._status, "calls": engine.calls}
            self._control = ControlServer(self._settings.control, commands)
            await self._control.start()
            undo.push_async_callback(self._control.stop)
        with contextlib.ExitStack() as half_way:
            half_way.callback(routing.remove_routes, routing.set_up_routes(versions))
            if not left_over:
                half_way.callback(nftables.remove_table)  # nft may fail after it has set it up
            # Once the table is there, datagrams wait in the sockets' buffers until they are first looked at.
            await self._media.set_up_table(self._policy, left_over)
            half_way.pop_all()
        undo.callback(self._remove_interception)
        undo.push_async_callback(self._drain)
        self._interception = Interception(
            versions, lambda: self._media.put_table_back(self._policy), self._driver.tell, self._changing
        )
        self._driver.tell(Started(takeover=self._takeover))
        self._media.begin(loop, flows, takeover=self._takeover)
        for listener in self._listeners:
            loop.add_reader(listener.fileno(), self._turns.readable)
        self._connections.start()
        self._turns.arm_timer()
        self._announce(left_over)

    def _open_log(self, path: Path, loop: asyncio.AbstractEventLoop, undo: contextlib.AsyncExitStack) -> None:
        self._log = LogFile(path, is_needed=not self._takeover)
        undo.callback(self._log.close)
        self._frozen_disk = FrozenDisk(self._log, self._end_for_want_of_a_disk)
        undo.callback(self._frozen_disk.close)
        self._syncer = Syncer(loop, self._log, lambda: self._driver.log_synced())
        undo.callback(self._syncer.close)

    def _open_sockets(
        self, engine: Engine, loop: asyncio.AbstractEventLoop, undo: contextlib.AsyncExitStack
    ) -> tuple[int, ...]:
        """Open all that packets come in and go out by, around the driver; return the IP versions there are."""
        self._listeners = open_listeners(nftables.PROXY_PORT, self._interfaces)
        for listener in self._listeners:
            undo.callback(listener.close)
        versions = tuple(listener.version for listener in self._listeners)
        tcp_listeners = open_tcp_listeners(versions, nftables.PROXY_PORT)
        for tcp_listener in tcp_listeners:
            undo.callback(tcp_listener.close)
        self._driver = Driver(engine, self._console, self._log, self._syncer)
        self._backlog = Backlog(self._listeners, engine.may_be_emergency)
        self._turns = Turns(loop, self._backlog, self._driver)
        self._connections = Connections(
            loop,
            tcp_listeners,
            self._interfaces,
            self._turns.serve,
            self._driver.forward_failed,
            self._driver.tell,
            engine.may_be_emergency,
        )
        undo.callback(self._connections.close)
        self._media = MediaPath(self._driver, self._interfaces, self._turns.arm_timer, self._network_changed)
        undo.callback(self._media.close)
        self._sender = self._driver.sender = Sender(loop, self._driver.forward_failed)
        return versions

    async def _drain(self) -> None:
        """Stop without losing a message unseen: no new ones, then those that wait, then the record of the end."""
        loop = asyncio.get_running_loop()
        await self._media.end(loop)
        try:
            # Not in a thread: no pinhole is opened any more, so no call may be answered until nothing needs one.
            nftables.apply_ruleset(nftables.render_last_ruleset())
        except MachineError as error:
            self._console.say(str(error))
        if self._frozen_disk is not None:
            self._frozen_disk.close()  # no message waits for the disk any more
        until = loop.time() + _DRAIN_S
        await asyncio.sleep(_SETTLE_S)
        while self._turns.read_batch() and loop.time() < until:
            await asyncio.sleep(0)
        for listener in self._listeners:
            loop.remove_reader(listener.fileno())
        self._backlog.give_up()
        self._tell_losses()
        self._turns.end()
        while self._sender.waiting:  # it gives up by itself
            await asyncio.sleep(_SETTLE_S)
        self._sender.close()
        await self._connections.stop(_DRAIN_S)
        self._driver.tell(Stopped())

    def _remove_interception(self) -> None:
        try:
            nftables.remove_table()
        finally:
            routing.remove_routes()
        self._console.say("stopped; its nftables table and routes are removed")

    async def _watch_reload(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._notifier.reloading()
            await self._do_reload()
            self._notifier.ready(self._summary())

    async def _do_reload(self) -> None:
        """Reopen the log, then load the policy anew; the old one stays when the new one cannot be used."""
        if self._log is not None:
            try:
                self._log.reopen()
            except MachineError as error:
                self._console.say(f"{error}; the old file is written on")
        try:
            policy = await asyncio.to_thread(self._settings.load)
            script = await asyncio.to_thread(nftables.render_ruleset, policy, keep_flows=True)
            async with self._changing:
                await asyncio.to_thread(nftables.apply_ruleset, script)
                self._policy = policy
        except SosgateError as error:
            place = error.place if isinstance(error, OperatorError) else None
            self._driver.tell(PolicyRefused(str(error), place))
            self._console.say(f"policy refused, the old one stays in force: {error}")
            return
        self._media.use_policy(policy)
        self._driver.tell(PolicyReplaced(policy))
        self._turns.arm_timer()
        self._console.say(f"new policy in force: {self._summary()}")
        self._zone_links.look(self._policy)

    async def _look_at_links(self) -> None:
        self._zone_links.look(self._policy)
        self._network_changed()  # where it was not told
        self._connections.sweep()
        if self._control is not None:
            await self._control.make_anew(self._console.say)

    def _network_changed(self) -> None:
        self._interfaces.forget()
        self._connections.forget_routes()

    def _look_at_losses(self) -> None:
        self._turns.readable()  # who sends most is among those that wait now
        self._tell_losses()

    def _tell_losses(self) -> None:
        loss = self._backlog.loss()
        if loss is not None:
            self._driver.tell(loss)

    def _survive(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if isinstance(context.get("exception"), MemoryError) and "handle" in context:
            with contextlib.suppress(MemoryError):  # while this lives, nobody else gets the messages it cannot read
                self._end_at_once("no memory is left")
            os._exit(_EXIT_CRASH)
        self._console.say(f"{broke(context.get('exception'))}: {context.get('message')}: {context.get('exception')}")

    def _end_for_want_of_a_disk(self) -> None:
        self._end_at_once(f"the disk of the log has not answered for {PATIENCE_S:.0f} s")

    def _end_at_once(self, cause: str) -> None:
        """End as a crash does."""
        self._console.say(f"ALARM internal_error: {cause}; sosgate ends, and on_daemon_down holds")
        self._console.close(0.2)
        try:
            close_all_but_files()
        finally:
            os._exit(_EXIT_CRASH)

    def _work_broke_off(self, name: str, error: BaseException) -> None:
        self._console.say(f"{broke(error)}: {name} broke off and begins anew: {error!r}")

    def _announce(self, left_over: bool) -> None:
        taken = " (took over what a killed run had left)" if left_over else ""
        self._console.say(f"{self._summary()}, ready{taken}")
        self._zone_links.look(self._policy)
        self._notifier.ready(self._summary())

    def _summary(self) -> str:
        interfaces = nftables.zone_interfaces(self._policy)
        where = "every interface" if interfaces is None else ", ".join(interfaces)
        count = len(self._policy.rules)
        return f"policy {self._policy.name} ({self._policy.file}, {count} rule{'' if count == 1 else 's'}) on {where}"

    def _status(self) -> Status:
        policy, log, driver = self._policy, self._log, self._driver
        return Status(
            version=__version__,
            policy=PolicyStatus(policy.name, policy.file, policy.sha256, len(policy.rules)),
            started=self._started,
            uptime_s=round(time.monotonic() - self._started_monotonic, 3),
            pid=os.getpid(),
            takeover=self._takeover,
            interfaces=nftables.zone_interfaces(policy),
            stats=driver.engine.stats(),
            log=LogStatus(
                path=wire_text(str(log.path)) if log else None,
                lost_records=driver.records_lost + (log.lost_records if log else 0),
                failing=driver.log_failing,
                error=log.error if log else None,
            ),
            receive_drops=self._backlog.lost(),
            waiting_to_send=self._sender.waiting,
            connections=self._connections.status(),
            media=self._media.status(),
            internal_errors=driver.internal_errors,
        )


def _recently_written(log: Path | None) -> bool:
    at = last_record_at(log) if log is not None else None
    return at is not None and datetime.now(UTC) - at < LOG_RECENT
