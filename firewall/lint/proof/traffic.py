"""All traffic, emergency or not: whole flows in every dialog state, each message a context of the proof.

Lint's main question is about emergency calls only (``context.py``). What is promised in ``must:`` and what changes
between two policies is about every message, so here are those of ordinary calls too, any method in every state of a
dialog, what belongs to nothing, and what is no SIP message.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal as OneOf

from firewall.engine.engine import Engine
from firewall.lint.endpoint import Endpoint, Pair, Side
from firewall.lint.flow import FLOWS, Flow, Writer
from firewall.lint.form import SOS, Form, FormFlow
from firewall.lint.instant import BASE_NS
from firewall.lint.language.settle import Literal
from firewall.lint.oddity import odd_messages, unreadable_messages
from firewall.lint.probe import Probe, decide, sent_of
from firewall.lint.proof.context import Context, contexts, plain_pair, recognising, zone_pairs
from firewall.lint.proof.kinds import methods_told_apart
from firewall.lint.proof.lasting import lasting_forms
from firewall.lint.proof.target import SERVICE_URNS, TargetCarrier, no_emergency
from firewall.lint.script import Dialog, Role, Script, Step
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.expression import Atom, Field, Matches, base_field
from firewall.ruleset.policy import EmergencyPolicy, Policy

State = OneOf["none", "stray", "early", "confirmed", "terminated"]
"""Where in a dialog a message stands; ``stray``: it says it belongs to one, and nobody knows that one."""

Chain = tuple[Context, ...]
"""The messages of one flow in order. Each but the first is met in its state only when those before it passed."""

_WHERE: dict[State, str] = {
    "none": "outside a call",
    "stray": "of a call nobody knows",
    "early": "in an early dialog",
    "confirmed": "in a confirmed dialog",
    "terminated": "in a terminated dialog",
}
_ORDINARY = Form("ordinary", "sip:+16175551212@{host}", "<sip:+16175551212@{host}>")
_TEST = Form("urn:service:test.sos", "urn:service:test.sos", "<urn:service:test.sos>", is_test=True)
_CALLBACK = replace(_ORDINARY, name="callback", headers=(("Priority", "psap-callback"),))
EMERGENCY_CARRIERS = frozenset(
    {"r-uri", "To", "From", "Route", "Contact", "Resource-Priority", "Priority", "Call-Info", "body"}
)
"""Everything that can make a message an emergency."""
_MARKS = (
    (Field("sip.Priority"), r"^(?:emergency|psap-callback)[ \t]*(?:;|$)"),
    (Field("sip.Resource-Priority"), r"(?:^|,)[ \t]*esnet\."),
)
"""Headers that mark a message for anybody as an emergency."""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A form that flows begin with, and what of its text must stay so that the message is what it is."""

    form: Form
    held: frozenset[str] = frozenset()
    language: tuple[Literal, ...] = ()


def plain_ends(policy: Policy) -> Pair:
    """Return the ends that messages have where nothing asks for others: the first of ``from`` and ``to``."""
    pairs = (plain_pair(policy, caller, psap) for caller, psap in zone_pairs(policy))
    found = next((pair for pair in pairs if pair is not None), None)
    return found or Pair(Endpoint("192.0.2.10", SIP_PORT), Endpoint("198.51.100.20", SIP_PORT))


def chains(policy: Policy, conditions: Sequence[Atom], pair: Pair) -> tuple[list[Chain], tuple[str, ...]]:
    """Return every flow as this policy recognises its messages; and why there may be more kinds of them.

    ``conditions`` are the atoms of all rules asked about. Of methods that neither these atoms nor the engine can tell
    apart there is one; the forms that these atoms tell apart in later messages are asked about in all.
    """
    known, kinds = recognising(policy), _kinds(policy.emergency, conditions)
    lasting, untold_forms = lasting_forms(policy.emergency, conditions)
    methods, untold_methods = methods_told_apart(conditions)
    found = [*_emergency_chains(known, kinds[0], pair, lasting), *_ordinary_flows(known, kinds[0], pair)]
    for kind in kinds:
        found += _of_kind(known, kind, methods, pair)
    found += _odd_chains(known, conditions, pair)
    return [chain for chain in found if chain], (*untold_forms, *untold_methods)


def contexts_of_anybody(
    policy: Policy, conditions: Sequence[Atom], pair: Pair
) -> tuple[list[Context], tuple[str, ...]]:
    """Return what either side may send to whomever, what has the fewest messages before it first; and why not all."""
    both = [chains(policy, conditions, ends) for ends in (pair, pair.turned())]
    every = [replace(each, to_anyone=True) for found, _ in both for chain in found for each in chain]
    return sorted(every, key=lambda each: (each.index, each.form is not _ORDINARY)), both[0][1]


