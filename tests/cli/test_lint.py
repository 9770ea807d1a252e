import codecs
import errno
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firewall.cli.main import run_command

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "rules" / "demo"
UNUSABLE = sorted((ROOT / "rules" / "bad" / "unusable").glob("*.yaml"))
Capture = pytest.CaptureFixture[str]
CaptureBytes = pytest.CaptureFixture[bytes]


def test_the_demos_broken_policy_ends_with_1_and_names_the_rule(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml")]) == 1
    shown = capsys.readouterr().out
    assert "broken.yaml:31:5: error[SOS101]" in shown
    assert 'rule "toll-fraud" rejects an emergency call' in shown
    assert "- name: toll-fraud\n" in shown


def test_the_mended_policy_ends_with_0(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "mended.yaml")]) == 0
    assert capsys.readouterr().out.startswith("proved: ")


def test_json_is_one_document_for_all_policies(capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "mended.yaml"), str(DEMO / "broken.yaml"), "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["result"] == "refuted"
    assert {Path(finding["file"]).name for finding in document["findings"]} == {"broken.yaml"}


def test_a_witness_is_written_and_its_message_shown(tmp_path: Path, capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml"), "--witness", str(tmp_path / "w")]) == 1
    shown = capsys.readouterr().out
    (capture,) = (tmp_path / "w").iterdir()
    assert str(capture) in shown
    assert "      | INVITE " in shown
    assert run_command(["replay", str(capture), "--policy", str(DEMO / "broken.yaml")]) == 1


@pytest.mark.parametrize("output", ["sarif", "github"])
def test_the_other_formats_name_the_rule_too(output: str, capsys: Capture) -> None:
    assert run_command(["lint", str(DEMO / "broken.yaml"), "--format", output]) == 1
    shown = capsys.readouterr().out
    assert "SOS101" in shown
    assert "toll-fraud" in shown


@pytest.mark.parametrize("path", UNUSABLE, ids=lambda path: path.stem)
def test_an_unusable_policy_is_one_sentence_with_its_place_and_exit_code_2(path: Path, capsys: Capture) -> None:
    assert run_command(["lint", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    first = path.read_bytes().split(b"\n")[0].decode(errors="replace")
    promise = first.removeprefix("# Must say: ") if first.startswith("# Must say: ") else "error: "
    assert err.startswith(f"{path}:{promise}" if promise != "error: " else f"{path}:")
    assert "error: " in err


def test_the_other_policies_are_looked_at_before_it_ends_with_2(capsys: Capture) -> None:
    assert run_command(["lint", str(UNUSABLE[0]), str(DEMO / "broken.yaml"), "--format", "json"]) == 2
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["result"] == "refuted"
    assert {finding["code"] for finding in document["findings"]} == {"SOS001", "SOS101", "SOS208"}
    assert err.startswith(str(UNUSABLE[0]))


def test_a_policy_that_is_not_there_is_unusable(capsys: Capture) -> None:
    assert run_command(["lint", "/nowhere/policy.yaml"]) == 2
    assert capsys.readouterr().err.startswith("/nowhere/policy.yaml: error: cannot read the policy")


def test_a_name_that_is_no_utf8_is_shown_as_the_log_shows_it(tmp_path: Path, capsys: Capture) -> None:
    named, unusable = (os.fsdecode(bytes(tmp_path) + name) for name in (b"/p\xff.yaml", b"/u\xff.yaml"))
    Path(named).write_bytes((DEMO / "broken.yaml").read_bytes())
    Path(unusable).write_text("policy: p\n")
    assert run_command(["lint", named, unusable]) == 2
    out, err = capsys.readouterr()
    assert "/p\\xff.yaml:31:5: error[SOS101]" in out
    assert "- name: toll-fraud\n" in out
    assert "unusable: " in out
    assert "/u\\xff.yaml:1:1: error: " in err
    assert "\udcff" not in out + err


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """The demo's broken policy as a Windows editor saves it."""
    copy = tmp_path / "policy.yaml"
    copy.write_bytes(codecs.BOM_UTF8 + (DEMO / "broken.yaml").read_bytes().replace(b"\n", b"\r\n"))
    return copy


def test_fix_mends_the_file_and_leaves_every_other_byte(broken: Path, capsys: Capture) -> None:
    before = broken.read_bytes()
    assert run_command(["lint", "--fix", str(broken)]) == 0
    out, err = capsys.readouterr()
    assert broken.read_bytes() == before.replace(b"user) < 7", b"user) < 7 and not emergency")
    assert f"fixed: {broken}: SOS101 emergency-call-blocked: Exempt emergency calls" in err
    assert f"not fixed: {broken}:22:10: SOS208" in err
    assert "SOS101" not in out
    assert run_command(["lint", str(broken)]) == 0


def test_diff_prints_a_patch_and_writes_nothing(broken: Path, capsys: Capture) -> None:
    before = broken.read_bytes()
    assert run_command(["lint", "--diff", str(broken)]) == 1
    assert broken.read_bytes() == before
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [f"--- {broken}", f"+++ {broken}"]
    changed = [line for line in lines[2:] if line[:1] in "+-"]
    assert changed == [
        '-    when: sip.Method == "INVITE" and len(sip.r-uri.user) < 7',
        '+    when: sip.Method == "INVITE" and len(sip.r-uri.user) < 7 and not emergency',
    ]


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_patch_that_diff_prints_is_taken_by_patch(tmp_path: Path, capfdbinary: CaptureBytes, line_end: bytes) -> None:
    policy = tmp_path / "policy.yaml"
    before = (DEMO / "broken.yaml").read_bytes().replace(b"\n", line_end)
    policy.write_bytes(before)
    run_command(["lint", "--diff", str(policy)])
    patch = capfdbinary.readouterr().out
    done = subprocess.run(["git", "apply", "--unsafe-paths", "-p0", "-"], input=patch, cwd="/", timeout=20)
    assert done.returncode == 0
    patched = policy.read_bytes()
    policy.write_bytes(before)
    run_command(["lint", "--fix", str(policy)])
    assert policy.read_bytes() == patched


def test_what_cannot_be_mended_is_not_touched(tmp_path: Path, capsys: Capture) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_bytes((ROOT / "rules" / "bad" / "sos107-keepalive-blocked.yaml").read_bytes())
    inode = policy.stat().st_ino
    assert run_command(["lint", "--fix", str(policy)]) == 1
    assert policy.stat().st_ino == inode
    assert "SOS107" in capsys.readouterr().out


def test_fix_on_an_unusable_policy_says_why_and_leaves_it(tmp_path: Path, capsys: Capture) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text("policy: [\n")
    assert run_command(["lint", "--fix", str(policy)]) == 2
    assert policy.read_text() == "policy: [\n"
    assert capsys.readouterr().err.startswith(f"{policy}:")


def test_a_policy_that_cannot_be_written_leaves_the_others_mended_and_told(
    broken: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = broken.with_name("other.yaml")
    other.write_bytes(broken.read_bytes())
    replaced = Path.replace

    def only_the_other(temporary: Path, target: Path) -> Path:
        if target == broken:
            raise OSError(errno.EROFS, "Read-only file system")
        return replaced(temporary, target)

    monkeypatch.setattr(Path, "replace", only_the_other)
    before = broken.read_bytes()
    assert run_command(["lint", "--fix", str(broken), str(other)]) == 2
    out, err = capsys.readouterr()
    assert broken.read_bytes() == before
    assert {each.name for each in broken.parent.iterdir()} == {broken.name, other.name}
    assert f"fixed: {other}: SOS101" in err
    assert f"{broken}: error: cannot write the mended policy: Read-only file system; it is as it was" in err
    assert f"unusable: {broken}: nothing is proved" in out
    assert f"proved: {other}: " in out


def test_diff_beside_another_format_is_refused(capsys: Capture) -> None:
    assert run_command(["lint", "--diff", "--format", "json", str(DEMO / "broken.yaml")]) == 2
    assert "--diff prints a diff and nothing else" in capsys.readouterr().err


@pytest.mark.parametrize(("environment", "coloured"), [({"NO_COLOR": "1"}, False), ({}, True)])
def test_colours_are_for_terminals_that_want_them(environment: dict[str, str], coloured: bool) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "firewall", "lint", str(DEMO / "broken.yaml")],
            env={"PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **environment},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
        )
        os.close(theirs)
        with process:
            shown = b"".join(_until_hung_up(screen))
    assert b"toll-fraud" in shown
    assert (b"\x1b[1;31m" in shown) == coloured


def test_a_policy_that_can_be_read_once_only_is_quoted_too(capsys: pytest.CaptureFixture[str]) -> None:
    reading, writing = os.pipe()
    os.write(writing, (DEMO / "broken.yaml").read_bytes())
    os.close(writing)
    with os.fdopen(reading):
        assert run_command(["lint", f"/dev/fd/{reading}"]) == 1
    assert "^^^" in capsys.readouterr().out


def _until_hung_up(screen: io.FileIO) -> Iterator[bytes]:
    """Yield what a process writes on a terminal; Linux ends it with EIO. Bounded by the test's time limit."""
    while True:
        try:
            part = screen.read(65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return
        if not part:
            return
        yield part


def test_fix_and_diff_together_are_refused(tmp_path: Path) -> None:
    policy = tmp_path / "policy.yaml"
    before = (DEMO / "broken.yaml").read_bytes()
    policy.write_bytes(before)
    assert run_command(["lint", "--fix", "--diff", str(policy)]) == 2
    assert policy.read_bytes() == before


@pytest.mark.parametrize("option", ["--fix", "--diff"])
def test_what_is_no_text_is_not_mended(option: str, tmp_path: Path, capsys: Capture) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(b"policy: \xff\n")
    assert run_command(["lint", option, str(policy)]) == 2
    assert "byte 0xff is no UTF-8" in capsys.readouterr().err
