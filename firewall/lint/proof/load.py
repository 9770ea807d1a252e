"""Limits against the mass-casualty load, by arithmetic: does a surge of a call ever exceed a limit?

The answer comes from the very token buckets of the engine, filled at the instants at which the surge's messages come.
A surge is steady and lasts a day: a load above the rate uses up any burst in the end, one below it never does.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import merge

from firewall.engine.decide import key_reader
from firewall.engine.engine import Engine
from firewall.engine.limits import Buckets, Key
from firewall.lint.finding import Sent
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import decide
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Limit, Policy, Rule, Surge

DEFAULT_SURGE = Surge(calls_per_second=40, per_source=25)
"""For a policy that names no surge: what a county's trunk saw in a storm, not an extreme."""
SURGE_S = 86_400
_MAX_EVENTS = 300_000
OWN_TO_A_CALL = frozenset({"sip.Call-ID", "sip.from.tag"})
"""Fields that no two calls share: a limit for each of their values counts one call.

Not those that a call's first request has no value of (``sip.to.tag``), or a phone that writes no branch (``sip.Via``).
"""


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A message of a call that a limit counts: when it comes after the first one, and under which key."""

    after_ns: int
    key: Key
    names_caller: bool


@dataclass(frozen=True, slots=True)
class Exceeded:
    """So many calls per second exceed the limit; the one with this number, from 0, is the first that it cuts into.

    ``of_each``: as many messages of each call are counted under one key. ``is_all_shared``: and no message else.
    ``is_keepalive``: no calls, but the keep-alives of so many trunks, which do not come more often in a surge.
    """

    calls_per_second: int
    call: int
    of_each: int
    is_one_source: bool
    is_all_shared: bool
    is_keepalive: bool = False


def exceeded(
    rule: Rule, call: Sequence[Sent], caller_ip: str, policy: Policy, *, is_keepalive: bool = False
) -> Exceeded | None:
    """Return the load of ``emergency.surge`` with which calls like this exceed a rule's limit, None if they never do.

    First what goes between one trunk and the dispatch centres, then all together, as far as their messages share a key:
    one that does not name the caller's side. The other end's address is no such key: one dispatch centre may answer all
    calls, and call all back.
    """
    if rule.limit is None:
        return None
    return _above(rule.limit, _arrivals(rule, rule.limit, call, caller_ip, policy), policy, is_keepalive=is_keepalive)


def may_exceed(limit: Limit, call: Sequence[Sent], caller_ip: str, policy: Policy) -> bool:
    """Tell whether calls like this could exceed a limit if it counted each of their messages."""
    arrivals = [
        _Arrival(each.at_ns - call[0].at_ns, (), _names(limit, each, each.datagram.src_ip == caller_ip))
        for each in call
    ]
    return _above(limit, arrivals, policy) is not None


def names_an_end(limit: Limit, sent: Sent) -> bool:
    """Tell whether a limit counts a message under the address of its sender or of its receiver."""
    return any(_names(limit, sent, is_sender) for is_sender in (True, False))


def _names(limit: Limit, sent: Sent, is_sender: bool) -> bool:
    end, family = "src" if is_sender else "dst", "ipv6" if ":" in sent.datagram.src_ip else "ip"
    return any(field in (f"net.{end}", f"{family}.{end}") for field in limit.per)


def _above(
    limit: Limit, arrivals: Sequence[_Arrival], policy: Policy, *, is_keepalive: bool = False
) -> Exceeded | None:
    surge = policy.emergency.surge or DEFAULT_SURGE
    one, every = surge.per_source, surge.calls_per_second
    if is_keepalive:
        one, every = 1, -(-every // one)
    for calls_per_second, is_one_source in ((one, True), (every, False)):
        counted = tuple((each.after_ns, each.key) for each in arrivals if is_one_source or not each.names_caller)
        most = calls_per_second if is_keepalive else None
        number = _first_above(limit, counted, calls_per_second, most) if counted else None
        if number is not None:
            is_all_shared = not any(each.names_caller for each in arrivals)
            return Exceeded(calls_per_second, number, _fullest(counted), is_one_source, is_all_shared, is_keepalive)
    return None


def _arrivals(rule: Rule, limit: Limit, call: Sequence[Sent], caller_ip: str, policy: Policy) -> list[_Arrival]:
    """Return the messages of one call that a rule's limit counts."""
    engine, read_key = Engine(policy), key_reader(limit.per)
    # A limit counts what gets to it; earlier limits are not exceeded here.
    deciding = [each for each in policy.rules[: policy.rules.index(rule)] if not each.shadow and each.limit is None]
    arrivals = []
    for each in call:
        facts = engine.facts(each.datagram, each.at_ns)
        decide(engine, each)
        if _takes(rule, facts, each.at_ns) and not any(_takes(earlier, facts, each.at_ns) for earlier in deciding):
            names_caller = _names(limit, each, each.datagram.src_ip == caller_ip)
            arrivals.append(_Arrival(each.at_ns - call[0].at_ns, read_key(facts), names_caller))
    return arrivals


def _takes(rule: Rule, facts: Facts, at_ns: int) -> bool:
    return rule.matches(facts) and (rule.schedule is None or rule.schedule.active(at_ns))


def _fullest(arrivals: Sequence[tuple[int, Key]]) -> int:
    return max(sum(key == other for _, other in arrivals) for _, key in arrivals)


@lru_cache(maxsize=256)
def _first_above(
    limit: Limit, arrivals: tuple[tuple[int, Key], ...], calls_per_second: int, most: int | None
) -> int | None:
    """Return the number of the first call of a steady load that the limit cuts into, None where it never does.

    ``most``: there are no more calls than these.
    """
    rate, refill = calls_per_second * _fullest(arrivals), limit.count * SECOND_NS / limit.period_ns
    if most is not None:
        calls = most
    elif not OWN_TO_A_CALL.isdisjoint(limit.per):
        calls = 1
    elif rate > refill:
        # The load is there in full when the first calls have come to their last message; then it uses up the burst.
        seconds = limit.burst / (rate - refill) + arrivals[-1][0] / SECOND_NS + 2
        calls = int(calls_per_second * seconds) + 2
        if calls > SURGE_S * calls_per_second:
            return None
        if calls * len(arrivals) > _MAX_EVENTS:
            return calls
    else:
        # The pattern repeats with every call: what two calls' length does not fill is never filled.
        seconds = 5 + 2 * arrivals[-1][0] // SECOND_NS
        calls = min(calls_per_second * seconds, _MAX_EVENTS // len(arrivals))
    buckets = Buckets(limit)
    coming = merge(*_coming(arrivals, calls, calls_per_second))
    return next((number for at_ns, number, index in coming if buckets.above(arrivals[index][1], at_ns)), None)


def _coming(
    arrivals: Sequence[tuple[int, Key]], calls: int, calls_per_second: int
) -> Iterator[list[tuple[int, int, int]]]:
    for index, (offset_ns, _) in enumerate(arrivals):
        yield [(number * SECOND_NS // calls_per_second + offset_ns, number, index) for number in range(calls)]
