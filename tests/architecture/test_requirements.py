"""requirements.lock is what pyproject.toml asks for, exactly pinned."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=!~\[; ]", name, maxsplit=1)[0]).lower()


def test_every_package_that_is_asked_for_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    asked = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    locked = {normal(line) for line in LOCK.splitlines() if line and line[0] not in "# "}
    assert not sorted({normal(name) for name in asked} - locked)


def test_every_locked_package_has_one_version_and_a_hash() -> None:
    entries = re.split(r"\n(?=[a-z])", LOCK.strip())
    assert len(entries) > 20
    for entry in entries[1:]:
        assert re.match(r"[a-z0-9-]+==[\w.]+( ; [^\n]+)? \\\n", entry), entry
        assert "--hash=sha256:" in entry


def test_the_lock_names_no_host() -> None:
    assert "://" not in LOCK
