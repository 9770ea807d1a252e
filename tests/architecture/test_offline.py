"""The engine and everything under it need no network: their tests pass where there is none."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("net", "sip", "ruleset", "engine")
REACH_OUT = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"


def without_network(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a new network namespace, in which not even the loopback interface is up."""
    return subprocess.run(
        ["unshare", "--net", sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"HYPOTHESIS_PROFILE": "small"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.mark.netns
def test_the_namespace_of_these_tests_reaches_nothing() -> None:
    assert "Network is unreachable" in without_network("-c", REACH_OUT).stderr


@pytest.mark.netns
@pytest.mark.timeout(300)
def test_the_pure_core_passes_its_tests_without_a_network() -> None:
    folders = [f"tests/{package}" for package in PURE]
    # Not twice what asks tshark: it is the oracle there, and what it costs would be most of the time.
    selection = ["-m", "not netns", "-k", "not wireshark and not tshark", "--numprocesses", "2"]
    done = without_network("-m", "pytest", *folders, "-q", "-p", "no:cacheprovider", *selection)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
    assert " passed" in done.stdout
