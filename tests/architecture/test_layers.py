"""The contracts of pyproject.toml, which ``make check`` holds, would notice if they did not hold."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CORE = ("engine", "ruleset", "sip", "net")


def test_a_core_that_asks_for_the_time_and_an_engine_that_reaches_for_the_live_side_are_refused(tmp_path: Path) -> None:
    package = tmp_path / "firewall"
    shutil.copytree(ROOT / "firewall", package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name in CORE:
        (package / name / "clock.py").write_text("import time\n\nNOW = time.time()\n")
    (package / "engine" / "shortcut.py").write_text("from firewall.live import testbed\n\nUP = testbed.up\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    layers, _, clocks = done.stdout.rpartition("told the time")
    assert "firewall.engine.shortcut" in layers
    assert [name for name in CORE if f"firewall.{name}.clock" not in clocks] == []
