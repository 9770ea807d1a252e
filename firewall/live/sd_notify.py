"""Telling systemd how the daemon is doing: the sd_notify protocol (sd_notify(3), sd_watchdog_enabled(3))."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket systemd gave; does nothing when it gave none.

    ``watchdog_s``: how often systemd wants to hear ``watchdog()`` at the latest, None when it does not watch.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_s: float | None = None
        usec = environment.get("WATCHDOG_USEC", "")
        for_pid = environment.get("WATCHDOG_PID", "")
        if usec.isdigit() and int(usec) > 0 and for_pid in ("", str(os.getpid())):
            self.watchdog_s = int(usec) / 1_000_000

    def ready(self, status: str) -> None:
        """Start-up, or a reload, is finished."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """A reload begins."""
        microseconds = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self._send(f"RELOADING=1\nMONOTONIC_USEC={microseconds}")

    def stopping(self) -> None:
        """The stop begins."""
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        """The event loop is alive."""
        self._send("WATCHDOG=1")

    def _send(self, state: str) -> None:
        if not self._address.startswith(("/", "@")):
            return
        # A leading @ stands for the null byte of an abstract socket address.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as out,
        ):
            out.sendto(state.encode(), address)
