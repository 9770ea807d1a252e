"""Decision logs as files (DESIGN section 8): the one that a replay writes, and those that are read again."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO

import msgspec

from firewall.engine.record import Record, decode, encode
from firewall.errors import MachineError, OperatorError, Place
from firewall.replay.source import GZIP_MAGIC, open_input

_CUT = b"compressed data that ends early"
_BUFFER_BYTES = 1 << 20
_PROBE_BYTES = 1 << 18


def log_lines(paths: Iterable[str]) -> Iterator[bytes]:
    """Give the lines of logs, one log after the other: the parts that rotation made, compressed with gzip or not.

    ``-`` is standard input. Compressed data that is damaged or cut ends with a line that is no record.

    Raises:
        OperatorError: a log cannot be read.
    """
    for path in paths:
        try:
            with BufferedReader(open_input(path)) as file:
                yield from _inflated(file) if file.peek(2)[:2] == GZIP_MAGIC else file
        except OSError as error:
            raise OperatorError(
                f"cannot read the decision log {path}: {error.strerror or error}",
                next_step="name the file that --log of run wrote",
            ) from None


def _inflated(file: IO[bytes]) -> Iterator[bytes]:
    try:
        with gzip.open(file) as lines:
            yield from lines
    except (EOFError, zlib.error, gzip.BadGzipFile):
        yield _CUT


def oldest_first(paths: Sequence[str]) -> Sequence[str]:
    """Put the parts of a log in the order of their first records; those that can be read
    only once, as pipes, stay as they are given.

    Raises:
        OperatorError: a log cannot be read.
    """
    is_any_once = not all(Path(path).is_file() for path in paths)
    return paths if len(paths) < 2 or is_any_once else sorted(paths, key=_begins_at)


def _begins_at(path: str) -> str:
    for line in log_lines([path]):
        try:
            at = decode(line).get("timestamp")
        except (msgspec.DecodeError, RecursionError):
            continue
        if isinstance(at, str):
            return at
    return ""


@contextmanager
def open_log(path: str) -> Iterator[Callable[[Record], None]]:
    """Open a log for one replay and give the function that writes a record. An earlier replay's log is overwritten.

    Raises:
        OperatorError: the file is something else, or a daemon's log: evidence that nobody should lose by a slip.
        MachineError: it cannot be written.
    """
    _spare_other_files(path)
    try:
        with Path(path).open("wb", buffering=_BUFFER_BYTES) as file:

            def write(record: Record) -> None:
                file.write(encode(record) + b"\n")

            yield write
    except OSError as error:
        needs = "give --log a file that you may write, on a disk with room"
        raise MachineError("write", path, error.strerror or str(error), needs=needs) from None


def _spare_other_files(path: str) -> None:
    log = Path(path)
    try:
        if not log.is_file():
            return
        with log.open("rb") as file:
            lines = file.read(_PROBE_BYTES).splitlines()
    except OSError:
        return  # opening it for writing will say why
    if len(lines) > 1:
        lines.pop()  # the probe may have cut it
    for line in lines:
        if not _is_replays(line):
            raise OperatorError(
                "replay will not overwrite this file: it is not the log of an earlier replay",
                place=Place(path),
                next_step="give --log a new file",
            )


def _is_replays(line: bytes) -> bool:
    """A replay's decisions name the frame they are about, a daemon's cannot."""
    try:
        record = decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
    is_decision = record.get("event_type") == "sip_decision"
    return "event_type" in record and not (is_decision and record.get("pcap_cnt") is None)
