"""The sd_notify protocol, against a socket that plays systemd."""

import os
import socket
import time
from pathlib import Path

import pytest

from firewall.live.sd_notify import Notifier


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_hears_every_state(tmp_path: Path, abstract: bool) -> None:
    path = f"sosgate-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + path if abstract else path)
        systemd.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": "@" + path if abstract else path})
        notifier.ready("7 rules")
        notifier.watchdog()
        notifier.reloading()
        notifier.stopping()
        heard = [systemd.recv(4096).decode() for _ in range(4)]
    reloading = heard.pop(2)
    assert heard == ["READY=1\nSTATUS=7 rules", "WATCHDOG=1", "STOPPING=1"]
    name, _, microseconds = reloading.partition("\nMONOTONIC_USEC=")
    assert name == "RELOADING=1"
    assert 0 <= time.monotonic() - int(microseconds) / 1e6 < 5


def test_without_systemd_or_with_a_dead_one_nothing_happens(tmp_path: Path) -> None:
    for environment in (
        {},
        {"NOTIFY_SOCKET": ""},
        {"NOTIFY_SOCKET": "relative"},
        {"NOTIFY_SOCKET": str(tmp_path / "x")},
    ):
        Notifier(environment).ready("x")


def test_the_watchdog_is_for_the_process_systemd_named() -> None:
    assert Notifier({"WATCHDOG_USEC": "3000000"}).watchdog_s == 3.0
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 3.0
    assert Notifier({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "soon"}).watchdog_s is None
    assert Notifier({}).watchdog_s is None
