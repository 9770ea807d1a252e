"""The live driver: kernel datagrams become engine events, the engine's outputs are carried out in order."""

import errno
import os
from typing import assert_never

from msgspec.structs import replace

from firewall.engine.engine import Engine
from firewall.engine.events import (
    DatagramReceived,
    DeadlineReached,
    Event,
    FlowsCounted,
    ForwardFailed,
    LogFailed,
    LogRecovered,
    MediaReceived,
)
from firewall.engine.outputs import Forward, Output, PinholesChanged, Reply, Write
from firewall.engine.record import Alarm, encode
from firewall.live.clock import Clock, present_ns
from firewall.live.connection import NO_ANSWER
from firewall.live.console import Console, broke
from firewall.live.listener import Arrival
from firewall.live.log_file import LogFile, Syncer
from firewall.live.media_copies import MediaCopy
from firewall.live.pinholes import Pinholes
from firewall.live.sender import Sender
from firewall.net.datagram import Datagram

# To the engine time goes on: it takes a step of a second back for a clock that was set.
_LATE_NS = 500_000_000
_DOING_OF_THE_PEER = (
    NO_ANSWER,
    *map(os.strerror, (errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ETIMEDOUT)),
    *map(os.strerror, (errno.EHOSTUNREACH, errno.ENETUNREACH)),  # a router on the way says so
)


