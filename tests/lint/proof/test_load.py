"""The arithmetic of limits against a brute simulation of the engine's own buckets."""

from random import Random

import pytest

from firewall.engine.limits import Buckets
from firewall.lint.finding import Sent
from firewall.lint.flow import FLOWS, VOICE, Flow
from firewall.lint.form import SOS
from firewall.lint.instant import BASE_NS, SECOND_NS
from firewall.lint.probe import Probe
from firewall.lint.proof.load import exceeded
from firewall.lint.proof.prove import calling_pairs
from firewall.ruleset.policy import Policy
from tests.lint.policies import policy, rule

CALLER = "192.0.2.10"


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
    load = exceeded(tested.rules[0], call(tested), CALLER, tested)
    first = simulated(tested, surge.per_source, 1200)
    assert (load.call if load is not None else None) == first, seed


def test_a_key_without_the_source_is_shared_by_all_sources() -> None:
    tested = limited("30/1s", 30, "net.dst")
    load = exceeded(tested.rules[0], call(tested), CALLER, tested)
    assert load is not None
    assert (load.calls_per_second, load.is_one_source) == (40, False)


def test_one_dispatch_centre_may_answer_all_calls_and_calls_no_source_oftener_than_it_called() -> None:
    """25 calls a second are from one source, 40 are answered from one address, and hung up there."""
    for per, when, is_above in (
        ("net.src", 'zone.src == "psap" and sip.Method == "BYE"', True),
        ("net.src", 'zone.src == "carrier" and sip.Method == "ACK"', False),
        ("net.dst", 'zone.src == "psap" and sip.Method == "BYE"', False),
        ("net.dst", 'zone.src == "carrier" and sip.Method == "ACK"', True),
    ):
        tested = policy(
            rule(f"'{when}'", more=f"limit: {{rate: 35/1s, per: {per}, burst: 35}}"), after="", default="allow"
        )
        hung_up = next(flow for flow in FLOWS if flow.name == "voice call with early media, UPDATE and hold")
        assert (exceeded(tested.rules[0], flow_call(tested, hung_up), CALLER, tested) is not None) is is_above, (
            per,
            when,
        )


def test_one_dispatch_centre_may_call_all_back_and_no_trunk_is_called_oftener_than_it_calls() -> None:
    callback = next(flow for flow in FLOWS if flow.name == "callback marked psap-callback")
    for when, is_above in (
        ('zone.src == "psap" and sip.Method == "INVITE"', True),
        ('zone.src == "carrier" and sip.Status-Code == 180', False),
    ):
        tested = policy(rule(f"'{when}'", more="limit: {rate: 35/1s, per: net.src, burst: 35}"))
        load = exceeded(tested.rules[0], flow_call(tested, callback), CALLER, tested)
        assert (load is not None) is is_above, when


@pytest.mark.parametrize(
    ("per", "is_above"), [("ip.src", False), ("ipv6.src", True), ('["ip.src", "ipv6.src"]', False)]
)
def test_a_key_of_the_other_address_family_is_shared_by_all_sources(per: str, is_above: bool) -> None:
    tested = limited("30/1s", 30, per)
    assert (exceeded(tested.rules[0], call(tested), CALLER, tested) is not None) is is_above


def test_a_key_that_no_two_calls_share_counts_one_call() -> None:
    tested = limited("1/1h", 1, "sip.Call-ID")
    assert exceeded(tested.rules[0], call(tested), CALLER, tested) is None


@pytest.mark.parametrize("per", ["sip.to.tag", "sip.Via.sent-by.address", "sip.Via"])
def test_a_key_that_calls_may_share_counts_them_together(per: str) -> None:
    tested = limited("5/1s", 5, per)
    assert exceeded(tested.rules[0], call(tested), CALLER, tested) is not None


def test_a_counter_of_millions_is_reached_by_arithmetic() -> None:
    tested = limited("1000000/8760h", 1_000_000, "[]")
    load = exceeded(tested.rules[0], call(tested), CALLER, tested)
    assert load is not None
    assert load.call > 900_000


def test_a_counter_beyond_a_days_surge_is_not() -> None:
    tested = limited("40000000/8760h", 40_000_000, "[]")
    assert exceeded(tested.rules[0], call(tested), CALLER, tested) is None


def flow_call(tested: Policy, flow: Flow) -> tuple[Sent, ...]:
    return Probe(flow, SOS, calling_pairs(tested)[0], BASE_NS).sent()


def test_a_load_of_long_calls_is_there_in_full_only_when_the_first_have_lasted_so_long() -> None:
    """Nine messages of such a call come from the carrier, most of them four seconds after its INVITE."""
    tested = policy(rule('zone.src == "carrier"', more="limit: {rate: 150/1s, per: net.src, burst: 200}"))
    assert exceeded(tested.rules[0], flow_call(tested, FLOWS[1]), CALLER, tested) is not None


def test_what_an_earlier_rule_takes_does_not_fill_a_limit() -> None:
    rest = rule('zone.src == "carrier"', more="limit: {rate: 30/1s, per: net.src, burst: 60}")
    tested = policy(rule('sip.Method != "INVITE"', "allow", "earlier") + rest)
    assert exceeded(tested.rules[1], call(tested), CALLER, tested) is None
    alone = policy(rest)
    assert exceeded(alone.rules[0], call(alone), CALLER, alone) is not None


def test_keep_alives_come_once_in_30_seconds_from_each_trunk_however_many_calls_there_are() -> None:
    keepalive = next(flow for flow in FLOWS if flow.policy_flow == "keepalive")

    def load(limit: str) -> bool:
        tested = policy(rule('sip.Method == "OPTIONS"', more=f"limit: {limit}"))
        return exceeded(tested.rules[0], flow_call(tested, keepalive), CALLER, tested, is_keepalive=True) is not None

    assert not load("{rate: 10/1s, per: net.src, burst: 10}")
    assert load("{rate: 1/31s, per: net.src, burst: 1}")
    assert load("{rate: 1/10s, burst: 1}")
