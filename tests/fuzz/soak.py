"""``make soak``: millions of mutated messages through one engine; no exception, and no message slower than 50 ms.

Two processes, each with a seed of its own, share the work. Time is CPU time of the process, so that a busy machine is
not taken for a slow engine. Exit status 1 when a message was slower, or an exception got out.
"""

import argparse
import gc
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, Started
from firewall.engine.outputs import Write
from firewall.engine.record import SipDecision, encode
from firewall.net.datagram import Datagram
from tests.fuzz.mutation import mutations, seeds
from tests.fuzz.targets import SOAK_POLICY
from tests.messages import CARRIER, PSAP

SLOWEST_ALLOWED_S = 0.050
PROCESSES = 2
BEGIN_NS = 1_800_000_000_000_000_000
EVERY_NS = 1_000_000


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process saw."""

    messages: int
    slowest_s: float
    slowest: bytes
    verdicts: Counter[str]
    calls_tracked: int


def soak(messages: int, seed: int) -> Outcome:
    """Put that many mutated messages through one engine; an exception is not caught."""
    engine = Engine(SOAK_POLICY)
    engine.handle(Started(), BEGIN_NS)
    corpus = seeds("message") + seeds("engine")
    gc.freeze()  # as the daemon does: what the tests brought along is not looked at in the middle of a message
    verdicts: Counter[str] = Counter()
    slowest_s, slowest = 0.0, b""
    for number, payload in zip(range(messages), mutations(corpus, seed), strict=False):
        ends = (*CARRIER, *PSAP) if number % 2 else (*PSAP, *CARRIER)
        event = DatagramReceived(Datagram(*ends, payload, in_iface="f0" if number % 2 else "f1"))
        begin = time.process_time()
        outputs = engine.handle(event, BEGIN_NS + number * EVERY_NS)
        lines = [encode(output.record) for output in outputs if isinstance(output, Write)]
        took_s = time.process_time() - begin
        if took_s > slowest_s:
            slowest_s, slowest = took_s, payload
        assert not any(b"\n" in line for line in lines)
        verdicts.update(
            output.record.decision.verdict
            for output in outputs
            if isinstance(output, Write) and isinstance(output.record, SipDecision)
        )
    return Outcome(messages, slowest_s, slowest, verdicts, engine.stats().calls_tracked)


def main() -> int:
    """Run the soak and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    share = arguments.messages // PROCESSES
    with multiprocessing.Pool(PROCESSES) as pool:
        outcomes = pool.starmap(soak, [(share, arguments.seed + number) for number in range(PROCESSES)])
    verdicts = sum((outcome.verdicts for outcome in outcomes), Counter[str]())
    worst = max(outcomes, key=lambda outcome: outcome.slowest_s)
    decided = sum(verdicts.values())
    sys.stdout.write(
        f"{decided} decisions {dict(sorted(verdicts.items()))} on {share * PROCESSES} messages, no exception; "
        f"slowest {worst.slowest_s * 1000:.1f} ms of CPU ({len(worst.slowest)} bytes: "
        f"{worst.slowest[:60]!r}); calls tracked at the end: {[outcome.calls_tracked for outcome in outcomes]}\n"
    )
    return 0 if worst.slowest_s <= SLOWEST_ALLOWED_S and decided == share * PROCESSES else 1


if __name__ == "__main__":
    sys.exit(main())
