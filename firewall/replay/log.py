"""The decision log that a replay writes: the daemon's records, in the daemon's format (DESIGN section 8)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from firewall.engine.record import Record, decode, encode
from firewall.errors import MachineError, OperatorError, Place

_BUFFER_BYTES = 1 << 20
_PROBE_BYTES = 1 << 18


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
