"""The driver: order of outputs, deadlines between datagrams, and what happens when something goes wrong."""

import asyncio
import errno
import os
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from firewall.cli.policy_file import read_policy
from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, Event, Started
from firewall.engine.outputs import Output
from firewall.live.console import Console
from firewall.live.driver import Driver
from firewall.live.listener import Arrival
from firewall.live.log_file import LogFile, Syncer
from firewall.live.media_copies import MediaCopy
from firewall.net.datagram import Datagram
from tests.live.firewall_process import policy_text, records
from tests.messages import SDP, request

START_NS = 1_772_360_102_000_000_000
OPTIONS = (
    b"OPTIONS sip:psap@198.51.100.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\n"
    b"From: <sip:a@192.0.2.10>;tag=1\r\nTo: <sip:psap@198.51.100.10>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
)


class Stage:
    """A driver with a real engine and log; its sender remembers how long the log was when it sent."""

    def __init__(self, folder: Path, policy: str = policy_text()) -> None:
        (folder / "p.yaml").write_text(policy)
        self.engine = Engine(read_policy(str(folder / "p.yaml")), strict=False)
        self.log = LogFile(folder / "log")
        self.sent: list[tuple[Datagram, int, int, int]] = []
        self._reader, self._writer = os.pipe()
        self.console = Console(self._writer)
        self.driver = Driver(self.engine, self.console, self.log, None)
        self.driver.sender = self

    def forward(self, datagram: Datagram, hops: int, traffic_class: int) -> None:
        self.sent.append((datagram, hops, traffic_class, self.log.path.read_bytes().count(b"\n")))

    def send(self, datagram: Datagram, hops: int = 64, traffic_class: int = 0) -> None:
        self.forward(datagram, hops, traffic_class)

    def said(self) -> str:
        """Close everything and return what went to stderr."""
        self.console.close()
        os.close(self._writer)
        self.log.close()
        with os.fdopen(self._reader, "rb") as pipe:
            return pipe.read().decode()


def arrival(number: int = 0, payload: bytes = OPTIONS) -> Arrival:
    datagram = Datagram("192.0.2.10", 5060, "198.51.100.10", 5060, payload, "UDP", "f0")
    return Arrival(START_NS + number * 1000, datagram, 61, 0xB8)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_the_record_is_in_the_log_before_its_message_is_sent_as_it_came(stage: Stage) -> None:
    stage.driver.arrived([arrival(number) for number in range(5)])
    assert [(hops, traffic_class, lines) for _, hops, traffic_class, lines in stage.sent] == [
        (61, 0xB8, number + 1) for number in range(5)
    ]
    assert all(datagram.payload == OPTIONS for datagram, *_ in stage.sent)
    assert stage.said() == ""


def test_deadlines_happen_at_their_own_instant_before_later_datagrams(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[type[Event], int]] = []
    deadlines = [START_NS + 500, START_NS + 900]
    handle = stage.engine.handle

    def remember(event: Event, now_ns: int) -> list[Output]:
        seen.append((type(event), now_ns - START_NS))
        if isinstance(event, DeadlineReached):
            deadlines.pop(0)
        return handle(event, now_ns)

    monkeypatch.setattr(stage.engine, "handle", remember)
    monkeypatch.setattr(stage.engine, "next_deadline", lambda: deadlines[0] if deadlines else None)
    stage.driver.arrived([arrival(0), arrival(1)])
    assert seen == [(DatagramReceived, 0), (DeadlineReached, 500), (DeadlineReached, 900), (DatagramReceived, 1000)]
    stage.said()


def test_a_deadline_that_never_passes_does_not_stop_the_traffic(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage.engine, "next_deadline", lambda: START_NS - 1)
    stage.driver.arrived([arrival(0), arrival(1)])
    assert len(stage.sent) == 2
    stage.said()


