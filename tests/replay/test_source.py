"""Opening captures: gzip, pipes, and one sentence for whatever is no capture."""

import gzip
import io
import os
import sys
import threading
from pathlib import Path

import pytest

from firewall.errors import CaptureError, MachineError
from firewall.net.capture_record import CaptureRecord, Cut, Unreadable
from firewall.replay.source import check_captures, open_capture
from tests.net.packets import ethernet, pcap, read_all, read_to_the_end
from tests.replay.calls import forth, invite

DATA = pcap([ethernet(forth(invite(f"c{number}"))) for number in range(30)])


def read(path: Path | str) -> list[CaptureRecord | Unreadable]:
    with open_capture(str(path)) as capture:
        return read_to_the_end(capture)


def test_a_gzipped_capture_is_the_capture(tmp_path: Path) -> None:
    (tmp_path / "a.pcap.gz").write_bytes(gzip.compress(DATA))
    assert read(tmp_path / "a.pcap.gz") == read_all(DATA)


def test_gzip_members_one_after_the_other_and_padding_are_one_capture(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(DATA[:1000]) + gzip.compress(DATA[1000:]) + bytes(512))
    assert read(tmp_path / "a.gz") == read_all(DATA)


def test_a_gzipped_capture_cut_anywhere_gives_its_beginning_and_reports_the_cut(tmp_path: Path) -> None:
    packed, whole = gzip.compress(DATA), read_all(DATA)
    path = tmp_path / "a.gz"
    for size in range(2, len(packed), 7):
        path.write_bytes(packed[:size])
        try:
            found = read(path)
        except CaptureError:
            continue  # not even the capture's header came
        assert isinstance(found[-1], Cut), f"cut at byte {size}"
        assert found[:-1] == whole[: len(found) - 1]


def test_damaged_gzip_data_is_a_cut(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(DATA, compresslevel=0))
    packed[-5] ^= 0xFF
    (tmp_path / "a.gz").write_bytes(packed)
    found = read(tmp_path / "a.gz")
    assert isinstance(found[-1], Cut)
    assert "gzip" in found[-1].reason


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(DATA)

    monkeypatch.setattr(sys, "stdin", Stdin())
    assert read("-") == read_all(DATA)


def test_a_pipe_is_read_once(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(DATA))
    assert check_captures([str(pipe)]) == 0
    writer.start()
    try:
        assert read(pipe) == read_all(DATA)
    finally:
        writer.join(10)


def test_progress_tells_every_byte_of_the_file_as_it_is_stored(tmp_path: Path) -> None:
    packed = gzip.compress(DATA)
    (tmp_path / "a.gz").write_bytes(packed)
    steps: list[int] = []
    with open_capture(str(tmp_path / "a.gz"), steps.append) as capture:
        assert len(list(capture.frames)) == 30
    assert sum(steps) == len(packed) == check_captures([str(tmp_path / "a.gz")])


def test_what_is_no_capture_is_one_sentence_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text("rules: []\n")
    (tmp_path / "zipped").write_bytes(gzip.compress(b"just text"))
    said = {
        "empty": "the file is empty",
        "text": "the file is a text file",
        "zipped": "the file is a text file",
        "missing": "there is no such file",
        ".": "this is a directory",
    }
    for name, sentence in said.items():
        with pytest.raises(CaptureError) as raised:
            check_captures([str(tmp_path / name)])
        assert str(raised.value).startswith(f"{tmp_path / name}: error: {sentence}"), name
        assert "\n" not in str(raised.value)
        assert raised.value.next_step


def test_a_file_that_the_kernel_will_not_read_is_the_machines_refusal() -> None:
    """/proc/self/mem opens, and its first page cannot be read, whoever asks."""
    with pytest.raises(MachineError, match=r"cannot read /proc/self/mem: Input/output error"):
        check_captures(["/proc/self/mem"])


def test_a_file_that_one_may_not_read_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read anything, so the refusal is played."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    (tmp_path / "a.pcap").write_bytes(DATA)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CaptureError, match="permission denied"), open_capture(str(tmp_path / "a.pcap")):
        pass
