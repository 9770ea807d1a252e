"""The question that matters, asked with concrete probes: which emergency calls do these rules block?"""

from collections.abc import Iterator
from dataclasses import dataclass

from firewall.errors import Place
from firewall.lint.codes import CODES
from firewall.lint.endpoint import Pair, pairs, plain_pairs
from firewall.lint.finding import Extent, Finding
from firewall.lint.flow import Flow, selected
from firewall.lint.form import Form, base_forms, forms
from firewall.lint.instant import instants
from firewall.lint.literal import Literals, forms_of, literals
from firewall.lint.probe import Blocked, Probe, Questioner, Shadowed
from firewall.lint.verdict import code_of, finding_of, guilty_rule
from firewall.ruleset.policy import Policy

MAX_PAIRS_FOR_FORMS = 8
MAX_INSTANTS_FOR_FORMS = 6


@dataclass(frozen=True, slots=True)
class Corpus:
    """What probes of a policy are made of."""

    flows: tuple[Flow, ...]
    base: tuple[Form, ...]
    forms: tuple[Form, ...]
    pairs: tuple[Pair, ...]
    plain: tuple[Pair, ...]
    instants: tuple[int, ...]
    instants_considered: int
    literals: Literals


def corpus(policy: Policy) -> Corpus:
    """Return what a policy's probes are made of: the fixed corpus, and what its own conditions name."""
    named = literals(policy)
    every_pair = pairs(policy, named.networks)
    base = base_forms(policy.emergency)
    found, considered = instants(policy)
    every_form = (*forms(policy.emergency), *forms_of(named, base[-1]))
    return Corpus(
        selected(policy.emergency.flows),
        base,
        every_form,
        every_pair,
        plain_pairs(every_pair),
        found,
        considered,
        named,
    )


def probes(asked: Corpus) -> Iterator[Probe]:
    """Yield the probes, the simplest first.

    Plain forms in every flow between every pair; every form in the shortest flow between plain pairs at every
    instant; plain forms in every flow at every instant.
    """
    seen: set[tuple[str, str, Pair, int]] = set()
    for probe in _all_probes(asked):
        form = probe.form.name if probe.flow.form_flow is not None else ""
        key = (probe.flow.name, form, probe.pair, probe.at_ns)
        if key not in seen:
            seen.add(key)
            yield probe


def _all_probes(asked: Corpus) -> Iterator[Probe]:
    now = asked.instants[0]
    for pair in (*asked.plain, *asked.pairs):
        for flow in asked.flows:
            yield from _of_flow(asked, flow, pair, now)
    shortest = {flow.form_flow: flow for flow in reversed(asked.flows) if flow.form_flow is not None}
    for at_ns in asked.instants[:MAX_INSTANTS_FOR_FORMS]:
        for pair in asked.plain[:MAX_PAIRS_FOR_FORMS]:
            for form in asked.forms:
                form_flow = shortest.get(form.flow)
                if form_flow is not None:
                    yield Probe(form_flow, form, pair, at_ns)
    for at_ns in asked.instants[1:]:
        for pair in asked.plain[:MAX_PAIRS_FOR_FORMS]:
            for flow in asked.flows:
                yield from _of_flow(asked, flow, pair, at_ns)


def _of_flow(asked: Corpus, flow: Flow, pair: Pair, at_ns: int) -> Iterator[Probe]:
    if flow.form_flow is None:
        # Nobody keeps a trunk alive from an address that only a rule names.
        if not (flow.policy_flow == "keepalive" and (pair.caller.is_invented or pair.psap.is_invented)):
            yield Probe(flow, asked.base[0], pair, at_ns)
    elif flow.form_flow == "voice":
        for form in asked.base:
            yield Probe(flow, form, pair, at_ns)
    else:
        yield Probe(flow, next(form for form in asked.forms if form.flow == flow.form_flow), pair, at_ns)


def check(policy: Policy, questioner: Questioner, asked: Corpus) -> tuple[list[Finding], Extent]:
    """Run every probe; return one finding for each rule and code, and how much was asked."""
    groups: dict[tuple[str, str | None, str], list[Blocked]] = {}
    shadowed: dict[str, Shadowed] = {}
    count = messages = 0
    seen_forms: set[str] = set()
    for probe in probes(asked):
        count += 1
        seen_forms.add(probe.form.name)
        answer = questioner.ask(probe)
        messages += answer.messages
        for shadow in answer.shadowed:
            shadowed.setdefault(shadow.rule, shadow)
        if answer.blocked is not None:
            decision = answer.blocked.decision.decision
            code = code_of(answer.blocked, guilty_rule(policy, decision))
            groups.setdefault((code, decision.rule, decision.reason), []).append(answer.blocked)
    extent = Extent(
        probes=count,
        messages=messages,
        forms=len(seen_forms),
        flows=len(asked.flows),
        pairs=len(asked.pairs),
        instants=asked.instants_considered,
        blocked=sum(len(group) for (code, _, _), group in groups.items() if CODES[code].severity == "error"),
    )
    findings = [
        finding_of(policy, code, group, count)
        for (code, rule, reason), group in groups.items()
        # Where real calls are blocked, that the test calls are too is no news.
        if code != "SOS110" or not any(c != code and (r, why) == (rule, reason) for c, r, why in groups)
    ]
    return findings + [_shadow_finding(policy, name, each) for name, each in shadowed.items()], extent


def _shadow_finding(policy: Policy, name: str, shadowed: Shadowed) -> Finding:
    rule = next(rule for rule in policy.rules if rule.name == name)
    return Finding(
        "SOS112",
        f'shadow rule "{name}" would {rule.action} the {shadowed.step.label} of an emergency call '
        f"({shadowed.probe.name})",
        rule.place or Place(policy.file),
        CODES["SOS112"].mend,
        name,
        (f"rule matches: {rule.when_text or 'everything'}",),
    )
