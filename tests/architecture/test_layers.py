"""The contracts of pyproject.toml hold, and they would notice if they did not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "firewall", tmp_path / "firewall", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_import_goes_from_left_to_right(copy: Path) -> None:
    done = lint_imports(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", ["engine", "ruleset", "sip", "net"])
def test_a_core_that_asks_for_the_time_is_refused(copy: Path, package: str) -> None:
    (copy / "firewall" / package / "clock.py").write_text("import time\n\nNOW = time.time()\n")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "told the time" in done.stdout
    assert f"firewall.{package}.clock" in done.stdout


def test_an_engine_that_reaches_for_the_live_side_is_refused(copy: Path) -> None:
    (copy / "firewall" / "engine" / "shortcut.py").write_text("from firewall.live import testbed\n\nUP = testbed.up\n")
    done = lint_imports(copy)
    assert done.returncode == 1
    assert "firewall.engine.shortcut" in done.stdout
