"""The hook that other repositories use: what pre-commit asks of a manifest, and that its command is ours."""

import re
import tomllib
from pathlib import Path

import yaml

from firewall.cli.main import COMMANDS, run_command

ROOT = Path(__file__).parents[2]
(HOOK,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())


def test_the_manifest_has_what_pre_commit_requires() -> None:
    assert {"id", "name", "entry", "language"} <= set(HOOK)
    assert all(isinstance(HOOK[key], str) for key in ("id", "name", "entry", "language", "files", "description"))
    assert HOOK["id"] == "sosgate-lint"
    assert HOOK["language"] == "python"
    assert HOOK["types"] == ["yaml"]


def test_its_command_is_one_of_ours_and_takes_the_files_that_pre_commit_adds() -> None:
    script, command = HOOK["entry"].split()
    assert script in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert command in COMMANDS
    unusable = [str(ROOT / "rules" / "bad" / "unusable" / name) for name in ("empty.yaml", "tab.yaml")]
    assert run_command([command, *unusable]) == 2


def test_it_takes_policies_and_no_other_yaml() -> None:
    takes = re.compile(HOOK["files"]).search
    assert all(map(takes, ("policy.yaml", "etc/policy.yml", "policies/county.yaml", "site/county-policy.yaml")))
    assert not any(map(takes, ("compose.yaml", ".github/workflows/ci.yml", "policy.json", "docs/policy.md")))
