"""The live driver: kernel datagrams become engine events, the engine's outputs are carried out in order."""

import time
from typing import Protocol, assert_never

from firewall.engine.engine import Engine
from firewall.engine.events import (
    DatagramReceived,
    DeadlineReached,
    Event,
    ForwardFailed,
    LogFailed,
    LogRecovered,
)
from firewall.engine.outputs import Forward, Output, Reply, Write
from firewall.engine.record import Alarm, encode
from firewall.live.console import Console
from firewall.live.listener import Arrival
from firewall.live.log_file import LogFile, Syncer
from firewall.live.sender import DEFAULT_HOPS
from firewall.net.datagram import Datagram

# Capture timestamps of packets that arrive together may be out of order by this much; more is a clock that was set.
_REORDERED_NS = 1_000_000_000


class Sends(Protocol):
    """What the driver needs of ``Sender``."""

    def forward(self, datagram: Datagram, hops: int, traffic_class: int) -> None:
        """Send a datagram on, as a router."""

    def send(self, datagram: Datagram, hops: int = DEFAULT_HOPS, traffic_class: int = 0) -> None:
        """Send a datagram of our own."""


class Driver:
    """Feeds one engine and carries out what it wants: records before the messages they tell of.

    ``log`` None: no log is kept; alarms still go to the console.
    """

    def __init__(self, engine: Engine, console: Console, log: LogFile | None, syncer: Syncer | None) -> None:
        self.engine = engine
        self.sender: Sends | None = None
        self.records_lost = 0
        self.internal_errors = 0
        self._console = console
        self._log = log
        self._syncer = syncer
        self._now_ns = 0
        self._hops = DEFAULT_HOPS
        self._traffic_class = 0
        self._received: Datagram | None = None
        self._told_log_failing = False
        self._telling = False

    @property
    def log_failing(self) -> bool:
        """Whether records are being lost at this time."""
        return self._told_log_failing

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take datagrams in the order of their receipt, with the deadlines that lie between them."""
        for arrival in arrivals:
            now_ns = arrival.time_ns
            if now_ns < self._now_ns < now_ns + _REORDERED_NS:
                now_ns = self._now_ns
            self.reach(now_ns)
            self._hops, self._traffic_class = arrival.hops, arrival.traffic_class
            self._received = arrival.datagram
            try:
                outputs = self.engine.handle(DatagramReceived(arrival.datagram), now_ns)
                self._now_ns = now_ns
                self._carry_out(outputs)
            except Exception as error:  # noqa: BLE001 (no single datagram may end the firewall: DESIGN section 5, exceptions)
                self._bug(error, arrival.datagram)
            finally:
                self._received = None

    def reach(self, now_ns: int) -> None:
        """Let every deadline up to ``now_ns`` happen, each at its own instant."""
        while (deadline_ns := self.engine.next_deadline()) is not None and deadline_ns <= now_ns:
            self.tell(DeadlineReached(), deadline_ns)
            if self.engine.next_deadline() == deadline_ns:
                break  # it makes no progress; the next datagram or timer tries again

    def tell(self, event: Event, now_ns: int | None = None) -> None:
        """Give the engine an event and carry out what it wants. ``now_ns`` None: the present."""
        if now_ns is None:
            now_ns = max(self._now_ns, present_ns())
        try:
            outputs = self.engine.handle(event, now_ns)
            self._now_ns = max(self._now_ns, now_ns)
            self._carry_out(outputs)
        except Exception as error:  # noqa: BLE001 (a bug in telling must not stop the traffic)
            self._bug(error, None)

    def forward_failed(self, datagram: Datagram, error: str) -> None:
        """The sender could not send this."""
        self.tell(ForwardFailed(datagram, error))

    def sync_failed(self, error: str) -> None:
        """The log could not be synced to disk: records handed to the kernel may never reach it."""
        self._console.say(f"ALARM log_unwritable: the log cannot be synced to disk: {error}")
        self._told_log_failing = True
        self.tell(LogFailed(error))

    def _carry_out(self, outputs: list[Output]) -> None:
        lines = b""
        for output in outputs:
            match output:
                case Write(record=record, urgent=urgent):
                    lines += encode(record) + b"\n"
                    if isinstance(record, Alarm):
                        self._console.say(f"ALARM {record.alarm.code}: {record.alarm.message}")
                    if urgent and self._syncer is not None:
                        lines = self._write(lines)
                        self._syncer.request()
                case Forward(datagram=datagram):
                    lines = self._write(lines)
                    self._forward(datagram)
                case Reply(datagram=datagram):
                    lines = self._write(lines)
                    if self.sender is not None:
                        self.sender.send(datagram)
                case _:
                    assert_never(output)
        self._write(lines)

    def _forward(self, datagram: Datagram) -> None:
        if self.sender is None:
            return
        if datagram is self._received:
            self.sender.forward(datagram, self._hops, self._traffic_class)
        else:
            self.sender.send(datagram)

    def _write(self, lines: bytes) -> bytes:
        """Hand lines to the kernel and return no lines: nothing is left to write."""
        if lines and self._log is not None:
            self._log.write(lines)
            if not self._telling and (self._log.failing or self._told_log_failing):
                self._tell_log_state(self._log)
        return b""

    def _tell_log_state(self, log: LogFile) -> None:
        """Tell the engine once when the log fails and once when it is well again, never about the telling itself."""
        if log.failing == self._told_log_failing:
            return
        self._telling = True
        try:
            self._told_log_failing = log.failing
            if log.error is not None:
                self.tell(LogFailed(log.error), self._now_ns or None)
            else:
                lost = log.take_lost()
                self.records_lost += lost
                self.tell(LogRecovered(lost), self._now_ns or None)
        finally:
            self._telling = False

    def _bug(self, error: Exception, datagram: Datagram | None) -> None:
        """A bug of ours: say it, and let the exception policy decide on the datagram it hit."""
        self.internal_errors += 1
        self._console.say(f"ALARM internal_error: a bug in sosgate: {type(error).__name__}: {error}")
        if datagram is not None and self.engine.policy.exceptions.internal_error == "allow":
            self._forward(datagram)


def present_ns() -> int:
    """Return the present as the engine counts it: Unix time in nanoseconds, in whole microseconds like captures."""
    return time.time_ns() // 1000 * 1000
