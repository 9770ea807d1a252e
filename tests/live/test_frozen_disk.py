"""A write of the log that takes too long is told, once; many that follow each other are not."""

import subprocess
import sys
import threading
from collections.abc import Callable
from typing import cast

import pytest

from firewall.live import frozen_disk
from firewall.live.frozen_disk import FrozenDisk
from firewall.live.log_file import LogFile
from tests.live.firewall_process import WITHIN_S


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frozen_disk, "_LOOK_EVERY_S", 0.001)


class Looked:
    """A log that says what is under way, and is told when it was looked at for long."""

    def __init__(self, under_way: Callable[[], object]) -> None:
        self.for_long = threading.Event()
        self._under_way = under_way
        self._looks = 0

    @property
    def under_way(self) -> object:
        self._looks += 1
        if self._looks == 5 * frozen_disk._LOOKS:
            self.for_long.set()
        return self._under_way()


def test_a_write_that_does_not_end_is_told() -> None:
    frozen, write = threading.Event(), object()
    watched = FrozenDisk(cast("LogFile", Looked(lambda: write)), frozen.set)
    assert frozen.wait(WITHIN_S)
    watched.close()


@pytest.mark.parametrize("under_way", [object, lambda: None])
def test_writes_that_follow_each_other_and_none_are_not(under_way: Callable[[], object]) -> None:
    frozen, log = threading.Event(), Looked(under_way)
    watched = FrozenDisk(cast("LogFile", log), frozen.set)
    assert log.for_long.wait(WITHIN_S)
    watched.close()
    assert not frozen.is_set()


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