class SetClock:
    """A clock that somebody sets."""

    def __init__(self) -> None:
        self.steps_ns: list[int] = []

    def step_ns(self) -> int:
        return self.steps_ns.pop() if self.steps_ns else 0


def test_a_call_grows_no_older_when_the_clock_is_set(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SetClock()
    monkeypatch.setattr(stage.driver, "_clock", clock)
    stage.driver.arrived([arrival(0, request(body=SDP))])
    (call,) = stage.engine.calls()
    now_ns = START_NS
    for step_ns in (86_400 * 10**9, -2 * 86_400 * 10**9):
        now_ns += step_ns
        monkeypatch.setattr("firewall.live.driver.present_ns", lambda now_ns=now_ns: now_ns)
        clock.steps_ns = [step_ns]
        stage.driver.arrived([arrival(1), replace(arrival(), time_ns=now_ns + 1000)])  # the first was received before
        stage.driver.arrived([replace(arrival(), time_ns=now_ns + 2000)])
        assert call in stage.engine.calls()
        assert abs((stage.engine.next_deadline() or 0) - now_ns) < 60 * 10**9
    assert "the clock was set forward by 86400.0 s" in (said := stage.said())
    assert "the clock was set back by 172800.0 s" in said
    assert "ALARM" not in said


@pytest.mark.parametrize("late_s", [0, 30])
@pytest.mark.parametrize("is_copy", [False, True])
def test_a_call_grows_no_older_by_what_came_before_the_clock_was_set_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, late_s: int, is_copy: bool
) -> None:
    """Copies wait in the kernel, messages behind a side that does not read, and in a flood."""
    clock = SetClock()
    monkeypatch.setattr(stage.driver, "_clock", clock)
    stage.driver.arrived([arrival(0, request(body=SDP))])
    (call,) = stage.engine.calls()
    before = arrival(1)
    clock.steps_ns = [-3600 * 10**9]
    for since_s in (0, late_s):
        now_ns = START_NS + (since_s - 3600) * 10**9
        monkeypatch.setattr("firewall.live.driver.present_ns", lambda now_ns=now_ns: now_ns)
        stage.driver.arrived([])
    if is_copy:
        stage.driver.copied([MediaCopy(before.time_ns, before.datagram, "sample")])
    else:
        stage.driver.arrived([before])
    stage.driver.reach(now_ns)
    assert call in stage.engine.calls()
    assert abs((stage.engine.next_deadline() or 0) - now_ns) < 60 * 10**9
    assert "ALARM" not in stage.said()


def test_a_call_grows_no_older_by_messages_that_had_to_wait_for_minutes(stage: Stage) -> None:
    stage.driver.arrived([replace(arrival(), time_ns=START_NS + 300 * 10**9)])
    now_ns = START_NS + 600 * 10**9
    stage.driver.arrived([replace(arrival(0, request(body=SDP)), time_ns=now_ns)])
    (call,) = stage.engine.calls()
    for number in range(10):
        stage.driver.arrived([arrival(number), replace(arrival(), time_ns=now_ns + number)])
    assert call in stage.engine.calls()
    assert abs((stage.engine.next_deadline() or 0) - now_ns) < 60 * 10**9
    assert len(stage.sent) == 22
    times = [record["timestamp"] for record in records(stage.log.path, "sip_decision")]
    assert times[2] == "2026-03-01T10:25:01.500000+0000"
    assert stage.said() == ""


def test_time_does_not_go_back_by_more_than_half_a_second_for_what_was_overtaken_in_a_flood(stage: Stage) -> None:
    stage.driver.arrived([arrival(2_000_000), *map(arrival, range(3))])
    stage.driver.arrived([arrival(3), arrival(1_900_000)])
    seconds = [record["timestamp"][17:23] for record in records(stage.log.path, "sip_decision")]
    assert seconds == ["04.000", "03.500", "03.500", "03.500", "03.500", "03.900"]
    stage.said()