class Driver:
    """Feeds one engine and carries out what it wants: records before the messages they tell of.

    ``log`` None: no log is kept; alarms still go to the console. ``log_failing``: records are being lost, as was told.
    """

    def __init__(self, engine: Engine, console: Console, log: LogFile | None, syncer: Syncer | None) -> None:
        self.engine = engine
        self.sender: Sender | None = None
        self.pinholes: Pinholes | None = None
        self.records_lost = 0
        self.internal_errors = 0
        self._console = console
        self._log = log
        self._syncer = syncer
        self._received: Arrival | None = None
        self.log_failing = False
        self._is_on_disk = True
        self._telling = False
        self._clock = Clock()
        self._latest_ns = 0

    def arrived(self, arrivals: list[Arrival]) -> None:
        """Take datagrams in the order of their receipt, with the deadlines that lie between them."""
        self._mind_clock()
        now_ns = present_ns()
        for arrival in arrivals:
            if self._latest_ns <= arrival.time_ns <= now_ns:
                self._latest_ns = arrival.time_ns
            else:
                arrival = replace(arrival, time_ns=self._not_long_ago(min(arrival.time_ns, now_ns)))
            self.reach(arrival.time_ns)
            self._received = arrival
            try:
                self._carry_out(self.engine.handle(DatagramReceived(arrival.datagram), arrival.time_ns))
            except Exception as error:  # noqa: BLE001 (no single datagram may end the firewall: DESIGN section 5, exceptions)
                self._bug(error, arrival.datagram)
            finally:
                self._received = None

    def copied(self, copies: list[MediaCopy]) -> None:
        """Take copies of media packets; they are a little late, so what has happened since has happened before them."""
        self._mind_clock()
        now_ns = present_ns()
        for copy in copies:
            time_ns = self._not_long_ago(min(copy.time_ns, now_ns))
            self.reach(time_ns)
            self.tell(MediaReceived(copy.datagram, copy.copied), time_ns)

    def reach(self, now_ns: int) -> None:
        """Let every deadline up to ``now_ns`` happen, each at its own instant."""
        while (deadline_ns := self.engine.next_deadline()) is not None and deadline_ns <= now_ns:
            self._count_due(deadline_ns)
            self.tell(DeadlineReached(), self._not_long_ago(deadline_ns))
            if self.engine.next_deadline() == deadline_ns:
                break  # it makes no progress; the next datagram or timer tries again

    def _count_due(self, deadline_ns: int) -> None:
        """Tell what the pinholes have counted that a deadline is about: its records say it exactly."""
        keys = self.engine.media_due(deadline_ns) if self.pinholes is not None else ()
        if keys and self.pinholes is not None:
            self.tell(FlowsCounted(self.pinholes.read(keys)), self._not_long_ago(deadline_ns))

    def tell(self, event: Event, now_ns: int | None = None) -> None:
        """Give the engine an event and carry out what it wants.

        ``now_ns`` None: the present; while a datagram is dealt with, that is the instant of its receipt.
        """
        if now_ns is None and self._received is not None:
            now_ns = self._received.time_ns
        elif now_ns is None:
            self._mind_clock()
            now_ns = present_ns()
            self._latest_ns = max(self._latest_ns, now_ns)
        try:
            self._carry_out(self.engine.handle(event, now_ns))
        except Exception as error:  # noqa: BLE001 (a bug in telling must not stop the traffic)
            self._bug(error, None)

    def forward_failed(self, datagram: Datagram, error: str) -> None:
        """The sender could not send this, or the other side of its TCP connection would not have it."""
        self.tell(ForwardFailed(datagram, error, datagram.transport == "TCP" and error.startswith(_DOING_OF_THE_PEER)))

    def log_synced(self) -> None:
        """A sync of the log has ended: what cannot be brought to the disk is lost as what cannot be written."""
        if self._log is not None:
            self._is_on_disk = self._is_on_disk and self._log.unsynced is None
            self._tell_log_state(self._log)

    def _mind_clock(self) -> None:
        """Have no call grow older because somebody set the clock."""
        step_ns = self._clock.step_ns()
        if step_ns:
            self.engine.clock_was_set(step_ns)
            self._latest_ns = present_ns()
            how = "forward" if step_ns > 0 else "back"
            self._console.say(f"the clock was set {how} by {abs(step_ns) / 1e9:.1f} s; calls grow no older by it")

    def _not_long_ago(self, time_ns: int) -> int:
        """Return an instant that is not long before those the engine was told of.

        What had to wait here or in the kernel, as TCP does behind a side that does not read, may be minutes older; and
        where the clock was set back meanwhile, its time has not come yet.
        """
        return max(time_ns, self._latest_ns - _LATE_NS)

    def _carry_out(self, outputs: list[Output]) -> None:
        lines = bytearray()  # at a stop there are as many as pinholes
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
                    self._reply(datagram)
                case PinholesChanged(opened=opened, closed=closed):
                    if self.pinholes is not None:
                        self.pinholes.change(opened, closed)
                case _:
                    assert_never(output)
        self._write(lines)

    def _forward(self, datagram: Datagram) -> None:
        if self.sender is None:
            return
        arrival = self._received
        if arrival is None or datagram is not arrival.datagram:
            if datagram.transport == "TCP":
                self.forward_failed(datagram, "its connection is not known any more")
            else:
                self.sender.send(datagram)
        elif arrival.way is not None:
            arrival.way.forward(datagram)
        else:
            self.sender.forward(datagram, arrival.hops, arrival.traffic_class)

    def _reply(self, datagram: Datagram) -> None:
        arrival = self._received
        if arrival is not None and arrival.way is not None:
            arrival.way.reply(datagram)
        elif self.sender is not None:
            self.sender.send(datagram)

    def _write(self, lines: bytearray) -> bytearray:
        """Hand lines to the kernel and return no lines: nothing is left to write."""
        if lines and self._log is not None:
            self._log.write(bytes(lines))
            if not self._telling and (self._log.error is not None or self.log_failing):
                self._tell_log_state(self._log)
                if self._log.unsynced is not None and self._syncer is not None:
                    self._syncer.request()
        return bytearray()

    def _tell_log_state(self, log: LogFile) -> None:
        """Tell the engine once when the log fails and once when it is well again, never about the telling itself."""
        if (log.error is not None) == self.log_failing:
            return
        self._telling = True
        try:
            self.log_failing = log.error is not None
            if log.error is not None:
                self.tell(LogFailed(log.error))
            else:
                lost = log.take_lost()
                self.records_lost += lost
                self.tell(LogRecovered(lost, self._is_on_disk))
                self._is_on_disk = True
        finally:
            self._telling = False

    def _bug(self, error: Exception, datagram: Datagram | None) -> None:
        """A bug of ours, or a refusal of the machine: say it, and let the exception policy decide on what it hit."""
        self.internal_errors += 1
        self._console.say(f"{broke(error)}: {type(error).__name__}: {error}")
        if datagram is not None and self.engine.policy.exceptions.internal_error == "allow":
            self._forward(datagram)
