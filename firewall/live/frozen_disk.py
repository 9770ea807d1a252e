"""What ends the daemon where its loop waits for a disk that does not answer, as one that a backup has frozen.

Nothing interrupts that wait, not even SIGKILL: the daemon's sockets would stay open, and keep every message that the
kernel hands over.
"""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from firewall.live.log_file import LogFile

_LOOK_EVERY_S = 0.5
_LOOKS = 6
PATIENCE_S = _LOOKS * _LOOK_EVERY_S
"""As long as the kernel takes the daemon for alive (``media_chains.py``), and less than a service manager waits."""


class FrozenDisk:
    """Calls ``frozen``, in a thread of its own, when one write or reopening of the log takes too long.

    Looks are counted, and no time, which goes on where all of the machine stands still.
    """

    def __init__(self, log: LogFile, frozen: Callable[[], None]) -> None:
        self._log = log
        self._frozen = frozen
        self._closed = threading.Event()
        threading.Thread(target=self._watch, name="frozen disk", daemon=True).start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()

    def _watch(self) -> None:
        before, looks = None, 0
        while not self._closed.wait(_LOOK_EVERY_S):
            under_way = self._log.under_way
            looks = looks + 1 if under_way is not None and under_way is before else 0
            before = under_way
            if looks == _LOOKS:
                self._frozen()
                return


def close_all_but_files() -> None:
    """Close sockets, programs behind interfaces and pipes: a thread that waits for a disk holds them, ended or not."""
    for descriptor in list(Path("/proc/self/fd").iterdir()):
        with contextlib.suppress(OSError):  # the directory that was listed just now
            if not descriptor.readlink().is_absolute():
                os.close(int(descriptor.name))
