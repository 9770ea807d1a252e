"""The same traffic and the same policy give the same log, byte for byte: no decision hangs on the order of a set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent for path in (ROOT / "pcaps").glob("*/rules.yaml"))


def log_of(scenario: Path, hash_seed: str, log: Path) -> bytes:
    command = ["replay", str(scenario / "capture.pcap"), "--policy", str(scenario / "rules.yaml"), "--log", str(log)]
    done = subprocess.run(
        [sys.executable, "-m", "firewall", *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return log.read_bytes()


def test_there_are_scenarios_to_compare() -> None:
    assert len(SCENARIOS) >= 6


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_a_replay_decides_the_same_whatever_the_hash_seed(scenario: Path, tmp_path: Path) -> None:
    logs = [log_of(scenario, seed, tmp_path / f"{seed}.jsonl") for seed in ("0", "1", "4242")]
    assert logs[0].count(b'"sip_decision"') > 0
    assert logs[0] == logs[1] == logs[2]
