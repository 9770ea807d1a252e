"""How long the rules take to be read alone, for block lists of rising length: ``python -m tests.bench.hygiene``."""

import sys
import time

from firewall.lint.hygiene.inspection import check
from tests.lint.hygiene.blocklists import block_lists

SIZES = (100, 300, 1000, 3000, 10_000)


def main() -> int:
    """Print one line for each size; 1 when it takes longer than promised, or a rule is missed."""
    failed = False
    print("hygiene: rules, s, ms a rule, unreachable rules found of those there are")
    for size in SIZES:
        policy, silent = block_lists(size)
        start = time.perf_counter()
        found = {each.rule for each in check(policy) if each.code == "SOS201"}
        took_s = time.perf_counter() - start
        print(f"{size:6} {took_s:7.2f} {1000 * took_s / size:7.3f} {len(found & silent)}/{len(silent)}", flush=True)
        failed |= found != silent or took_s > (0.3 if size <= 100 else 5)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
