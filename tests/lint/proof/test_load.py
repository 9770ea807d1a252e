"""The arithmetic of limits against a brute simulation of the engine's own buckets."""

from random import Random

import pytest

from firewall.engine.limits import Buckets
from firewall.lint.finding import Sent
from firewall.lint.flow import VOICE
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.proof.load import exceeded
from firewall.lint.proof.prove import calling_pairs
from firewall.ruleset.policy import Policy
from tests.lint.policies import policy, rule


def limited(rate: str, burst: int, per: str, surge: tuple[int, int] = (40, 25)) -> Policy:
    more = f"limit: {{rate: {rate}, per: {per}, burst: {burst}}}"
    load = f"surge: {{calls_per_second: {surge[0]}, per_source: {surge[1]}}}"
    emergency = f'emergency: {{numbers: ["911"], from: [carrier], to: [psap], {load}}}\n'
    return policy(rule('sip.Method == "INVITE"', more=more), emergency=emergency)


def call(tested: Policy) -> tuple[Sent, ...]:
    return Probe(VOICE, SOS, calling_pairs(tested)[0], BASE_NS).sent()


def simulated(tested: Policy, calls_per_second: int, seconds: int) -> int | None:
    """One INVITE for each call, straight into a bucket."""
    limit = tested.rules[0].limit
    assert limit is not None
    buckets = Buckets(limit)
    for number in range(calls_per_second * seconds):
        if buckets.above((), number * SECOND_NS // calls_per_second):
            return number
    return None


@pytest.mark.parametrize("seed", range(60))
def test_the_load_exceeds_a_limit_exactly_when_a_long_simulation_does(seed: int) -> None:
    random = Random(seed)
    count, period = random.randint(1, 60), random.choice(("1s", "2s", "10s", "1m"))
    tested = limited(f"{count}/{period}", random.randint(1, 300), "net.src", (40, random.randint(1, 30)))
    surge = tested.emergency.surge
    assert surge is not None
    load = exceeded(tested.rules[0], call(tested), tested)
    first = simulated(tested, surge.per_source, 1200)
    assert (load.call if load is not None else None) == first, seed


def test_a_key_without_the_source_is_shared_by_all_sources() -> None:
    tested = limited("30/1s", 30, "net.dst")
    load = exceeded(tested.rules[0], call(tested), tested)
    assert load is not None
    assert (load.calls_per_second, load.is_one_source) == (40, False)


def test_a_key_that_no_two_calls_share_counts_one_call() -> None:
    tested = limited("1/1h", 1, "sip.Call-ID")
    assert exceeded(tested.rules[0], call(tested), tested) is None


def test_a_counter_of_millions_is_reached_by_arithmetic() -> None:
    tested = limited("1000000/8760h", 1_000_000, "[]")
    load = exceeded(tested.rules[0], call(tested), tested)
    assert load is not None
    assert load.call > 900_000


def test_a_counter_beyond_a_days_surge_is_not() -> None:
    tested = limited("40000000/8760h", 40_000_000, "[]")
    assert exceeded(tested.rules[0], call(tested), tested) is None
