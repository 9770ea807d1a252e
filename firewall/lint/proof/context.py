"""The contexts of a proof: each message of each emergency flow, as the engine meets it when all before it passed.

A context fixes what belongs to the step of a call (method, direction, dialog state, why it is an emergency) and
leaves free what its sender may write: addresses, ports, transport, headers, URIs, sizes, the time of day.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

from firewall.engine.caller import LONGEST_IDENTITY
from firewall.engine.engine import Engine
from firewall.errors import Place
from firewall.lint.endpoint import Endpoint, Pair, interfaces_of
from firewall.lint.flow import Flow
from firewall.lint.form import Form, base_forms, forms
from firewall.lint.instant import BASE_NS
from firewall.lint.language.settle import Literal
from firewall.lint.probe import Probe, decide, sent_of
from firewall.lint.proof.target import mark_language, no_emergency, no_target, target_language
from firewall.lint.script import Step
from firewall.net.address import address_text, family
from firewall.net.signalling import SIP_PORT
from firewall.ruleset.expression import Call, Comparison, Field, Matches, Membership, Range
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.policy import EmergencyPolicy, ExceptionPolicies, MediaPolicy, Policy, Zone
from firewall.sip.message import Request
from firewall.sip.name_addr import parse_name_addr

# Which part of the message each kind of evidence stands in; "body" is none that may be changed either.
_CARRIERS = {
    "request_uri": "r-uri",
    "to": "To",
    "route": "Route",
    "resource_priority": "Resource-Priority",
    "priority": "Priority",
    "call_info": "Call-Info",
    "contact": "Contact",
    "body": "body",
}
_ALIKE: dict[str, tuple[int | Range, ...]] = {"100": (100,), "401": (401,), "487": (487,)}
_ALIKE |= dict.fromkeys(("180", "183"), (Range(101, 199),))
_ALIKE |= dict.fromkeys(("200", "202"), (Range(200, 299),))
_ALIKE |= dict.fromkeys(("486", "491", "503"), (Range(300, 699),))
_OTHER_SIDE = {"from": "to", "to": "from"}
CALLER = (
    Literal(Matches(Field("sip.r-uri"), r"^(?:sips?:|tel:\+?[0-9][-.()0-9]+(?:;.*)?$)"), True),
    Literal(Comparison(Call("len", Field("sip.r-uri")), "<", LONGEST_IDENTITY), True),
    Literal(Matches(Field("sip.r-uri.user"), "^anonymous$"), False),
)
"""What makes an unmarked call a callback: it calls what an earlier caller is called in From (RFC 3261, RFC 3966)."""


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """One step of a flow between two zones. ``facts`` are those of its plainest message, ``step`` is that message.

    ``follows``: without a rule it passes, as part of what was allowed before. ``held`` are the carriers of the text
    that must stay, ``language`` is what must stay true of those that may change. ``is_fixed``: nothing in its text is
    its sender's choice (a keep-alive is always written in the same way). ``is_tied``: its addresses are the pair's.
    ``beyond`` are those of the held carriers whose text may be none of the grammar's: what is known of that is not true
    of it. ``to_anyone``: its receiver may be anybody, and its ports any.
    """

    flow: Flow
    form: Form
    index: int
    pair: Pair
    step: Step
    facts: Facts
    follows: bool
    held: frozenset[str] = frozenset()
    language: tuple[Literal, ...] = ()
    is_fixed: bool = False
    is_tied: bool = False
    beyond: frozenset[str] = frozenset()
    to_anyone: bool = False

    @property
    def probe(self) -> Probe:
        """The plainest call of this context."""
        return Probe(self.flow, self.form, self.pair, BASE_NS)


def zone_pairs(policy: Policy) -> list[tuple[Zone | None, Zone | None]]:
    """Return who calls whom: each zone of ``emergency.from`` each other of ``emergency.to``; None is anywhere.

    Calls inside one zone count only where the policy has no others.
    """
    zones = {zone.name: zone for zone in policy.zones}
    callers: list[Zone | None] = [zones[name] for name in policy.emergency.from_zones if name in zones] or [None]
    psaps: list[Zone | None] = [zones[name] for name in policy.emergency.to_zones if name in zones] or [None]
    every = list(product(callers, psaps))
    return [(a, b) for a, b in every if a is None or b is None or a.name != b.name] or every


def plain_pair(
    policy: Policy, caller: Zone | None, psap: Zone | None, families: tuple[int, ...] = (4, 6)
) -> Pair | None:
    """Return two ends of one family in these zones, the first that both have; None where they have none in common."""
    port = SIP_PORT if SIP_PORT in policy.signalling_ports else min(policy.signalling_ports)
    for wanted in families:
        calling, called = _host(caller, wanted, "10"), _host(psap, wanted, "20")
        if calling is not None and called is not None:
            return Pair(
                Endpoint(calling, port, interfaces_of(caller, policy.zones)[0], caller.name if caller else None),
                Endpoint(called, port, interfaces_of(psap, policy.zones)[0], psap.name if psap else None),
            )
    return None


def contexts(
    policy: Policy, flows: tuple[Flow, ...], pair: Pair, lasting: tuple[Form, ...] = ()
) -> tuple[Context, ...]:
    """Return the contexts of these flows between two ends: plain forms in every step, every form in its first.

    Plain are the first number, ``urn:service:sos`` and a test call; ``lasting`` are asked about in every step, too.
    """
    return _contexts(recognising(policy), flows, pair, lasting)


def recognising(policy: Policy) -> Policy:
    """Return who is where and what is an emergency, on which contexts depend: everything passes, media unseen."""
    return Policy(
        name="",
        file="",
        sha256="",
        zones=policy.zones,
        sets=(),
        emergency=replace(policy.emergency, guard="off", surge=None),
        exceptions=ExceptionPolicies(),
        rules=(),
        default="allow",
        default_place=Place(""),
        signalling_ports=policy.signalling_ports,
        media=MediaPolicy(mode="off"),
    )


@lru_cache(maxsize=32)
def _contexts(policy: Policy, flows: tuple[Flow, ...], pair: Pair, lasting: tuple[Form, ...]) -> tuple[Context, ...]:
    definition = policy.emergency
    every = forms(definition)
    base = (*base_forms(definition), *[form for form in every if form.is_test][:1])
    shortest = {flow.form_flow: flow for flow in reversed(flows) if flow.form_flow is not None}
    found: list[Context] = []
    for flow in flows:
        if flow.form_flow is None:
            plain = base[:1]
        elif flow.form_flow == "voice":
            plain = base
        else:
            plain = tuple(form for form in every if form.flow == flow.form_flow)[:1]
        for form in (*plain, *(form for form in lasting if form.flow == flow.form_flow)):
            found += _of_flow(policy, flow, form, pair)
    for form in every:
        flow_of_form = shortest.get(form.flow)
        if flow_of_form is not None:
            found += _of_flow(policy, flow_of_form, form, pair, steps=1)
    return tuple(found)


def _of_flow(policy: Policy, flow: Flow, form: Form, pair: Pair, steps: int | None = None) -> Iterator[Context]:
    engine = Engine(policy)
    probe = Probe(flow, form, pair, BASE_NS)
    for index, step in enumerate(probe.steps()[:steps]):
        sent = sent_of(step, probe)
        facts = engine.facts(sent.datagram, sent.at_ns)
        decision = decide(engine, sent)
        context = Context(flow, form, index, pair, step, facts, decision.decision.reason != "default")
        yield from map(_as_written, _kept(context, policy.emergency))


def _kept(context: Context, definition: EmergencyPolicy) -> Iterator[Context]:
    """Yield the context of a message: what makes it what it is stays, all else is free."""
    mark, step = context.facts.emergency, context.step
    status = _status_language(step.label)
    if step.role == "keepalive":
        yield replace(context, is_fixed=True, language=status)
    elif mark is None:
        yield replace(context, language=(*status, *no_emergency("r-uri", definition), *no_emergency("To", definition)))
    elif context.follows or any(phrase.startswith("same call") for phrase in mark.evidence):
        yield replace(context, language=status)
    else:
        yield _kept_by(context, mark, definition)


def _as_written(context: Context) -> Context:
    """Hold what the caller's side writes as no grammar has it: the theory of texts would change it, or allow none.

    The other side's requests, and the answers to them, have it in the other one of From and To.
    """
    message, beyond = context.facts.message, context.form.odd_carriers
    if not beyond or context.is_fixed or message is None:
        return context
    if isinstance(message, Request) != (context.step.sender == "caller"):
        beyond = frozenset(_OTHER_SIDE[name] for name in beyond if name in _OTHER_SIDE)
    return replace(context, held=context.held | beyond, beyond=beyond)


def _kept_by(context: Context, mark: EmergencyMark, definition: EmergencyPolicy) -> Context:
    """Return the context in which that stays by which the engine knows the emergency first; all else is free."""
    carrier = _CARRIERS.get(mark.evidence[0].partition(" ")[0])
    if carrier is None or (carrier == "r-uri" and mark.emergency_class == "callback"):
        return replace(context, language=CALLER)
    if context.step.role == "mid_call":
        return replace(context, held=frozenset({carrier}))  # the place that the call named
    # A request URI that is an emergency itself has contexts of its own, and another service may be asked for.
    language = no_target("r-uri", definition) if carrier != "r-uri" else ()
    kept = _kept_language(context, carrier, definition) if mark.emergency_class != "test" else None
    if kept is not None:
        return replace(context, language=(kept, *language))
    return replace(context, held=frozenset({carrier}), language=language)


def _kept_language(context: Context, carrier: str, definition: EmergencyPolicy) -> Literal | None:
    """Return what must stay true of the part that makes it an emergency, None where all of that must stay."""
    match carrier:
        case "r-uri":
            return target_language(context.form.request_uri, carrier, definition)
        case "To":
            return target_language(parse_name_addr(context.form.to).uri, carrier, definition)
        case "Route" | "Resource-Priority" | "Priority" | "Call-Info" | "Contact":
            message = context.facts.message
            value = message.header(carrier) if message is not None else None
            return mark_language(carrier, value or "", definition)
        case _:
            return None


def _status_language(label: str) -> tuple[Literal, ...]:
    """Return which other status a response may have and still play the same part in the call (RFC 3261 §21)."""
    status, _, rest = label.partition(" ")
    alike = _ALIKE.get(status, ())
    if status in ("200", "202") and not rest.endswith("(INVITE)"):
        alike = (100, Range(200, 699))  # 100, too, where the answer takes long (RFC 4320 §4.1)
    return (Literal(Membership(Field("sip.Status-Code"), alike), True),) if alike else ()


def _host(zone: Zone | None, wanted: int, documentation: str) -> str | None:
    if zone is None or not zone.networks:
        net = "192.0.2." if documentation == "10" else "198.51.100."
        return net + documentation if wanted == 4 else f"2001:db8:{documentation[0]}::{documentation}"
    for network in zone.networks:
        if family(network.first) == wanted:
            nice = network.first + 10
            return address_text(nice if nice < network.last else network.last)
    return None
