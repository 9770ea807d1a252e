"""The promises of ``must:``, proved over all traffic; or here is the message that breaks one.

All traffic, except for packets with an address of a zone that come by an interface where it does not belong: the
kernel's reverse path filter is there for these (RFC 3704), and nothing could be promised about a host's address.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from firewall.engine.record import SipDecision
from firewall.lint.codes import CODES
from firewall.lint.finding import UNDECIDED, Finding, Sent
from firewall.lint.instant import SECOND_NS
from firewall.lint.probe import witness_of
from firewall.lint.proof.asking import Excluded, Undecided
from firewall.lint.proof.canonical import canonical, canonical_policies
from firewall.lint.proof.encoding import EncodedRule, Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.survey import Case, Survey
from firewall.lint.proof.traffic import chains, plain_ends
from firewall.lint.proof.witness import Staged
from firewall.lint.script import with_article
from firewall.ruleset.network_set import common
from firewall.ruleset.policy import Must, Policy, Rule

MAX_FINDINGS = 5
"""Of so many rules that break one promise a message is shown."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A message that breaks a promise: all that was sent, and the decision on the last of it."""

    label: str
    flow: str
    sent: tuple[Sent, ...]
    decision: SipDecision


@dataclass(frozen=True, slots=True)
class _Encoded:
    """A promise and the literal that a message is one it is about."""

    must: Must
    when: int


def check(policy: Policy) -> list[Finding]:
    """Return a finding for each rule that breaks a promise of ``must:``, and for each that cannot be decided."""
    if not policy.must:
        return []
    conditions = [canonical(must.when, {}) for must in policy.must]
    encoding = Encoding(canonical_policies([policy]), conditions)
    promises = [_Encoded(must, encoding.literal(each)) for must, each in zip(policy.must, conditions, strict=True)]
    return list(_Prover(policy, encoding).findings(promises))


