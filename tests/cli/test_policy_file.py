"""Policies are read from disk with the files they name."""

from pathlib import Path

import pytest

from firewall.cli.policy_file import read_policy, read_timezone
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
