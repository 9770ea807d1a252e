"""How long lint takes to prove policies of rising size: ``make bench``."""

import sys
import tempfile
import time
from pathlib import Path

from firewall.cli.policy_file import read_policy
from firewall.lint.check import lint_policy
from tests.bench.policies import policy_text

SIZES = (100, 300, 1000, 3000, 10_000)


def main() -> int:
    """Print one line for each size; 1 when a policy is not proved, or takes longer than promised."""
    failed = False
    print("lint: rules, load s, lint s, ms a rule, result")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder) / f"of-{size}.yaml"
            path.write_text(policy_text(size))
            start = time.perf_counter()
            policy = read_policy(str(path))
            loaded = time.perf_counter()
            report = lint_policy(policy)
            done = time.perf_counter()
            total_s = done - start
            print(
                f"{size:6} {loaded - start:7.2f} {done - loaded:7.2f} {1000 * total_s / size:7.3f} {report.result}",
                flush=True,
            )
            failed |= report.result != "proved" or total_s > (1 if size <= 100 else 10)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
