"""``sosgate run`` on the command line: an unusable policy is one sentence before anything is touched."""

import subprocess
import sys
from pathlib import Path

import pytest

from firewall.cli.main import run_command


@pytest.mark.parametrize("content", [b"", b"policy: [", b"\x7fELF\x00\xff", b"policy: p\npolicy: q\n"])
def test_an_unusable_policy_is_one_sentence_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_bytes(content)
    assert run_command(["run", "--policy", str(policy), "--log", str(tmp_path / "log")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(str(policy))
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_the_log_is_not_written_into_the_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: p\nrules: []\ndefault: drop\n")
    (tmp_path / "link").symlink_to(policy)
    assert run_command(["run", "--policy", str(policy), "--log", str(tmp_path / "link")]) == 2
    assert "the log would be written into the policy" in capsys.readouterr().err
    assert policy.read_text() == "policy: p\nrules: []\ndefault: drop\n"


def test_a_log_is_no_stream(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["run", "--policy", "p.yaml", "--log", "-"]) == 2
    assert "the log is written to a file, not to -; name one, or /dev/stdout" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_daemon_starts_without_waiting_for_what_it_does_not_need() -> None:
    """A restart is a gap: pyroute2 alone took more than a quarter of the processor time until the policy is read."""
    asked = "import sys, firewall.cli.run; print({'pyroute2', 'scapy', 'pysat', 'rich', 'pygls'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout == "set()\n"
