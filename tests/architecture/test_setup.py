"""Set-up on a bare machine: what root gets done, what anyone else is told; the package manager is a script."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = {
    "nft": "nftables",
    "ip": "iproute2",
    "sipp": "sip-tester",
    "tshark": "tshark",
    "sharkd": "wireshark-common",
    "tcpdump": "tcpdump",
    "baresip": "baresip-core",
    "linphonec": "linphone-cli",
}


class Machine:
    """A machine on which only the named programs are found."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.apt_log = folder / "apt"
        for program in ("bash", "env", "mkdir", "tail", "cat"):
            (self.bin / program).symlink_to(shutil.which(program) or "/bin/false")
        shutil.copytree(ROOT / ".ci", folder / ".ci")
        self.folder = folder

    def has(self, program: str, script: str) -> None:
        path = self.bin / program
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.folder / ".ci" / script],
            cwd=self.folder,
            env={"PATH": str(self.bin)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    built = Machine(tmp_path)
    built.has("apt-get", f'echo "$DEBIAN_FRONTEND $*" >> {built.apt_log}; [ ! -e {tmp_path}/broken ]')
    return built


def test_an_ordinary_user_is_told_the_one_line_to_run(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("ip", "")
    done = machine.run("system-packages")
    assert done.returncode == 2
    assert done.stderr == (
        "error: system packages are missing; "
        "run: sudo apt-get install -y nftables sip-tester tshark wireshark-common tcpdump baresip-core linphone-cli\n"
    )
    assert not machine.apt_log.exists()


def test_root_gets_the_missing_packages_without_a_question(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("nft", "")
    done = machine.run("system-packages")
    assert done.returncode == 0, done.stderr
    update, install = machine.apt_log.read_text().splitlines()
    assert update == "noninteractive update"
    packages = "iproute2 sip-tester tshark wireshark-common tcpdump baresip-core linphone-cli"
    assert install == f"noninteractive install -y --no-install-recommends {packages}"


def test_nothing_is_asked_of_a_machine_that_has_everything(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    for tool in TOOLS:
        machine.has(tool, "")
    done = machine.run("system-packages")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_package_manager_that_fails_is_an_error_with_its_log(machine: Machine) -> None:
    machine.has("id", "echo 0")
    (machine.folder / "broken").touch()
    done = machine.run("system-packages")
    assert done.returncode == 2
    assert "apt-get could not install" in done.stderr


def test_a_python_that_is_too_old_is_not_taken(machine: Machine) -> None:
    machine.has("id", "echo 0")
    machine.has("python3", "exit 1")
    done = machine.run("find-python")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no Python 3.11 or newer found")


def test_a_python_without_venv_is_named_with_its_package(machine: Machine) -> None:
    machine.has("id", "echo 1000")
    machine.has("python3", 'case "$2" in *ensurepip*) exit 1;; *print*) echo python3.12-venv;; esac')
    done = machine.run("find-python")
    assert done.returncode == 2
    assert done.stderr == (
        "error: python3 cannot make a virtual environment; run: sudo apt-get install -y python3.12-venv\n"
    )


def test_every_make_target_is_explained() -> None:
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        ["make", "help"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=20, check=True
    )
    explained = {line.split()[1] for line in done.stdout.splitlines()}
    assert {"help", "setup", "demo", "test", "check", "bench", "clean"} <= explained
