"""The same traffic and the same policy give the same bytes: no decision hangs on the order of a set."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted(path.parent for path in (ROOT / "pcaps").glob("*/rules.yaml"))
REPLAY_ALL = """
import sys
from firewall.cli.main import run_command
for scenario, log in zip(*[iter(sys.argv[1:])] * 2):
    policy = ["--policy", f"{scenario}/rules.yaml", "--log", log, "--format", "json"]
    assert run_command(["replay", f"{scenario}/capture.pcap", *policy]) in (0, 1)
"""


def replayed(hash_seed: str, folder: Path) -> tuple[str, dict[str, bytes]]:
    """What replay prints of all scenarios, and the log of each."""
    logs = {scenario.name: folder / f"{scenario.name}-{hash_seed}" for scenario in SCENARIOS}
    arguments = [str(each) for scenario in SCENARIOS for each in (scenario, logs[scenario.name])]
    done = subprocess.run(
        [sys.executable, "-c", REPLAY_ALL, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout, {name: log.read_bytes() for name, log in logs.items()}


def test_a_replay_decides_the_same_whatever_the_hash_seed(tmp_path: Path) -> None:
    first, *others = [replayed(seed, tmp_path) for seed in ("0", "1", "4242")]
    assert len(SCENARIOS) >= 6
    assert all(log.count(b'"sip_decision"') > 0 for log in first[1].values())
    assert others == [first, first]