def _emergency_chains(policy: Policy, ordinary: _Kind, pair: Pair, lasting: tuple[Form, ...]) -> Iterator[Chain]:
    """Yield the flows of the main proof, all of them, whichever the policy promises."""
    flow: list[Context] = []
    for context in contexts(policy, FLOWS, pair, lasting):
        free = context
        if context.facts.message is not None and context.facts.emergency is None:
            language = (*context.language, *_of_step(context.step, ordinary))
            free = replace(context, is_fixed=False, language=language)
        if flow and (context.index == 0 or context.flow is not flow[-1].flow or context.form is not flow[-1].form):
            yield from _variants(flow)
            flow = []
        flow.append(free)
    yield from _variants(flow)


def _variants(flow: Sequence[Context]) -> Iterator[Chain]:
    """A step may be there several times, once for each thing that makes it an emergency: a chain has one of each."""
    by_index: dict[int, list[Context]] = {}
    for context in flow:
        by_index.setdefault(context.index, []).append(context)
    firsts = [same[0] for same in by_index.values()]
    if firsts:
        yield tuple(firsts)
    for position, same in enumerate(by_index.values()):
        for other in same[1:]:
            yield (*firsts[:position], other)


@lru_cache(maxsize=8)
def _ordinary_flows(policy: Policy, kind: _Kind, pair: Pair) -> tuple[Chain, ...]:
    flows = (flow for flow in FLOWS if flow.form_flow == "voice" and flow.policy_flow != "callback")
    named = (replace(flow, name=f"ordinary {flow.name}", form_flow=None) for flow in flows)
    return tuple(_chain(policy, flow, kind, pair) for flow in named)


def _kinds(definition: EmergencyPolicy, conditions: Sequence[Atom]) -> tuple[_Kind, ...]:
    """Return the forms that any method may have in any state, the ordinary one first."""
    return (
        _Kind(_ORDINARY, language=_no_emergency(definition, conditions)),
        _Kind(SOS, language=(SERVICE_URNS,)),
        _Kind(_TEST, held=frozenset({"r-uri"})),
        _Kind(_CALLBACK, held=frozenset({"Priority"})),
    )


def _of_kind(policy: Policy, kind: _Kind, methods: Sequence[str], pair: Pair) -> Iterator[Chain]:
    for state in _WHERE:
        for method in methods:
            yield from _of_method(policy, kind, state, method, pair)
    for method in methods:
        if method != "ACK":
            yield _stray_response(policy, kind, method, pair)


@lru_cache(maxsize=1024)  # twice what one policy has; an editor asks about it again with each change of a rule
def _of_method(policy: Policy, kind: _Kind, state: State, method: str, pair: Pair) -> tuple[Chain, ...]:
    if method == "CANCEL" and state != "none":
        return ()  # it has no dialog (RFC 3261 §9.1); of an INVITE that rings it is in the flows
    name = f"{kind.form.name} {method} {_WHERE[state]}"
    flows = [Flow(name, "voice", _form_flow(kind), _writer(state, method))]
    if state not in ("none", "stray"):
        flows.append(Flow(f"{name}, from the other side", "voice", _form_flow(kind), _writer(state, method, "psap")))
    return tuple(_chain(policy, flow, kind, pair) for flow in flows)


@lru_cache(maxsize=256)
def _stray_response(policy: Policy, kind: _Kind, method: str, pair: Pair) -> Chain:
    """A response whose request went another way, or did not pass."""

    def write(script: Script, form: Form) -> None:
        dialog = script.dialog("psap", form.request_uri, form.to, form.style)
        request = script.request(dialog, "psap", method, "initial", begins=True, headers=form.headers)
        script.steps.clear()
        script.answer(request, 200, "mid_call", headers=form.headers)

    name = f"{kind.form.name} response to a {method} that nobody knows"
    return _chain(policy, Flow(name, "voice", _form_flow(kind), write), kind, pair)


def _form_flow(kind: _Kind) -> FormFlow | None:
    return "voice" if kind.form is not _ORDINARY else None


def _writer(state: State, method: str, sender: Side = "caller") -> Writer:
    def write(script: Script, form: Form) -> None:
        if state in ("none", "stray"):
            dialog = script.dialog("caller", form.request_uri, form.to, form.style)
            _exchange(script, dialog, method, form, begins=state == "none")
            return
        dialog = _opened(script, form, state)
        _exchange(script, dialog, method, form, begins=False, sender=sender)

    return write


