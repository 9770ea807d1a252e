"""The decision log on disk: JSON Lines, appended, handed to the kernel before the message they tell of is forwarded.

A log that cannot be written never stops traffic: its records are counted as lost, and every record tries anew.
"""

import asyncio
import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from firewall.errors import MachineError

LOG_MODE = 0o640
_UNKNOWN_SIZE = 1 << 63
_NOT_OPEN = (1 << 31) - 1  # a descriptor that nothing has: the kernel refuses it (EBADF), Python none but negative ones


class LogFile:
    """One append-only log.

    A record that was cut short, because the disk was full, is finished by the next write before anything else
    follows, so that no line is ever joined to another. One that is not ``is_needed`` and cannot be opened counts as
    failing. ``under_way``: another object for each write and reopening, None where nothing waits for the disk.

    Raises:
        MachineError: the file is needed, and cannot be opened for appending.
    """

    def __init__(self, path: Path, *, is_needed: bool = True) -> None:
        self.path = path
        self.lost_records = 0
        self.unsynced: str | None = None
        self.under_way: object = None
        self._unwritten: str | None = None
        self._unfinished = b""
        self._size = _UNKNOWN_SIZE
        self._descriptor = _NOT_OPEN
        try:
            self._descriptor = self._open()
        except MachineError:
            if is_needed:
                raise

    @property
    def error(self) -> str | None:
        """Why the last record could not be written, or the last sync was in vain, in the machine's words."""
        return self._unwritten or self.unsynced

    def write(self, lines: bytes) -> None:
        """Append whole lines, each with its newline. A failure is told by ``error`` and ``lost_records``.

        A file that is gone is made anew, as what is written to it would be found by nobody.
        """
        self.under_way = lines
        try:
            self._append(lines)
        finally:
            self.under_way = None

    def _append(self, lines: bytes) -> None:
        found = self._found()
        if found is None and self._made_anew():
            found = self._found()
        if found is None:
            self.lost_records += lines.count(b"\n")
            return
        if stat.S_ISREG(found.st_mode) and found.st_size < self._size:
            # A killed run may have left half a line, and so may somebody who has cut the file, to have room again.
            self._lose_unfinished()
            self._unfinished = b"" if _ends_with_newline(self._descriptor) else b"\n"
        data = self._unfinished + lines
        written = 0
        while written < len(data):
            try:
                written += os.write(self._descriptor, data[written:] if written else data)
            except InterruptedError:
                continue
            except OSError as error:
                self._unwritten = os.strerror(error.errno or 0)
                self._size = found.st_size + written
                self._keep_what_is_torn(lines, data, written)
                return
        self._size = found.st_size + written
        self._unfinished = b""
        self._unwritten = None

    def sync(self) -> str | None:
        """Wait until everything written is on the disk; return the kernel's word when it is not. Thread-safe."""
        try:
            os.fdatasync(self._descriptor)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EROFS, errno.EBADF):
                return None  # a pipe or a device, or reopened this moment: there is nothing to sync
            return f"it cannot be synced to disk: {os.strerror(error.errno or 0)}"
        return None

    def reopen(self) -> None:
        """Open the path anew, after a rotation; keeps the old file when that fails.

        Raises:
            MachineError: the file cannot be opened.
        """
        self.under_way = object()
        try:
            self._reopen()
        finally:
            self.under_way = None

    def _reopen(self) -> None:
        old, self._descriptor = self._descriptor, self._open()
        self._size = _UNKNOWN_SIZE
        self._lose_unfinished()
        # The disk may be busy with a rotation, and what was removed may be large: no stop waits for that, as the kernel
        # writes it anyway. A sync under way that finds the old descriptor closed has nothing left to do.
        try:
            threading.Thread(target=_sync_and_close, args=(old,), name="old log", daemon=True).start()
        except RuntimeError:  # no more threads may be started
            os.close(old)

    def _lose_unfinished(self) -> None:
        self.lost_records += bool(self._unfinished)
        self._unfinished = b""

    def _found(self) -> os.stat_result | None:
        """Return what the open file is, None where it is gone: removed, or with the file system that it was on, which
        may have been mounted anew."""
        try:
            found = os.fstat(self._descriptor)
            is_gone = stat.S_ISREG(found.st_mode) and (
                not found.st_nlink or (self._unwritten is not None and not os.path.samestat(found, self.path.stat()))
            )
        except OSError:
            return None
        return None if is_gone else found

    def _made_anew(self) -> bool:
        try:
            self._reopen()
        except MachineError as error:
            what = "cannot be opened" if self._descriptor == _NOT_OPEN else "is gone, and cannot be made anew"
            self._unwritten = f"the file {what}: {error.cause}"
            return False
        return True

    def take_lost(self) -> int:
        """Return how many records were lost since the last call."""
        lost, self.lost_records = self.lost_records, 0
        return lost

    def close(self) -> None:
        """Sync and close."""
        _sync_and_close(self._descriptor)

    def _keep_what_is_torn(self, lines: bytes, data: bytes, written: int) -> None:
        """After a failed write: keep the rest of a line that is half in the file, count the lines that are not."""
        lost = lines
        if written:
            begun = data.rfind(b"\n", 0, written) + 1
            end = data.index(b"\n", written) + 1 if begun < written else written
            self._unfinished, lost = data[written:end], data[end:]
        self.lost_records += lost.count(b"\n")

    def _open(self) -> int:
        try:
            # Without O_NONBLOCK a pipe that nobody reads would stop the traffic.
            return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, LOG_MODE)
        except OSError as error:
            raise MachineError("open", f"the log {self.path}", os.strerror(error.errno or 0)) from None


class Syncer:
    """Group commit: brings urgent records to the disk in a thread, one sync at a time, the next one right behind it.

    ``synced`` is called after each, with what became of it in ``LogFile.unsynced``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, log: LogFile, synced: Callable[[], None]) -> None:
        self._loop = loop
        self._log = log
        self._synced = synced
        self._wanted = False
        self._running = False
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="log sync")
        self._thread.submit(int)  # begins the thread, which could not be had when it is needed

    def request(self) -> None:
        """Ask that what is written by now be synced as soon as the disk allows."""
        self._wanted = not self._is_closed
        if self._wanted and not self._running:
            self._start()

    def close(self) -> None:
        """Wait for the sync under way; what became of it is still told, but nothing is synced any more."""
        self._wanted, self._is_closed = False, True
        self._thread.shutdown(wait=True)

    def _start(self) -> None:
        self._wanted = False
        self._running = True
        self._loop.run_in_executor(self._thread, self._log.sync).add_done_callback(self._done)

    def _done(self, future: "asyncio.Future[str | None]") -> None:
        self._running = False
        self._log.unsynced = future.result()
        self._synced()
        if self._wanted:
            self._start()


def _sync_and_close(descriptor: int) -> None:
    for finish in (os.fdatasync, os.close):
        with contextlib.suppress(OSError):
            finish(descriptor)


def _ends_with_newline(descriptor: int) -> bool:
    try:
        with Path(f"/proc/self/fd/{descriptor}").open("rb") as file:  # what is open, whatever its name is by now
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    except OSError:
        return True
