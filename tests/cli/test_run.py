"""``sosgate run`` on the command line: an unusable policy is one sentence before anything is touched."""

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
