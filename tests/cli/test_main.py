"""The command line as a whole: its commands, and what an error looks like."""

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from firewall import __version__
from firewall.cli import main as command_line
from firewall.errors import CaptureError, MachineError, Place

ROOT = Path(__file__).parents[2]
COMMANDS = tuple(command_line.COMMANDS)


def sosgate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "-m", "firewall", *arguments])


def run(command: list[str], stdout: int | IO[str] = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    quiet, told = subprocess.DEVNULL, subprocess.PIPE
    return subprocess.run(
        command, cwd=ROOT, stdin=quiet, stdout=stdout, stderr=told, text=True, timeout=30, check=False
    )


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    """Run a command that raises ``error``."""

    def command() -> None:
        raise error

    app = command_line.typer.Typer(pretty_exceptions_enable=False)
    app.command()(command)
    monkeypatch.setattr(command_line, "app", app)
    monkeypatch.delenv("SOSGATE_TRACEBACK", raising=False)
    return command_line.run_command(["--"])


def test_the_version_is_told() -> None:
    done = sosgate("--version")
    assert (done.returncode, done.stdout) == (0, f"sosgate {__version__}\n")


def test_help_names_every_command_and_needs_no_half_second() -> None:
    """Of a processor, whatever else the machine does."""
    sosgate("--help")  # the first run compiles
    before = os.times()
    done = sosgate("--help")
    after = os.times()
    assert done.returncode == 0
    assert all(f" {command} " in done.stdout for command in COMMANDS)
    spent_s = after.children_user - before.children_user + after.children_system - before.children_system
    assert spent_s < 0.5


def test_no_command_shows_the_help() -> None:
    done = sosgate()
    assert done.returncode == 0
    assert "Usage" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_a_help_page(command: str) -> None:
    done = sosgate(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"sosgate {command}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lnit"], "Did you mean 'lint'?"),
        (["run"], "'--policy' / '-p'; see sosgate run --help"),
        (["lint", "p.yaml", "--format"], "'--format' requires an argument; see sosgate lint --help"),
        (["--nonsense"], "--nonsense"),
        (["testbed", "sideways"], "sideways"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_2(arguments: list[str], said: str) -> None:
    done = sosgate(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (CaptureError("is a text file", place=Place("a.pcap")), "a.pcap: error: is a text file\n"),
        (
            MachineError("bind", "0.0.0.0:5060", "Operation not permitted", needs="CAP_NET_ADMIN is needed"),
            "error: cannot bind 0.0.0.0:5060: Operation not permitted; CAP_NET_ADMIN is needed\n",
        ),
        (PermissionError(13, "Permission denied", "/log"), "error: the machine refused /log: Permission denied\n"),
        (MemoryError(), "error: the machine refused: there is no memory left\n"),
        (
            RuntimeError("can't start new thread"),
            "error: the machine refused: no more threads may be started; raise their limit (ulimit -u, TasksMax)\n",
        ),
    ],
)
def test_an_error_is_its_sentence_and_exit_2(
    error: Exception, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, error) == 2
    assert capsys.readouterr().err == sentence


def test_a_bug_of_ours_is_one_sentence_and_exit_70(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, ZeroDivisionError("by\nzero")) == 70
    said = capsys.readouterr().err
    assert said.startswith("error: a bug in sosgate: ZeroDivisionError: by zero; ")
    assert said.count("\n") == 1


def test_the_traceback_of_a_bug_is_shown_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failing(monkeypatch, ZeroDivisionError())
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.setenv("SOSGATE_TRACEBACK", "1")
    assert command_line.run_command(["--"]) == 70
    assert "Traceback" in capsys.readouterr().err


def test_ctrl_c_is_quiet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("command", ["--help", "--version"])
def test_a_reader_that_went_away_is_no_error(command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run([sys.executable, "-m", "firewall", command], writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_under_stdout_is_one_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = run([sys.executable, "-m", "firewall", "--version"], full)
    assert done.returncode == 2
    assert done.stderr == "error: the machine refused: No space left on device\n"


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_descriptor_changes_no_exit_code(closed: int) -> None:
    """As ``sosgate explain … >&-`` in a script of somebody who does not want to read it."""
    other = {1: "stderr", 2: "stdout"}[closed]
    for arguments, code in ((["explain", "SOS101"], 0), (["lint", "no-such.yaml"], 2)):
        done = run(["sh", "-c", f'exec "$@" {closed}>&-', "sh", sys.executable, "-m", "firewall", *arguments])
        assert done.returncode == code
        assert "Traceback" not in getattr(done, other)
