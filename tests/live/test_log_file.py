"""The decision log on disk, also where the disk is full.

RLIMIT_FSIZE plays the full disk: writes are cut short, then fail.
"""

import asyncio
import errno
import os
import resource
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from firewall.errors import MachineError
from firewall.live.log_file import LogFile, Syncer

LINE = b'{"event_type":"stats","timestamp":"2026-03-01T10:15:02.118000+0000"}\n'


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_lines_are_appended_to_what_is_there_and_only_the_group_may_read(tmp_path: Path) -> None:
    path = tmp_path / "log"
    for _ in range(2):
        log = LogFile(path)
        log.write(LINE)
        log.close()
    assert path.read_bytes() == 2 * LINE
    assert stat.S_IMODE(path.stat().st_mode) & 0o137 == 0


def test_wherever_the_disk_becomes_full_whole_lines_come_out_and_the_missing_are_counted(tmp_path: Path) -> None:
    for room in range(3 * len(LINE) + 1):
        path = tmp_path / f"log{room}"
        log = LogFile(path)
        with file_size_limit(room):
            for number in range(3):
                log.write(b"%d" % number + LINE[1:])
            assert (log.error is not None) == (room < 3 * len(LINE))
            assert log.error in (None, "File too large")
        log.write(b"9" + LINE[1:])
        assert log.error is None, room
        lines = path.read_bytes().splitlines(keepends=True)
        assert all(line[1:] == LINE[1:] for line in lines), room
        assert len(lines) + log.take_lost() == 4, room
        assert log.lost_records == 0
        assert lines == sorted(lines), room
        log.close()


def test_lines_written_together_are_counted_one_by_one(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    with file_size_limit(len(LINE) + 5):
        log.write(3 * LINE)
        assert log.lost_records == 1  # one is there, one is half there and will be finished
    log.write(LINE)
    assert (tmp_path / "log").read_bytes() == 3 * LINE
    log.close()


def test_a_line_that_a_killed_run_left_half_written_is_not_joined_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(LINE + b'{"event_ty')
    log = LogFile(path)
    log.write(LINE)
    log.close()
    assert path.read_bytes().splitlines() == [LINE.strip(), b'{"event_ty', LINE.strip()]


def test_after_a_rotation_the_new_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    log.write(LINE)
    path.rename(tmp_path / "log.1")
    log.reopen()
    log.write(2 * LINE)
    log.close()
    assert ((tmp_path / "log.1").read_bytes(), path.read_bytes()) == (LINE, 2 * LINE)


def test_a_log_that_cannot_be_opened_is_one_sentence_and_a_reopen_that_fails_keeps_the_old(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"cannot open the log .*/missing/log: No such file or directory"):
        LogFile(tmp_path / "missing" / "log")
    folder = tmp_path / "folder"
    folder.mkdir()
    log = LogFile(folder / "log")
    (folder / "log").rename(tmp_path / "old")
    folder.rmdir()
    with pytest.raises(MachineError):
        log.reopen()
    log.write(LINE)
    assert (tmp_path / "old").read_bytes() == LINE
    log.close()


@pytest.mark.parametrize(
    ("call", "use"), [("write", lambda log: log.write(LINE)), ("fstat", lambda log: log.write(LINE)),
                      ("open", LogFile.reopen)],
)  # fmt: skip
def test_all_that_waits_for_the_disk_is_under_way_until_it_ends_be_it_in_vain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, use: Callable[[LogFile], None]
) -> None:
    log, seen = LogFile(tmp_path / "log"), list[object]()

    def fail(*_: object) -> None:
        seen.append(log.under_way)
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(f"firewall.live.log_file.os.{call}", fail)
        with pytest.raises(MemoryError):
            use(log)
    assert (None not in seen, log.under_way) == (True, None)
    log.close()


def test_a_device_that_is_always_full_never_raises() -> None:
    log = LogFile(Path("/dev/full"))
    for _ in range(5):
        log.write(LINE)
    assert (log.lost_records, log.error) == (5, "No space left on device")
    log.close()


def test_a_pipe_that_nobody_empties_never_blocks(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = LogFile(pipe)
    for _ in range(3000):
        log.write(LINE)
    assert log.error is not None
    assert log.lost_records > 1000
    log.close()
    os.close(reader)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)


