"""A write of the log that takes too long is told, once; many that follow each other are not."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from firewall.live import frozen_disk
from firewall.live.frozen_disk import FrozenDisk
from firewall.live.log_file import LogFile

LOOK_EVERY_S = 0.02


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogFile]:
    monkeypatch.setattr(frozen_disk, "_LOOK_EVERY_S", LOOK_EVERY_S)
    log = LogFile(tmp_path / "log")
    yield log
    log.close()


def test_a_write_that_does_not_end_is_told(log: LogFile) -> None:
    frozen = threading.Event()
    watched = FrozenDisk(log, frozen.set)
    log.under_way = b"{}\n"
    assert frozen.wait(10)
    watched.close()


def test_writes_that_follow_each_other_and_none_are_not(log: LogFile) -> None:
    frozen = threading.Event()
    watched = FrozenDisk(log, frozen.set)
    end = time.monotonic() + 20 * LOOK_EVERY_S
    while time.monotonic() < end:
        log.under_way = bytes(bytearray(b"{}\n"))
    log.write(b"{}\n")
    assert not frozen.wait(20 * LOOK_EVERY_S)
    watched.close()


def test_sockets_and_pipes_are_closed_and_files_stay_open() -> None:
    script = """
import os, socket
from firewall.live.frozen_disk import close_all_but_files
file, opened, pipe = os.open("/etc/hosts", os.O_RDONLY), socket.socket(), os.pipe()
close_all_but_files()
left = [name for name in (file, opened.fileno(), *pipe) if os.path.exists(f"/proc/self/fd/{name}")]
os._exit(0 if left == [file] else 1)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