def _opened(script: Script, form: Form, state: State) -> Dialog:
    dialog = script.dialog("caller", form.request_uri, form.to, form.style)
    headers = form.headers
    invite = script.request(dialog, "caller", "INVITE", "initial", begins=True, headers=headers)
    script.answer(invite, 180, "mid_call")
    if state != "early":
        script.answer(invite, 200, "mid_call")
        script.request(dialog, "caller", "ACK", "mid_call", of=invite)
    if state == "terminated":
        bye = script.request(dialog, "caller", "BYE", "mid_call")
        script.answer(bye, 200, "mid_call")
    return dialog


def _exchange(
    script: Script, dialog: Dialog, method: str, form: Form, *, begins: bool, sender: Side = "caller"
) -> None:
    headers = form.headers
    role: Role = "initial" if begins else "mid_call"
    request = script.request(dialog, sender, method, role, begins=begins, headers=headers)
    if method != "ACK":
        script.answer(request, 200, role)


def _odd_chains(policy: Policy, conditions: Sequence[Atom], pair: Pair) -> Iterator[Chain]:
    """Yield what is no SIP message, and where rules ask for it each thing that can be wrong with one."""
    asked = {base_field(atom.operand).name for atom in conditions}
    for code, data in unreadable_messages():
        if code == "not_sip" or "malformed.reason" in asked:
            yield _fixed(policy, "datagram that is no SIP message", "no SIP message", data, pair)
            named = data + SOS.request_uri.encode()
            yield _fixed(policy, "datagram that names an emergency", "no SIP message, an emergency", named, pair)
    for code, data in odd_messages() if "sip.anomaly" in asked else ():
        yield _fixed(policy, f"INVITE with {code}", f"ordinary INVITE with {code}", data, pair)


def _fixed(policy: Policy, label: str, name: str, data: bytes, pair: Pair) -> Chain:
    def write(script: Script, form: Form) -> None:  # noqa: ARG001 - every flow is written from a form
        script.steps.append(Step(0, "caller", label, "initial", data))

    chain = _chain(policy, Flow(name, "voice", None, write), _Kind(_ORDINARY), pair)
    return tuple(replace(context, is_fixed=True) for context in chain)


def _chain(policy: Policy, flow: Flow, kind: _Kind, pair: Pair) -> Chain:
    """Send the flow through an engine that lets everything pass; return what the rules would see of each message."""
    engine = Engine(policy)
    probe = Probe(flow, kind.form, pair, BASE_NS, "proof")
    found = []
    for index, step in enumerate(probe.steps()):
        sent = sent_of(step, probe)
        facts = engine.facts(sent.datagram, sent.at_ns)
        decision = decide(engine, sent)
        mark = facts.emergency
        is_carried = mark is not None and any(phrase.startswith("same call") for phrase in mark.evidence)
        found.append(
            Context(
                flow,
                kind.form,
                index,
                pair,
                step,
                facts,
                decision.decision.reason != "default",
                held=frozenset() if is_carried else kind.held,
                language=() if is_carried or facts.message is None else _of_step(step, kind),
                is_fixed=facts.message is None,
            )
        )
    return tuple(found)


def _of_step(step: Step, kind: _Kind) -> tuple[Literal, ...]:
    """A response has no Request-URI to speak about; whom a REGISTER is for makes no emergency."""
    if kind.form is _ORDINARY and "REGISTER" in step.label:
        return ()
    if step.payload.startswith(b"SIP/2.0"):
        return tuple(each for each in kind.language if not base_field(each.condition.operand).name.startswith("sip.r-"))
    return kind.language


def _no_emergency(definition: EmergencyPolicy, conditions: Sequence[Atom]) -> tuple[Literal, ...]:
    """Return what must not become true of an ordinary message, as far as these atoms could make it so."""
    read = {base_field(atom.operand).name for atom in conditions}
    targets: dict[str, TargetCarrier] = {"sip.r-uri": "r-uri", "sip.to": "To"}
    found = [
        literal
        for field, carrier in targets.items()
        if any(name.lower() == field or name.startswith(f"{field}.") for name in read)
        for literal in no_emergency(carrier, definition)
    ]
    for field, regex in _MARKS:
        if field.name in read or "sip.header" in read:
            found.append(Literal(Matches(field, regex), False))
    return tuple(found)
