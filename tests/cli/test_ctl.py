"""``sosgate ctl`` on the command line."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from firewall.cli.main import run_command


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[Path, list[bytes]]]:
    """A socket that answers what a test puts in the list, one client each."""
    path, answers = tmp_path / "control", list[bytes]()
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            assert json.loads(connection.recv(4096)) == {"command": "status"}
            connection.sendall(answers[0])

    thread = threading.Thread(target=serve)
    thread.start()
    yield path, answers
    thread.join(10)
    listening.close()


def test_the_answer_is_printed_as_json(daemon: tuple[Path, list[bytes]], capsys: pytest.CaptureFixture[str]) -> None:
    daemon[1].append(b'{"ok": true, "status": {"policy": {"name": "county \xe2\x98\x8e"}}}\n')
    assert run_command(["ctl", "status", "--control", str(daemon[0])]) == 0
    assert json.loads(capsys.readouterr().out) == {"policy": {"name": "county \u260e"}}


def test_a_refusal_is_exit_1_with_its_reason(
    daemon: tuple[Path, list[bytes]], capsys: pytest.CaptureFixture[str]
) -> None:
    daemon[1].append(b'{"ok": false, "error": "not now"}\n')
    assert run_command(["ctl", "status", "--control", str(daemon[0])]) == 1
    assert capsys.readouterr().err == "error: the daemon refused: not now\n"


@pytest.mark.parametrize("answer", [b"", b"{", b"hello\n", b"[]\n", b"\xff\n"])
def test_what_is_no_sosgate_is_one_sentence(
    daemon: tuple[Path, list[bytes]], capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    daemon[1].append(answer)
    assert run_command(["ctl", "status", "--control", str(daemon[0])]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith("error: cannot reach the daemon on ")
    assert sentence.count("\n") == 1


def test_no_daemon_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["ctl", "calls", "--control", str(tmp_path / "none")]) == 2
    assert "there is no such socket" in capsys.readouterr().err


def test_an_unknown_question_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["ctl", "reboot", "--control", str(tmp_path / "none")]) == 2
    assert "status" in capsys.readouterr().err
