"""The mass-casualty load: many emergency calls at once, through one engine, in simulated time."""

from collections.abc import Iterator
from dataclasses import replace
from heapq import merge

from firewall.lint.emergency import Corpus
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Extent, Finding
from firewall.lint.flow import VOICE
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import Blocked, Probe, Questioner, decide, sent_of
from firewall.lint.script import Step
from firewall.lint.verdict import code_of, finding_of, guilty_rule
from firewall.net.address import address_number, address_text
from firewall.ruleset.policy import Policy, Surge

DEFAULT_SURGE = Surge(calls_per_second=40, per_source=25)
"""For a policy that names no surge: what a county's trunk saw in a storm, not an extreme."""
DURATION_S = 10
MAX_CALLS = 1000
"""Calls of one load: a surge of more than 100 calls per second is cut short before its ten seconds are over."""
_MAX_SOURCES = 8


def check(policy: Policy, questioner: Questioner, asked: Corpus) -> tuple[list[Finding], Extent]:
    """Return a finding for each limit that cuts into the surge, and how much was asked: each load is one probe.

    Only limits remember other calls; a policy without one cannot be hurt by many calls more than by one.
    """
    if not any(rule.limit is not None and not rule.shadow for rule in policy.rules):
        return [], Extent()
    surge = policy.emergency.surge or DEFAULT_SURGE
    blocked: dict[str, tuple[Blocked, str]] = {}
    extent = Extent()
    for load, probes in _loads(surge, asked):
        found, sent = _run(policy, questioner, probes)
        extent += Extent(probes=1, messages=sent, blocked=bool(found))
        for each in found:
            blocked.setdefault(each.decision.decision.rule or "", (each, load))
    findings = []
    for each, load in blocked.values():
        finding = finding_of(policy, code_of(each, guilty_rule(policy, each.decision.decision)), (each,), 1)
        because = (*finding.because[:-1], f"met by {load}")
        findings.append(replace(finding, because=because))
    return findings, extent


def _loads(surge: Surge, asked: Corpus) -> Iterator[tuple[str, list[Probe]]]:
    sources = list(dict.fromkeys((*asked.plain, *(pair for pair in asked.pairs if pair.caller.is_named))))
    for pair in sources[:_MAX_SOURCES]:
        calls = [
            _call(asked, pair, index, surge.per_source)
            for index in range(min(surge.per_source * DURATION_S, MAX_CALLS))
        ]
        yield f"{surge.per_source} calls per second from {pair.caller.ip}, one trunk address", calls
    for pair in asked.plain[:2]:
        calls = [
            _call(asked, _from_another(pair, index), index, surge.calls_per_second)
            for index in range(min(surge.calls_per_second * DURATION_S, MAX_CALLS))
        ]
        yield f"{surge.calls_per_second} calls per second from many addresses", calls


def _call(asked: Corpus, pair: Pair, index: int, per_second: int) -> Probe:
    at_ns = asked.instants[0] + index * SECOND_NS // per_second
    return Probe(VOICE, asked.base[index % len(asked.base)], pair, at_ns, f"surge{index}")


def _from_another(pair: Pair, index: int) -> Pair:
    """The pair with another caller of the same /24 or /120, one in two hundred the same."""
    number = address_number(pair.caller.ip)
    neighbour = (number & ~0xFF) + 1 + (number + index) % 200
    caller = Endpoint(address_text(neighbour), pair.caller.port, pair.caller.interface, pair.caller.zone)
    return Pair(caller, pair.psap)


def _run(policy: Policy, questioner: Questioner, probes: list[Probe]) -> tuple[list[Blocked], int]:
    engine = questioner.engine()
    found: dict[str, Blocked] = {}
    cut: set[str] = set()
    limits = sum(rule.limit is not None and not rule.shadow for rule in policy.rules)
    sent = []
    for _, _, _, step, probe in merge(*(_timed(index, probe) for index, probe in enumerate(probes))):
        if probe.key in cut:
            continue
        each = sent_of(step, probe)
        sent.append(each)
        decision = decide(engine, each)
        fields = decision.decision
        if fields.verdict == "allow":
            continue
        cut.add(probe.key)
        guilty = guilty_rule(policy, fields)
        if guilty is not None and (guilty.limit is not None or fields.reason == "banned"):
            if guilty.name not in found:
                found[guilty.name] = Blocked(probe, step, decision, tuple(sent))
            if len(found) == limits:
                break
    return list(found.values()), len(sent)


def _timed(index: int, probe: Probe) -> Iterator[tuple[int, int, int, Step, Probe]]:
    for number, step in enumerate(probe.steps()):
        yield probe.at_ns + step.at_ms * 1_000_000, index, number, step, probe
