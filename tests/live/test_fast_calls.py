"""Media of real calls on the fast path of a running daemon: all of it heard and counted, and left in time."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from firewall.live.bpf import Code, attach, load, programs_behind
from firewall.live.control import ask
from firewall.live.testbed import in_namespace
from tests.live.conftest import Namespaces, machine_root
from tests.live.firewall_process import FirewallProcess, policy_text, wait_until
from tests.live.media_call import CALLED_MEDIA, CALLER_MEDIA, Call, states
from tests.live.sipp import PSAP

pytestmark = [pytest.mark.netns, pytest.mark.timed, machine_root]

SETTLES_WITHIN_S = 15


class Running:
    """A daemon, and a call through it whose two flows are on the fast path."""

    def __init__(self, testbed: Namespaces, firewall: FirewallProcess, call: Call, control: Path) -> None:
        self.testbed, self.firewall, self.call, self._control = testbed, firewall, call, control
        self.sent = 0

    def media(self) -> dict[str, Any]:
        status: dict[str, Any] = ask(self._control, "status")["media"]
        return status

    def talk(self, count: int) -> None:
        """Both sides say so much, and hear all of it."""
        assert self.call.to_called(self.sent, count) == count
        assert self.call.to_caller(self.sent, count) == count
        self.sent += count

    def talk_until(self, condition: Callable[[dict[str, Any]], bool], what: str) -> None:
        """Both sides talk on until the daemon's status is as it should be."""

        def fits() -> bool:
            self.talk(5)
            return condition(self.media())

        wait_until(fits, what, SETTLES_WITHIN_S)

    def in_firewall(self, *command: str, script: str = "") -> str:
        done = ["ip", "netns", "exec", self.testbed.fw, *command]
        return subprocess.run(done, input=script, text=True, capture_output=True, check=True).stdout


@contextmanager
def running(testbed: Namespaces, folder: Path) -> Iterator[Running]:
    """Give a call on the fast path while the ``with`` block lasts."""
    policy, log, control = folder / "p.yaml", folder / "decisions.jsonl", folder / "control"
    policy.write_text(policy_text())
    arguments = ("--log", str(log), "--control", str(control))
    with FirewallProcess(testbed.fw, policy, *arguments) as firewall, Call(testbed, user="6175550199") as call:
        call.set_up()
        run = Running(testbed, firewall, call, control)
        run.talk_until(lambda media: media["fast"] == 2, "both flows are on the fast path")
        yield run


def test_every_packet_of_a_call_on_the_fast_path_is_heard_and_counted(testbed: Namespaces, tmp_path: Path) -> None:
    with running(testbed, tmp_path) as run:
        for _ in range(150):  # over three seconds: they leave it and come back
            run.talk(2)
            time.sleep(0.02)
        run.call.bye()
        more = run.call.until_closed(run.sent)
        closed = [each for each in states(tmp_path / "decisions.jsonl", "closed") if "packets" in each["rtp"]]
        counted = {each["dest_port"]: each["rtp"]["packets"] for each in closed}
        assert counted == {CALLER_MEDIA: run.sent, CALLED_MEDIA: run.sent + more}
        assert run.media()["fast"] == 0
        assert run.firewall.stop() == 0
        assert "sosgate" not in run.in_firewall("nft", "list", "ruleset")


def test_where_somebody_else_looks_at_packets_none_goes_past_them(testbed: Namespaces, tmp_path: Path) -> None:
    with running(testbed, tmp_path) as run:
        chain = "chain forward {\ntype filter hook forward priority 0;\nudp dport 40000 counter name seen\n}"
        run.in_firewall("nft", "-f", "-", script=f"table inet theirs {{\ncounter seen {{ }}\n{chain}\n}}\n")
        try:
            run.talk_until(lambda media: media["fast"] == 0, "no flow is on the fast path")
            assert "inet theirs" in run.media()["no_fast_path"]
            run.in_firewall("nft", "reset", "counter", "inet", "theirs", "seen")
            run.talk(40)
            assert "packets 40 " in run.in_firewall("nft", "list", "counter", "inet", "theirs", "seen")
        finally:
            run.in_firewall("nft", "delete", "table", "inet", "theirs")
        run.talk_until(lambda media: media["fast"] == 2, "they are back")


def test_where_somebody_elses_program_sees_what_comes_in_none_goes_past_it(testbed: Namespaces, tmp_path: Path) -> None:
    code = Code()
    code.do(0, "=", -1)  # it lets all go on
    code.exit()
    with running(testbed, tmp_path) as run:
        program = load(code.assembled())
        attached = in_namespace(testbed.fw, lambda: attach(program, socket.if_nametoindex("f0")))
        os.close(program)
        run.talk_until(lambda _: behind(testbed, "f0") == 1, "theirs is alone")
        os.close(attached)
        run.talk_until(lambda media: media["fast"] == 2 and behind(testbed, "f0") == 1, "ours is back")


def behind(testbed: Namespaces, link: str) -> int:
    return in_namespace(testbed.fw, lambda: len(programs_behind(socket.if_nametoindex(link))))


def test_flows_leave_a_route_at_once_that_is_no_more(testbed: Namespaces, tmp_path: Path) -> None:
    with running(testbed, tmp_path) as run:
        run.in_firewall("ip", "route", "add", "blackhole", f"{PSAP}/32")
        try:
            changed_at_s = time.monotonic()
            wait_until(lambda: run.media()["fast"] == 0, "neither side has a way any more", 1)
            assert time.monotonic() - changed_at_s < 0.5
            assert run.call.to_called(0, 3) == 0
        finally:
            run.in_firewall("ip", "route", "del", "blackhole", f"{PSAP}/32")
        run.talk_until(lambda media: media["fast"] == 2, "it has one again")


def test_a_killed_daemons_calls_are_heard_on_and_off_and_the_next_one_has_them(
    testbed: Namespaces, tmp_path: Path
) -> None:
    with running(testbed, tmp_path) as run:
        run.firewall.stop(signal.SIGKILL)
        run.talk(50)
        arguments = ("--log", str(tmp_path / "decisions.jsonl"), "--control", str(tmp_path / "control"))
        with FirewallProcess(testbed.fw, tmp_path / "p.yaml", *arguments) as firewall:
            again = Running(testbed, firewall, run.call, tmp_path / "control")
            again.talk(50)
            again.talk_until(lambda media: media["fast"] == 2, "both flows are on the fast path again")
            again.call.bye()
            again.call.until_closed(again.sent)
            assert again.media()["open"] == 0
            assert "ALARM" not in firewall.stderr