@pytest.mark.parametrize(("policy_of_internal_error", "sent"), [("allow", 3), ("drop", 0)])
def test_a_bug_hits_one_datagram_and_the_exception_policy_decides_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, policy_of_internal_error: str, sent: int
) -> None:
    stage = Stage(tmp_path, policy_text() + f"exceptions: {{internal_error: {policy_of_internal_error}}}\n")

    def fail(*_: Any) -> list[Output]:
        raise RecursionError("too deep")

    monkeypatch.setattr(stage.engine, "handle", fail)
    stage.driver.arrived([arrival(number) for number in range(3)])
    stage.driver.tell(Started())
    assert len(stage.sent) == sent
    assert stage.driver.internal_errors == 4
    assert stage.said().count("ALARM internal_error: a bug in sosgate: RecursionError: too deep") == 4


def test_what_the_machine_refuses_is_no_bug(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> list[Output]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(stage.engine, "handle", fail)
    stage.driver.arrived([arrival()])
    assert (
        stage.said() == "sosgate: ALARM internal_error: the machine refuses: OSError: [Errno 24] Too many open files\n"
    )


def test_a_log_that_fails_and_recovers_is_told_once_each_with_the_number_lost(stage: Stage) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        stage.driver.arrived([arrival(number) for number in range(10)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert len(stage.sent) == 10
    failing = [stage.driver.log_failing]
    stage.driver.arrived([arrival(20), arrival(21)])
    failing.append(stage.driver.log_failing)
    assert failing == [True, False]
    assert stage.driver.records_lost == 11  # ten decisions and the alarm itself
    said = stage.said()
    assert said.count("ALARM log_unwritable") == 1
    assert said.count("ALARM log_recovered") == 1
    assert [record["event_type"] for record in records(stage.log.path)] == ["sip_decision", "alarm", "sip_decision"]


@pytest.mark.asyncio
async def test_a_disk_that_takes_no_sync_is_told_once_and_once_more_when_it_does(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [True]

    def sync(_descriptor: int) -> None:
        if broken:
            raise OSError(errno.EIO, "")

    syncer = Syncer(asyncio.get_running_loop(), stage.log, lambda: stage.driver.log_synced())
    stage.driver = Driver(stage.engine, stage.console, stage.log, syncer)
    stage.driver.sender = stage
    monkeypatch.setattr("firewall.live.log_file.os.fdatasync", sync)

    async def until_failing_is(expected: bool) -> None:
        async with asyncio.timeout(5):
            while stage.driver.log_failing != expected:
                await asyncio.sleep(0.001)

    for number in range(3):
        stage.driver.arrived([arrival(number, request(body=SDP))])
        await until_failing_is(expected=True)
    broken.clear()
    stage.driver.arrived([arrival(4)])  # not urgent: it is synced to learn how the disk is
    await until_failing_is(expected=False)
    syncer.close()
    said = stage.said()
    assert said.count("ALARM log_unwritable") == 1
    assert "it cannot be synced to disk: Input/output error" in said
    assert said.count("ALARM log_recovered") == 1
    assert "0 records were lost, and of those before the disk may lack some" in said


@pytest.mark.asyncio
async def test_a_disk_that_takes_no_last_sync_is_told_as_that_and_as_no_bug(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.EIO, "")

    syncer = Syncer(asyncio.get_running_loop(), stage.log, lambda: stage.driver.log_synced())
    stage.driver = Driver(stage.engine, stage.console, stage.log, syncer)
    stage.driver.sender = stage
    monkeypatch.setattr("firewall.live.log_file.os.fdatasync", fail)
    stage.driver.arrived([arrival(0, request(body=SDP))])
    syncer.close()
    async with asyncio.timeout(5):
        while not stage.driver.log_failing:
            await asyncio.sleep(0.001)
    assert stage.driver.internal_errors == 0
    assert stage.said().count("ALARM log_unwritable") == 1
