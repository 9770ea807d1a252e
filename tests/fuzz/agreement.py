"""``make soak``: whether prover and engine agree about random policies that no test has asked about."""

import argparse
import sys
from concurrent.futures import ProcessPoolExecutor
from math import ceil

from tests.lint.proof.test_agreement import POLICIES, SEEDS, batch


def main() -> int:
    """Ask, with every processor; 1 where they disagree, or the prover leaves more than two in a thousand open."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=SEEDS)
    arguments = parser.parse_args()
    with ProcessPoolExecutor() as workers:
        batches = list(workers.map(batch, range(arguments.seed, arguments.seed + ceil(arguments.policies / POLICIES))))
    wrong = [each for found in batches for each in found.disagreements]
    proved, refuted, undecided = (
        sum(getattr(found, result) for found in batches) for result in ("proved", "refuted", "undecided")
    )
    sys.stdout.write("".join(f"{each}\n" for each in wrong))
    sys.stdout.write(
        f"{proved} policies proved, {refuted} refuted, {undecided} undecided; {len(wrong)} disagreements\n"
    )
    return 1 if wrong or undecided > (proved + refuted + undecided) // 500 else 0


if __name__ == "__main__":
    sys.exit(main())
