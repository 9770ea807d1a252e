"""Opening captures: gzip, pipes, and one sentence for whatever is no capture."""

import gzip
import os
import threading
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from firewall.errors import CaptureError, MachineError
from firewall.net.capture_record import CaptureRecord, Cut, Unreadable
from firewall.replay.source import check_captures, open_capture
from tests.net.packets import ethernet, pcap, read_all, read_to_the_end
from tests.replay.calls import forth, invite
from tests.replay.standard_input import standard_input

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


def test_standard_input_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(DATA)
    with standard_input(tmp_path / "a.pcap"):
        assert read("-") == read_all(DATA)


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A pipe with a capture in it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = threading.Thread(target=lambda: path.write_bytes(DATA))
    writer.start()
    yield path
    writer.join(10)


def interrupt(monkeypatch: pytest.MonkeyPatch, *reads: int) -> None:
    """Have Ctrl-C pressed in these reads, the first of which is number 1."""
    numbers, plain_read = count(1), os.read

    def interrupted_read(descriptor: int, size: int) -> bytes:
        if next(numbers) in reads:
            raise KeyboardInterrupt
        return plain_read(descriptor, min(size, len(DATA) // 4))

    monkeypatch.setattr("firewall.replay.source.os.read", interrupted_read)


def test_a_pipe_is_read_once(pipe: Path) -> None:
    assert check_captures([str(pipe)]) == 0
    assert read(pipe) == read_all(DATA)


@pytest.mark.parametrize("number", [1, 3, 6])
def test_an_interrupt_while_a_pipe_is_waited_for_lets_it_be_read_to_its_end(
    pipe: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """``tcpdump -w - | sosgate replay -``: Ctrl-C stops the one, and the other tells what it read."""
    interrupt(monkeypatch, number)
    assert read(pipe) == read_all(DATA)


def test_a_second_interrupt_ends_the_reading_of_a_pipe_too(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt(monkeypatch, 2, 3)
    with pytest.raises(KeyboardInterrupt):
        read(pipe)


def test_an_interrupt_ends_the_reading_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.pcap").write_bytes(DATA)
    interrupt(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path / "a.pcap")


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
    monkeypatch.setattr("firewall.replay.source.FileIO", refuse)
    with pytest.raises(CaptureError, match="permission denied"), open_capture(str(tmp_path / "a.pcap")):
        pass
