"""The console script, where another package called ``firewall`` hides ours."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from firewall.cli import command

ENTRY = "from importlib.util import spec_from_file_location as s, module_from_spec as m; "
LOAD = (
    f"spec = s('sosgate_command', {command.__file__!r}); entry = m(spec); spec.loader.exec_module(entry); entry.main()"
)


def run_beside(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the console script's module with ``folder`` first on the path."""
    return subprocess.run(
        [sys.executable, "-P", "-c", ENTRY + LOAD, "--version"],
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def test_a_package_of_firewalld_before_ours_is_named_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "firewall" / "core").mkdir(parents=True)
    (tmp_path / "firewall" / "__init__.py").touch()
    done = run_beside(tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"{tmp_path}/firewall/__init__.py is another package" in done.stderr
    assert "virtual environment" in done.stderr


def test_our_own_package_is_run() -> None:
    done = run_beside(Path(command.__file__).parents[2])
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sosgate ")


def test_the_command_of_a_wheel_is_run(tmp_path: Path) -> None:
    """What pip installs where nobody works on sosgate: this module stands outside of the package there."""
    root = Path(command.__file__).parents[2]
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=root, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    done = subprocess.run(
        [
            sys.executable,
            "-P",
            "-c",
            "from sosgate_command import main; main()",
            "lint",
            str(root / "rules" / "start.yaml"),
        ],
        env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_ctrl_c_while_modules_are_loaded_is_quiet(tmp_path: Path) -> None:
    package = tmp_path / "firewall" / "cli"
    package.mkdir(parents=True)
    for folder in (package.parent, package):
        (folder / "__init__.py").touch()
    (package / "policy_file.py").touch()
    (package / "main.py").write_text("raise KeyboardInterrupt")
    done = run_beside(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