class _SlowDisk(LogFile):
    """A log whose sync waits until it is let go."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.syncs = 0
        self.let_go = threading.Event()
        self.answer: str | None = None

    def sync(self) -> str | None:
        self.syncs += 1
        self.let_go.wait(5)
        return self.answer


@pytest.mark.asyncio
async def test_records_that_come_during_a_sync_share_the_next_one_and_never_wait_for_it(tmp_path: Path) -> None:
    log = _SlowDisk(tmp_path / "log")
    errors: list[str | None] = []
    syncer = Syncer(asyncio.get_running_loop(), log, lambda: errors.append(log.error))
    syncer.request()
    await _until(lambda: log.syncs == 1)
    for _ in range(100):
        syncer.request()
    assert log.syncs == 1
    log.answer = "Input/output error"
    log.let_go.set()
    await _until(lambda: log.syncs == 2 and len(errors) == 2)
    assert errors == ["Input/output error"] * 2
    syncer.close()
    log.close()


def test_a_file_that_was_removed_is_made_anew_and_one_that_cannot_be_counts_as_failing(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    path = folder / "log"
    log = LogFile(path)
    log.write(LINE)
    path.unlink()
    log.write(LINE)
    assert path.read_bytes() == LINE
    path.unlink()
    folder.rmdir()
    log.write(2 * LINE)
    assert log.error == "the file is gone, and cannot be made anew: No such file or directory"
    assert log.take_lost() == 2
    folder.mkdir()
    log.write(LINE)
    assert log.error is None
    assert path.read_bytes() == LINE
    log.close()


def test_a_log_that_is_not_needed_to_start_counts_as_failing_until_it_can_be_opened(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    log = LogFile(path, is_needed=False)
    log.write(2 * LINE)
    assert (log.take_lost(), log.error) == (2, "the file cannot be opened: No such file or directory")
    assert log.sync() is None
    path.parent.mkdir()
    log.write(LINE)
    log.close()
    assert (log.error, path.read_bytes()) == (None, LINE)
    LogFile(tmp_path / "missing" / "log", is_needed=False).close()


def test_a_file_whose_file_system_is_gone_is_opened_anew_and_until_it_can_be_counts_as_failing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after the end of what serves it: NFS (a stale handle), FUSE."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    log = LogFile(folder / "log")
    fstat, stale = os.fstat, (folder / "log").stat().st_ino

    def ask(descriptor: int) -> os.stat_result:
        found = fstat(descriptor)
        if found.st_ino == stale:
            raise OSError(errno.ESTALE, "")
        return found

    monkeypatch.setattr("firewall.live.log_file.os.fstat", ask)
    folder.rename(tmp_path / "gone")
    log.write(2 * LINE)
    assert (log.take_lost(), log.error) == (2, "the file is gone, and cannot be made anew: No such file or directory")
    folder.mkdir()
    log.write(LINE)
    assert (log.lost_records, log.error) == (0, None)
    assert (folder / "log").read_bytes() == LINE
    log.close()


def test_a_file_that_cannot_be_written_is_left_for_another_that_has_taken_its_place(tmp_path: Path) -> None:
    """As when its file system was mounted anew."""
    path = tmp_path / "log"
    log = LogFile(path)
    path.rename(tmp_path / "old")
    with file_size_limit(0):
        log.write(LINE)
        assert log.error == "File too large"
    log.write(LINE)
    assert (log.take_lost(), log.error) == (1, None)
    assert path.read_bytes() == LINE
    log.close()


def test_what_is_half_written_when_somebody_empties_the_full_file_is_lost_and_not_its_new_beginning(
    tmp_path: Path,
) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    with file_size_limit(len(LINE) + 5):
        log.write(2 * LINE)
    os.truncate(path, 0)
    log.write(LINE)
    assert path.read_bytes() == LINE
    assert (log.take_lost(), log.error) == (1, None)
    log.close()


def test_a_record_begins_on_a_line_of_its_own_when_somebody_has_cut_the_file_within_one(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = LogFile(path)
    log.write(3 * LINE)
    os.truncate(path, len(LINE) + 5)
    log.write(LINE)
    os.truncate(path, len(LINE))
    log.write(LINE)
    assert path.read_bytes() == 2 * LINE
    os.truncate(path, len(LINE) + 5)
    log.write(LINE)
    log.write(LINE)
    assert path.read_bytes() == LINE + LINE[:5] + b"\n" + 2 * LINE
    log.close()


def test_a_rotation_is_followed_where_no_more_threads_may_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = tmp_path / "log"
    log = LogFile(path)
    path.rename(tmp_path / "log.1")
    monkeypatch.setattr(threading.Thread, "start", refuse)
    log.reopen()
    log.write(LINE)
    assert path.read_bytes() == LINE
    log.close()


@pytest.mark.parametrize("is_removed", [False, True])
def test_a_slow_disk_holds_up_no_message_when_the_file_is_rotated_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_removed: bool
) -> None:
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    is_synced, let_go = threading.Event(), threading.Event()

    def sync(descriptor: int) -> None:
        assert let_go.wait(5)
        if os.fstat(descriptor).st_ino == inode:
            is_synced.set()

    log = LogFile(path)
    inode = path.stat().st_ino
    monkeypatch.setattr("firewall.live.log_file.os.fdatasync", sync)
    log.write(LINE)
    path.rename(rotated)
    if is_removed:
        rotated.unlink()
        log.write(LINE)
    else:
        log.reopen()
        log.write(LINE)
    assert path.read_bytes() == LINE
    assert not is_synced.is_set()
    let_go.set()
    assert is_synced.wait(5)
    log.close()


def test_a_rotated_file_is_written_on_until_it_is_reopened(tmp_path: Path) -> None:
    path, rotated = tmp_path / "log", tmp_path / "log.1"
    log = LogFile(path)
    path.rename(rotated)
    log.write(LINE)
    assert rotated.read_bytes() == LINE
    log.reopen()
    log.write(LINE)
    assert path.read_bytes() == LINE
    log.close()
