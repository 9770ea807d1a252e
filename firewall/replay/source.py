"""Capture files on disk, on standard input, compressed with gzip: opened here, read by ``firewall.net.capture``."""

import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import FileIO
from pathlib import Path

from firewall.errors import CaptureError, MachineError, Place
from firewall.net.capture import read_capture
from firewall.net.capture_record import Capture, CaptureRecord, Cut

STDIN = "-"
_STDIN_DESCRIPTOR = 0
GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW_BITS = 31
_READ_BYTES = 1 << 18

Progress = Callable[[int], None]
"""Told after each read how many bytes of the file (as it is stored) were read by it."""


@contextmanager
def open_capture(path: str, progress: Progress | None = None) -> Iterator[Capture]:
    """Open a capture (``read_capture``); ``-`` is standard input.

    Raises:
        CaptureError: there is no such capture, or it is none.
        MachineError: the machine refuses to read it, at the start or later.
    """
    name = "standard input" if path == STDIN else path
    try:
        file = open_input(path)
    except OSError as error:
        raise _cannot_open(name, error) from None
    with file:
        yield _capture(file, name, progress)


def open_input(path: str) -> FileIO:
    """Open a file, or standard input for ``-``, without a buffer: what a pipe holds is read at once, and kept."""
    return FileIO(_STDIN_DESCRIPTOR if path == STDIN else path, closefd=path != STDIN)


def check_captures(paths: list[str]) -> int:
    """Make sure that every capture can be read before any work begins; return their size in bytes, as stored.

    Standard input and pipes can be read only once: they are not looked at here.

    Raises:
        CaptureError, MachineError: as ``open_capture``.
    """
    total = 0
    for path in paths:
        if path != STDIN and (Path(path).is_file() or not Path(path).exists() or Path(path).is_dir()):
            with open_capture(path):
                total += Path(path).stat().st_size
    return total


def _capture(file: FileIO, name: str, progress: Progress | None) -> Capture:
    source = _Source(file, name, progress)
    try:
        capture = read_capture(source, name)
    except CaptureError as error:
        if not source.compressed_data_damaged:
            raise
        raise CaptureError(
            "the gzip data is damaged or cut before its first packet", place=error.place, next_step="copy it again"
        ) from None
    return replace(capture, frames=_until_cut(capture, source)) if source.is_compressed else capture


def _until_cut(capture: Capture, source: "_Source") -> Iterator[CaptureRecord]:
    """The frames, and a word about compressed data that ended early even where that happened between two frames."""
    number = 0
    for number, frame in enumerate(capture.frames, 1):  # noqa: B007 (said below)
        yield frame
    lost = capture.unreadable
    if source.compressed_data_damaged and not (lost and isinstance(lost[-1], Cut)):
        lost.append(Cut(number + len(lost) + 1, "cut: the gzip data is damaged or ends early"))


class _Source:
    """The bytes of a capture, decompressed where they are gzip's, counted for the progress bar."""

    def __init__(self, file: FileIO, name: str, progress: Progress | None) -> None:
        self._file = file
        self._name = name
        self._progress = progress
        self._is_ending = False
        self._pending = self._stored(_READ_BYTES)
        self._inflate = zlib.decompressobj(_GZIP_WINDOW_BITS) if self._pending[:2] == GZIP_MAGIC else None
        self.is_compressed = self._inflate is not None
        self.compressed_data_damaged = False

    def read(self, size: int, /) -> bytes:
        if self._inflate is not None:
            return self._inflated(size)
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        return self._stored(size)

    def _stored(self, size: int) -> bytes:
        try:
            data = os.read(self._file.fileno(), size)
        except KeyboardInterrupt:
            # Who waits for a pipe (tcpdump -w - | sosgate replay -) wants to see what came, and has stopped its writer.
            if self._is_ending or self._file.seekable():
                raise
            self._is_ending = True
            return self._stored(size)
        except OSError as error:
            raise MachineError("read", self._name, error.strerror or str(error)) from None
        if self._progress is not None:
            self._progress(len(data))
        return data

    def _inflated(self, size: int) -> bytes:
        while self._inflate is not None and not self.compressed_data_damaged:
            if self._inflate.eof:
                # gzip files may be concatenated; anything else behind the end is padding.
                self._pending = self._inflate.unused_data or self._stored(_READ_BYTES)
                if self._pending[:2] != GZIP_MAGIC:
                    return b""
                self._inflate = zlib.decompressobj(_GZIP_WINDOW_BITS)
            self._pending = self._pending or self._stored(_READ_BYTES)
            before = self._inflate.copy()
            try:
                data = self._inflate.decompress(self._pending, size)
            except zlib.error:
                self.compressed_data_damaged = True
                return _before_the_damage(before, self._pending)
            ended = not self._pending and not data
            self._pending = self._inflate.unconsumed_tail
            if data:
                return data
            if ended:
                self.compressed_data_damaged = True
        return b""


def _before_the_damage(inflate: "zlib._Decompress", data: bytes) -> bytes:
    """What comes out of damaged data before the damage: zlib gives nothing of a piece in which it finds any."""
    output = bytearray()
    try:
        for place in range(len(data)):
            output += inflate.decompress(data[place : place + 1])
            if len(output) > _READ_BYTES:
                break
    except zlib.error:
        pass
    return bytes(output)


def _cannot_open(path: str, error: OSError) -> CaptureError | MachineError:
    place = Place(path)
    match error:
        case FileNotFoundError():
            return CaptureError("there is no such file", place=place, next_step="check the path of the capture")
        case IsADirectoryError():
            return CaptureError(
                "this is a directory, not a capture", place=place, next_step="give the capture files in it"
            )
        case PermissionError():
            return CaptureError(
                "permission denied", place=place, next_step="let your user read the file (captures are often root's)"
            )
        case _:
            return MachineError("open", path, error.strerror or str(error))