class _Prover:
    def __init__(self, policy: Policy, encoding: Encoding) -> None:
        self._policy = policy
        self._encoded = encoding.policies[0]
        self._formula = encoding.formula
        self._survey = Survey(encoding, [policy])
        self._routed = self._formula.all_of(self._by_its_interface(encoding))
        atoms = [atom for atom, _ in encoding.atoms()]
        every, self._untold = chains(policy, atoms, plain_ends(policy))
        self._groups = list(self._survey.cases(every))

    def _by_its_interface(self, encoding: Encoding) -> Iterator[int]:
        """Yield for each zone that a packet with one of its addresses came by an interface where it belongs."""
        line, zones = encoding.lines["src"], self._policy.zones
        for zone in zones:
            if not zone.networks:
                continue
            own = sorted(zone.networks)
            near = [each for each in zones if not each.networks or common(sorted(each.networks), own)]
            if all(each.interfaces for each in near):
                known = [encoding.interfaces[name] for each in near for name in each.interfaces]
                here = self._formula.any_of(line.within(each.first, each.last) for each in zone.networks)
                yield self._formula.any_of([-here, encoding.interfaces[None], *known])

    def findings(self, promises: Sequence[_Encoded]) -> Iterator[Finding]:
        """Yield what breaks each promise."""
        for promise in promises:
            yield from self._of_promise(promise)

    def _of_promise(self, promise: _Encoded) -> Iterator[Finding]:
        must, found = promise.must, dict[str | None, Broken]()
        undecided = dict.fromkeys(self._untold)
        for group in self._groups:
            for case in group:
                self._break(promise, case, found, undecided)
        for broken in found.values():
            yield self._finding(must, broken)
        if must.verdict == "allow":
            for each in self._encoded.rules:
                if each.rule.ban_ns is not None and not each.rule.shadow and each.rule.name not in found:
                    yield from self._banning(promise, each, undecided)
        if not found and not undecided:
            undecided.update(dict.fromkeys(self._beyond(promise)))
        for reason in undecided:
            yield self._open(must, reason)

    def _break(
        self, promise: _Encoded, case: Case, found: dict[str | None, Broken], undecided: dict[str, None]
    ) -> None:
        """Find every rule that breaks a promise on messages of one kind."""
        goal = [*self._goal(promise, case), *(-self._decides(name) for name in found)]
        while len(found) < MAX_FINDINGS:
            answer = self._survey.find(case, goal, partial(self._judged, promise.must, case))
            if answer is None:
                return
            if isinstance(answer, Undecided):
                undecided.setdefault(f"{case.context.step.label} ({case.context.flow.name}): {answer.reason}")
                return
            name = answer.decision.decision.rule
            found.setdefault(name, answer)
            goal.append(-self._decides(name))

    def _goal(self, promise: _Encoded, case: Case) -> list[int]:
        """Return the literals that a message breaks a promise."""
        passes = self._survey.allows(case.context, 0)
        return [self._routed, promise.when, passes if promise.must.verdict == "drop" else -passes]

    def _beyond(self, promise: _Encoded) -> Iterator[str]:
        """Say so where messages might break a promise that have what only examples were asked about."""
        for group in self._groups:
            fields = self._survey.beyond(group[0].context, self._goal(promise, group[0]))
            if fields is not None:
                yield f"not every message that {fields} is about was tried"
                return

    def _decides(self, name: str | None) -> int:
        if name is None:
            return self._encoded.unmatched
        return next(each.decides for each in self._encoded.rules if each.rule.name == name)

    def _judged(self, must: Must, case: Case, staged: Staged, model: Model) -> Broken | Excluded | None:
        told = self._survey.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        (decision,) = told.decisions
        if _breaks(must, decision):
            return Broken(staged.steps[-1].label, case.context.flow.name, staged.sent, decision)
        exceeding = self._survey.exceeding(staged, self._survey.exceeded(model), is_taken_over=told.is_taken_over)
        for sent, (decision,) in exceeding:
            if _breaks(must, decision):
                return Broken(staged.steps[-1].label, case.context.flow.name, sent, decision)
        return None

    def _banning(self, promise: _Encoded, each: EncodedRule, undecided: dict[str, None]) -> Iterator[Finding]:
        """Find an address that a promise is about and that a rule may ban, by whatever message from it."""
        admitted = self._formula.any_of(self._sources(promise))
        for group in self._groups:
            for case in group:
                goal = [self._routed, admitted, each.decides, each.above]
                answer = self._survey.find(case, goal, partial(self._banned, promise, each.rule, case))
                if isinstance(answer, Undecided):
                    undecided.setdefault(f"{case.context.step.label} ({case.context.flow.name}): {answer.reason}")
                elif answer is not None:
                    told = f'rule "{each.rule.name}" bans an address that it is about'
                    why = "a ban is about the address: all that comes from it is then dropped"
                    yield _broken(promise.must, each.rule, told, answer, why)
                    return

    def _sources(self, promise: _Encoded) -> Iterator[int]:
        """Yield the literals of the stretches of addresses from which a message of the promise may come."""
        line = self._survey.encoding.lines["src"]
        for cut in line.cuts:
            here = line.at(cut)
            if self._formula.is_possible([promise.when, here]):
                yield here

    def _banned(
        self, promise: _Encoded, rule: Rule, case: Case, staged: Staged, model: Model
    ) -> Broken | Excluded | None:
        told = self._survey.decided(case, staged, model)
        if isinstance(told, Excluded):
            return told
        label, flow = staged.steps[-1].label, case.context.flow.name
        triggers: Iterable[tuple[tuple[Sent, ...], list[SipDecision]]] = [(staged.sent, told.decisions)]
        if rule.limit is not None:
            triggers = self._survey.exceeding(staged, [rule.limit], is_taken_over=told.is_taken_over)
        for sent, (decision,) in triggers:
            if decision.decision.rule == rule.name:
                return self._shut_out(promise, sent) or Broken(label, flow, tuple(sent), decision)
        return None

    def _shut_out(self, promise: _Encoded, trigger: Sequence[Sent]) -> Broken | None:
        """Send what the promise is about, from the address that was banned."""
        banned = trigger[-1].datagram.src_ip
        here = self._survey.source(banned)

        def judged(staged: Staged, _: Model) -> Broken | None:
            later = trigger[-1].at_ns + SECOND_NS - staged.sent[0].at_ns
            sent = (*trigger, *(replace(each, at_ns=each.at_ns + later) for each in staged.sent))
            last = self._survey.run(sent, 0)[-1]
            step = staged.steps[-1]
            is_shut = last.decision.reason == "banned"
            return Broken(step.label, staged.probe.flow.name, sent, last) if is_shut else None

        for group in self._groups:
            if group[0].index == 0:
                found = self._survey.find(group[0], [self._routed, promise.when, here], judged)
                if isinstance(found, Broken):
                    return found
        return None

    def _finding(self, must: Must, broken: Broken) -> Finding:
        decision = broken.decision.decision
        guilty = self._policy.rule_named(decision.rule)
        does = {"allow": "lets", "drop": "drops", "reject": "rejects"}[decision.verdict]
        what = f"{with_article(broken.label)} pass" if decision.verdict == "allow" else with_article(broken.label)
        return _broken(must, guilty, f"{_culprit(guilty, decision.reason)} {does} {what} ({broken.flow})", broken)

    def _open(self, must: Must, reason: str) -> Finding:
        message = f'lint cannot tell whether must "{must.name}" holds: {reason}'
        return Finding.about(UNDECIDED, message, must.place)


def _breaks(must: Must, decision: SipDecision) -> bool:
    return (decision.decision.verdict == "allow") == (must.verdict == "drop")


def _culprit(guilty: Rule | None, reason: str) -> str:
    if guilty is not None:
        return f'rule "{guilty.name}"'
    if reason == "default":
        return "no rule matches, and the default"
    return f"no rule matches, and belonging to something allowed (reason {reason})"


def _because(must: Must, guilty: Rule | None) -> Iterator[str]:
    verdict = "every such message passes" if must.verdict == "allow" else "no such message passes"
    yield f"promised: {verdict}: {must.when_text}"
    if guilty is not None:
        yield f'rule "{guilty.name}" (line {guilty.place.line}) matches: {guilty.when_text or "everything"}'
        if guilty.limit is not None and guilty.action != "allow":
            yield f"anyone can send more than {guilty.limit.text}"


def _broken(must: Must, guilty: Rule | None, told: str, broken: Broken, *because: str) -> Finding:
    message = f'must "{must.name}" is broken: {told}'
    name = guilty.name if guilty is not None else None
    witness = witness_of(broken.flow, broken.sent, broken.decision)
    why = (*_because(must, guilty), *because)
    return Finding("SOS114", message, must.place, CODES["SOS114"].mend_of(guilty), name, why, witness)
