"""Policies are read from disk with the files they name."""

import os
import stat
from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy, read_timezone, write_policy
from firewall.errors import PolicyError
from firewall.ruleset.policy import StringSet

ROOT = Path(__file__).parents[2]
POLICIES = sorted([ROOT / "rules" / "start.yaml", *(ROOT / "rules" / "examples").glob("*.yaml")])


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.name)
def test_the_policies_that_come_with_sosgate_can_be_used(path: Path) -> None:
    assert read_policy(str(path)).rules


def test_a_list_file_is_found_beside_its_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "a.txt").write_text("one\n")
    policy = tmp_path / "p.yaml"
    policy.write_text("policy: p\nrules: []\ndefault: drop\nsets: {a: {file: lists/a.txt}}\n")
    monkeypatch.chdir("/")
    (found,) = read_policy(str(policy)).sets
    assert isinstance(found, StringSet)
    assert found.values == {"one"}


@pytest.mark.parametrize(
    ("name", "said"),
    [("absent.yaml", "No such file or directory"), (".", "Is a directory"), ("a\0b", "embedded null byte")],
)
def test_a_policy_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read_policy(f"{tmp_path}/{name}")
    assert f"cannot read the policy: {said}" in str(caught.value)


@pytest.mark.parametrize("listed", ["absent.txt", "..", '"a\\0b"'])
def test_a_list_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, listed: str) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_text(f"policy: p\nrules: []\ndefault: drop\nsets: {{a: {{file: {listed}}}}}\n")
    with pytest.raises(PolicyError, match=r"4:1\d: error: cannot read the list file"):
        read_policy(str(policy))


def test_a_pipe_is_read_once_but_is_no_policy_to_be_read_again_and_no_list_file(tmp_path: Path) -> None:
    text = b"policy: p\nrules: []\ndefault: drop\n"
    reading, writing = os.pipe()
    os.write(writing, text)
    os.close(writing)
    assert read_policy(f"/dev/fd/{reading}").name == "p"
    os.close(reading)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(PolicyError, match="cannot read the policy: it is a pipe"):
        read_policy(str(tmp_path / "pipe"), is_lasting=True)
    (tmp_path / "p.yaml").write_bytes(text + b"sets: {a: {file: pipe}}\n")
    with pytest.raises(PolicyError, match='cannot read the list file "pipe": it is a pipe'):
        read_policy(str(tmp_path / "p.yaml"))


def test_a_file_of_any_size_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    with policy.open("wb") as stream:
        stream.truncate(1 << 40)
    with pytest.raises(PolicyError, match="larger than a policy may be, 4 MiB"):
        read_policy(str(policy))


@pytest.mark.parametrize("name", ["Nowhere/City", "", "../../etc/passwd", "/etc/passwd", "a\0b", "America"])
def test_an_unknown_time_zone_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        read_timezone(name)


def test_a_zone_without_changes_is_one_offset() -> None:
    assert read_timezone("Asia/Tokyo").offsets_s == (9 * 3600,)


def test_a_policy_is_written_in_one_step_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    policy, link = tmp_path / "etc" / "p.yaml", tmp_path / "p.yaml"
    policy.write_bytes(b"before")
    policy.chmod(0o640)
    link.symlink_to(policy)
    inode = policy.stat().st_ino
    write_policy(str(link), b"before", b"after")
    assert policy.read_bytes() == b"after"
    assert stat.S_IMODE(policy.stat().st_mode) == 0o640
    assert policy.stat().st_ino != inode
    assert link.is_symlink()
    assert list(policy.parent.iterdir()) == [policy]


def test_a_policy_that_was_changed_meanwhile_is_left_alone(tmp_path: Path) -> None:
    policy = tmp_path / "p.yaml"
    policy.write_bytes(b"before, and more")
    with pytest.raises(PolicyError, match="was changed while lint looked at it; run sosgate lint again"):
        write_policy(str(policy), b"before", b"after")
    assert policy.read_bytes() == b"before, and more"
    assert list(tmp_path.iterdir()) == [policy]


def test_a_folder_that_cannot_be_written_to_is_one_sentence_and_the_policy_stays(tmp_path: Path) -> None:
    policy = tmp_path / "gone" / "p\udcff.yaml"
    with pytest.raises(PolicyError, match=r"p\\xff\.yaml: .*cannot write the mended policy: No such file or directory"):
        write_policy(str(policy), b"before", b"after")
