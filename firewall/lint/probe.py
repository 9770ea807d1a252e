"""One question to the engine: do these messages, between these ends, at this instant, pass?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from firewall.engine.engine import Engine
from firewall.engine.events import DatagramReceived, DeadlineReached, Event, PolicyReplaced
from firewall.engine.outputs import WriteDecision
from firewall.engine.record import SipDecision
from firewall.lint.endpoint import Pair
from firewall.lint.finding import Sent, Witness
from firewall.lint.flow import Flow
from firewall.lint.form import Form
from firewall.lint.script import Step
from firewall.net.datagram import Datagram
from firewall.ruleset.policy import ExceptionPolicies, Guard, Policy

MILLISECOND_NS = 1_000_000


@lru_cache(maxsize=8192)  # all forms in all flows, so that the next question finds them
def _steps(flow: Flow, pair: Pair, form: Form, key: str) -> tuple[Step, ...]:
    return flow.steps(pair, form, key)


@dataclass(frozen=True, slots=True)
class Probe:
    """A flow of a form between a pair at an instant. ``key`` makes its Call-IDs its own."""

    flow: Flow
    form: Form
    pair: Pair
    at_ns: int
    key: str = "probe"

    @property
    def name(self) -> str:
        """The probe in a few words."""
        return self.flow.name if self.flow.form_flow is None else f"{self.flow.name}: {self.form.name}"

    def steps(self) -> tuple[Step, ...]:
        """Return its messages."""
        return _steps(self.flow, self.pair, self.form, self.key)

    def sent(self) -> tuple[Sent, ...]:
        """Return its messages as the datagrams the firewall receives."""
        return tuple(sent_of(step, self) for step in self.steps())


@dataclass(frozen=True, slots=True)
class Blocked:
    """The first message of a probe that did not pass, and the decision on it."""

    probe: Probe
    step: Step
    decision: SipDecision
    sent: tuple[Sent, ...]

    def witness(self) -> Witness:
        """Return what there is to show of it."""
        return witness_of(self.probe.name, self.sent, self.decision)


class Questioner:
    """Puts probes to engines that follow one policy, with the guard off: it is a net, not an excuse."""

    def __init__(self, policy: Policy, *, strict: bool = True) -> None:
        """Let a defect of ours raise; without ``strict`` the exception policy decides, as it would in the daemon."""
        self._strict = strict
        self.policy = replace(policy, emergency=replace(policy.emergency, guard="off"))

    def ask(self, probe: Probe, *first: Event) -> Blocked | None:
        """Return the first message of a probe that a fresh engine does not let pass; ``first`` happens before."""
        engine = self.engine()
        for event in first:
            engine.handle(event, probe.at_ns)
        sent: list[Sent] = []
        for step in probe.steps():
            each = sent_of(step, probe)
            sent.append(each)
            decision = decide(engine, each)
            if decision.decision.verdict != "allow":
                return Blocked(probe, step, decision, tuple(sent))
        return None

    def engine(self, guard: Guard = "off") -> Engine:
        """Return an engine that has seen nothing yet."""
        policy = self.policy
        if guard != "off":
            policy = replace(policy, emergency=replace(policy.emergency, guard=guard))
        return Engine(policy, strict=self._strict)

    def taken_over(self, sent: Iterable[Sent], at_ns: int) -> Engine:
        """Return an engine that got its policy at an instant, when these messages had passed."""
        engine = Engine(opened(self.policy))
        for each in sent:
            decide(engine, each)
        engine.handle(PolicyReplaced(self.policy), at_ns)
        return engine

    def confirms(self, witness: Witness) -> bool:
        """Run a witness's datagrams once more: only what is blocked again, for the same reason, is shown."""
        engine = self.engine()
        decision = None
        for each in witness.sent:
            decision = decide(engine, each)
        return decision is not None and (
            decision.decision.verdict,
            decision.decision.rule,
            decision.decision.reason,
        ) == (witness.verdict, witness.rule, witness.reason)


def opened(policy: Policy) -> Policy:
    """Return the policy without its rules: everything passes."""
    return replace(policy, rules=(), default="allow", exceptions=ExceptionPolicies())


def replays_without_interfaces(policy: Policy, witness: Witness) -> bool:
    """Tell whether a witness is blocked too where, as in a capture, nobody knows the interfaces."""
    sent = tuple(replace(each, datagram=msgspec.structs.replace(each.datagram, in_iface=None)) for each in witness.sent)
    return Questioner(policy).confirms(replace(witness, sent=sent))


def witness_of(name: str, sent: tuple[Sent, ...], decided: SipDecision) -> Witness:
    """Return what there is to show of a call, by what was decided on its last message."""
    fields = decided.decision
    return Witness(name, sent, fields.verdict, fields.reason, fields.rule, decided.emergency)


def sent_of(step: Step, probe: Probe) -> Sent:
    """Return a step as the datagram the firewall receives."""
    source, destination = probe.pair.ends(step.sender)
    datagram = Datagram(
        source.ip, source.port, destination.ip, destination.port, step.payload, in_iface=source.interface
    )
    return Sent(probe.at_ns + step.at_ms * MILLISECOND_NS, datagram, step.label)


def decide(engine: Engine, sent: Sent) -> SipDecision:
    """Give one datagram to the engine, its deadlines before, and return the decision on it."""
    meet_deadlines(engine, sent.at_ns)
    outputs = engine.handle(DatagramReceived(sent.datagram), sent.at_ns)
    return next(output.record for output in outputs if isinstance(output, WriteDecision))


def meet_deadlines(engine: Engine, now_ns: int) -> None:
    """Tell an engine of each of its deadlines up to an instant."""
    deadline_ns = engine.next_deadline()
    while deadline_ns is not None and deadline_ns <= now_ns:
        engine.handle(DeadlineReached(), deadline_ns)
        deadline_ns = engine.next_deadline()
