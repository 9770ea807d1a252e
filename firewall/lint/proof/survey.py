"""Questions about all traffic: any source and destination, any interface, under one policy or under two at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from firewall.engine.engine import Engine
from firewall.engine.record import SipDecision
from firewall.lint.endpoint import interfaces_of
from firewall.lint.finding import Sent
from firewall.lint.language.settle import Literal, satisfiable
from firewall.lint.language.value import Said, conflict
from firewall.lint.probe import MILLISECOND_NS, Questioner, decide, opened, sent_of
from firewall.lint.proof.asking import Asker, Excluded, Undecided
from firewall.lint.proof.atom import subject
from firewall.lint.proof.canonical import lemmas, recognises_alike
from firewall.lint.proof.context import Context
from firewall.lint.proof.decision import Outcome, outcome_of, without_rule
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.line import LineName
from firewall.lint.proof.traffic import EMERGENCY_CARRIERS, Chain
from firewall.lint.proof.witness import Staged
from firewall.lint.proof.world import World
from firewall.net.address import address_number
from firewall.net.datagram import Datagram
from firewall.ruleset.expression import Atom, Comparison, Condition, Exists, Field, Not, base_field
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.ruleset.policy import Limit, Policy
from firewall.sip.message import Request

Found = TypeVar("Found")

_ENDS: tuple[LineName, LineName] = ("src", "dst")
MAX_MESSAGES = 3000
"""A limit that takes more messages than these to exceed is not shown by messages."""


@dataclass(frozen=True, slots=True)
class Told:
    """What each policy decided on a message. ``is_taken_over``: its call was set up before the policy was loaded."""

    decisions: list[SipDecision]
    is_taken_over: bool


@dataclass(frozen=True, slots=True)
class Case:
    """A message of a flow, with all of the flow before it."""

    chain: Chain
    index: int

    @property
    def context(self) -> Context:
        """The message itself."""
        return self.chain[self.index]


class Survey(Asker):
    """Asks about one policy or two in one formula; ``originals`` are these policies as the engine runs them."""

    max_tries, max_misses = 300, 8

    def __init__(self, encoding: Encoding, originals: Sequence[Policy]) -> None:
        super().__init__(encoding, encoding.policies[0].policy)
        self.encoded = encoding.policies
        self.questioners = [Questioner(policy) for policy in originals]
        first, last = originals[0], originals[-1]
        self.is_alike = recognises_alike(first, last)
        if self.is_alike:
            self._tie_views()
        for clause in lemmas(encoding.text):
            encoding.formula.add(clause)
        self._beyond = dict(self._take_out_beyond(first))
        self._odd, self._odd_fields = encoding.formula.new(), dict[str, None]()
        self._outcomes: dict[tuple[object, ...], dict[Outcome, int]] = {}
        self._seen: dict[tuple[Context, int], tuple[Facts, bool]] = {}
        self._held_as: dict[Context, Context] = {}

    def cases(self, every: Sequence[Chain]) -> Iterator[list[Case]]:
        """Yield the cases in groups whose messages this formula cannot tell apart; what came before may differ."""
        groups: dict[object, dict[object, Case]] = {}
        for chain in every:
            signatures: tuple[object, ...] = ()
            for index, context in enumerate(chain):
                own = (self.signature(context), *(self._key(context, number) for number in range(len(self.encoded))))
                signatures = (*signatures, own)
                groups.setdefault(own, {}).setdefault(signatures, Case(chain, index))
        for group in groups.values():
            yield list(group.values())

    def assumed(self, context: Context) -> list[int]:
        """Return the literals of all that a context fixes."""
        return [*super().assumed(self._free(context)), *(() if context.is_fixed else (-self._odd,))]

    def _unshown(self, context: Context) -> dict[int, str]:
        """Return those, and what no message of the model has.

        A second From, ``Max-Forwards: 0``, also where a rule names it among other numbers.
        """
        found: dict[int, str] = {}
        if not context.is_fixed:
            found = {literal: base_field(atom.operand).name for atom, literal in self._beyond.items()}
            if self._odd_fields:
                found[self._odd] = ", ".join(self._odd_fields)
        return found | super()._unshown(context)

    def facts(self, context: Context, number: int) -> tuple[Facts, bool]:
        """Return what a policy's rules see of a context's plain message, and whether it follows what was allowed."""
        if self.is_alike:
            return context.facts, context.follows
        key = (context, number)
        seen = self._seen.get(key)
        if seen is None:
            seen = self._seen[key] = _seen_by(self.encoded[number].policy, context)
        return seen

    def outcomes(self, context: Context, number: int) -> dict[Outcome, int]:
        """Return the literal of each outcome that a policy may have for the messages of a context."""
        key = self._key(context, number)
        known = self._outcomes.get(key)
        if known is None:
            is_answered, without_rule = bool(key[1]), str(key[2])
            by_outcome: dict[Outcome, list[int]] = {}
            for each in self.encoded[number].rules:
                if not each.rule.shadow:
                    by_outcome.setdefault(outcome_of(each, is_answered=is_answered), []).append(each.decides)
            by_outcome.setdefault(Outcome(without_rule), []).append(self.encoded[number].unmatched)
            formula = self.encoding.formula
            known = self._outcomes[key] = {each: formula.any_of(by) for each, by in by_outcome.items()}
        return known

    def allows(self, context: Context, number: int) -> int:
        """Return the literal that a policy lets the message of a context pass."""
        return self.outcomes(context, number).get(Outcome("allow"), self.encoding.formula.false)

    def find(
        self, case: Case, goal: Sequence[int], judge: Callable[[Staged, Model], Found | Excluded | None]
    ) -> Found | Undecided | None:
        """Return what ``judge`` makes of a message that meets the goal; None when there is no such message."""
        context = self._free(case.context)
        return self._ask(context, goal, lambda staged, model: judge(self._placed(staged, model), model))

    def decided(self, case: Case, staged: Staged, model: Model) -> Told | Excluded:
        """Send a call through an engine of each policy; what each decided on its last message.

        Where a message before it does not pass as it stands, though one between the same ends could, the call is one
        that was set up before these policies were loaded.
        """
        before = [self._sent_before(staged, number) for number in range(len(self.questioners))]
        blocked = [index for _, index in before if index is not None]
        if blocked:
            excluded = self._excluded(case, staged, min(blocked), model)
            if excluded is not None:
                return excluded
            engines = self._taken_over(staged)
        else:
            engines = [engine for engine, _ in before]
        return Told([decide(engine, staged.sent[-1]) for engine in engines], bool(blocked))

    def _sent_before(self, staged: Staged, number: int) -> tuple[Engine, int | None]:
        """Return an engine that has seen all but the last message, and which of them did not pass first."""
        engine = self.questioners[number].engine()
        for index, each in enumerate(staged.sent[:-1]):
            if decide(engine, each).decision.verdict != "allow":
                return engine, index
        return engine, None

    def _taken_over(self, staged: Staged) -> list[Engine]:
        *before, last = staged.sent
        return [each.taken_over(before, last.at_ns) for each in self.questioners]

    def run(self, sent: Sequence[Sent], number: int) -> list[SipDecision]:
        """Send messages through a fresh engine of a policy; the decision on each."""
        engine = self.questioners[number].engine()
        return [decide(engine, each) for each in sent]

    def exceeded(self, model: Model) -> list[Limit]:
        """Return the limits that a model has exceeded."""
        return [
            each.rule.limit
            for encoded in self.encoded
            for each in encoded.rules
            if each.rule.limit is not None and model.holds(each.above)
        ]

    def exceeding(
        self, staged: Staged, limits: Sequence[Limit], *, is_taken_over: bool = False
    ) -> Iterator[tuple[tuple[Sent, ...], list[SipDecision]]]:
        """Send the last message again and again, until these limits are exceeded and one by one are not any more.

        Yields all that was sent so far, and what each policy decided on the last of it. Nothing where it takes more
        than ``MAX_MESSAGES``.
        """
        if not limits or min(limit.burst for limit in limits) > MAX_MESSAGES:
            return
        engines = (
            self._taken_over(staged)
            if is_taken_over
            else [self._sent_before(staged, number)[0] for number in range(len(self.questioners))]
        )
        sent = list(staged.sent[:-1])
        last = staged.sent[-1]
        for offset_ns in _offsets(limits):
            sent.append(replace(last, at_ns=last.at_ns + offset_ns))
            yield tuple(sent), [decide(engine, sent[-1]) for engine in engines]

    def source(self, ip: str) -> int:
        """Return the literal that a packet comes from this address, or one that no rule tells from it."""
        return self.encoding.lines["src"].at(address_number(ip))

    def _excluded(self, case: Case, staged: Staged, index: int, model: Model) -> Excluded | None:
        """Tell that an earlier message of the call never passes between these ends; None where that is not certain."""
        context = self._free(case.chain[index])
        passes = [self.allows(context, number) for number in range(len(self.encoded))]
        fixed = [*self.assumed(context), *passes]
        if context.step.sender == case.context.step.sender:
            ends = {literal: literal for literal in self._about_ends(model)}
        else:
            ends = self._turned(staged.sent[-1].datagram)
        if self.encoding.formula.is_possible([*fixed, *ends]):
            return None
        needed = self.smaller(fixed, [literal for literal in self.encoding.formula.core() if literal in ends])
        return Excluded(tuple(ends[literal] for literal in needed))

    def smaller(self, fixed: Sequence[int], needed: Sequence[int]) -> list[int]:
        """Return as few literals as cannot hold beside the fixed ones, what is denied left out first."""
        kept = list(needed)
        for literal in sorted(needed):
            rest = [each for each in kept if each != literal]
            if not self.encoding.formula.is_possible([*fixed, *rest]):
                kept = rest
        return kept

    def _about_ends(self, model: Model) -> list[int]:
        """Return what a model has of the ends of the packet, as the rules ask for it."""
        found = [chosen for chosen in self.encoding.interfaces.values() if model.holds(chosen)]
        for atom, literal in self.encoding.atoms():
            if subject(atom) in ("src", "dst", "zone_src", "zone_dst"):
                found.append(literal if model.holds(literal) else -literal)
        return found

    def _turned(self, datagram: Datagram) -> dict[int, int]:
        """Return the ends of a packet as one the other way has them, each with the literal of the packet itself."""
        lines = self.encoding.lines
        turned: dict[int, int] = {}
        ends: tuple[tuple[LineName, LineName, str], ...] = (
            ("src", "dst", datagram.dst_ip),
            ("dst", "src", datagram.src_ip),
        )
        for here, there, ip in ends:
            number = address_number(ip)
            for cut in sorted({*lines[here].cuts} & {*lines[there].cuts} - {0}):
                literal, own = lines[here].at_least(cut), lines[there].at_least(cut)
                turned[literal if number >= cut else -literal] = own if number >= cut else -own
        return turned

    def _free(self, context: Context) -> Context:
        """Return the context with what must stay so that it is this one, whatever the rules ask of its text.

        A To tag is there or not, as the dialog has it. Where the policies call different things an emergency, all that
        can make a message one stays.
        """
        message = context.facts.message
        if message is None:
            return context
        known = self._held_as.get(context)
        if known is None:
            known = context if self.is_alike else replace(context, held=EMERGENCY_CARRIERS, language=())
            if self._asks_for("sip.to", "sip.tag", "sip.To"):
                has_tag = Literal(Exists(Field("sip.to.tag")), message.to_tag is not None)
                known = replace(known, language=(*known.language, has_tag))
            self._held_as[context] = self._held_as[known] = known
        return known

    def _asks_for(self, *beginnings: str) -> bool:
        return any(base_field(atom.operand).name.startswith(beginnings) for atom in self.encoding.text)

    def _tie_views(self) -> None:
        """What comes with a context is the same for two policies that recognise alike."""
        for (view, atom), literal in list(self.encoding.own.items()):
            other = self.encoding.own.get((0, atom))
            if view and other is not None:
                self.encoding.formula.add([-literal, other])
                self.encoding.formula.add([literal, -other])

    def _take_out_beyond(self, policy: Policy) -> Iterator[tuple[Atom, int]]:
        """Yield what is so of every message of the model, though not of any there is; no theory is asked of it."""
        text, bare = self.encoding.text, replace(policy, rules=())
        world = World(Encoding([bare]), bare)
        for atom, literal in list(text.items()):
            ways: tuple[tuple[bool, Condition], ...] = ((True, atom), (False, Not(atom)))
            if any(satisfiable((Literal(atom, holds),)) is False and world.is_met(other) for holds, other in ways):
                del text[atom]
                yield atom, literal

    def _unless(self, core: tuple[Literal, ...]) -> Sequence[int]:
        """One value may be all of this though none of the model's is (``Max-Forwards: 0``, a user ``é``)."""
        operand = core[0].condition.operand
        if not isinstance(operand, Field) or any(each.condition.operand != operand for each in core):
            return ()
        said = [Said(each.condition, each.holds, 0) for each in core]
        maximum = FIELDS[operand.name].maximum
        if maximum is not None:
            said.append(Said(Comparison(operand, ">", maximum), False, 0))
        if conflict(said, is_single=True) is not None:
            return ()
        self._odd_fields[operand.name] = None
        return [self._odd]

    def _own(self, context: Context) -> list[int]:
        beyond = [self._said(atom, literal, context.facts) for atom, literal in self._beyond.items()]
        return [*super()._own(context), *beyond]

    def _key(self, context: Context, number: int) -> tuple[object, ...]:
        facts, follows = self.facts(context, number)
        is_answered = isinstance(facts.message, Request) and facts.message.method != "ACK"
        return number, is_answered, without_rule(self.encoded[number].policy, facts, follows=follows)

    def _views(self, context: Context) -> list[tuple[int, Facts]]:
        return [
            (self.encoding.view(each.policy), self.facts(context, number)[0])
            for number, each in enumerate(self.encoded)
        ]

    def _ends(self, context: Context) -> list[int]:
        return [-self.encoding.psap_opens, *(self._as_it_stands(context) if context.is_fixed else ())]

    def _plain(self, context: Context) -> list[int]:
        """What is given up first stands first: above a limit is only what has to be."""
        lines, ips = self.encoding.lines, (context.pair.caller.ip, context.pair.psap.ip)
        either = [self.encoding.formula.any_of(lines[name].at(address_number(ip)) for ip in ips) for name in _ENDS]
        below = [-each.above for encoded in self.encoded for each in encoded.rules if each.rule.limit is not None]
        interface = self.encoding.interfaces[context.facts.datagram.in_iface]
        return [*super()._plain(context), *either, interface, *below]

    def _placed(self, staged: Staged, model: Model) -> Staged:
        """Let the message, and those from the same end, come in by the interface that the model has."""
        last = staged.sent[-1].datagram
        interfaces = {last.dst_ip: self._interface_of(last.dst_ip), last.src_ip: self.encoding.interface(model)}
        sent = tuple(
            replace(each, datagram=msgspec.structs.replace(each.datagram, in_iface=interfaces[each.datagram.src_ip]))
            for each in staged.sent
        )
        return replace(staged, sent=sent)

    def _interface_of(self, ip: str) -> str | None:
        """Return an interface by which packets from an address are in a zone, None where any will do."""
        number, zones = address_number(ip), self.encoded[0].policy.zones
        fitting = (each for each in zones if not each.networks or any(number in network for network in each.networks))
        return interfaces_of(next(fitting, None), zones)[0]


def _offsets(limits: Sequence[Limit]) -> Iterator[int]:
    """Yield when to send: at once until every burst is used up, then again after each limit's time for one more."""
    now_ns = 0
    for _ in range(min(max(limit.burst for limit in limits) + 2, MAX_MESSAGES)):
        yield now_ns
    for limit in sorted(limits, key=lambda each: each.period_ns / each.count):
        now_ns += limit.period_ns // limit.count + MILLISECOND_NS
        yield now_ns


def _seen_by(policy: Policy, context: Context) -> tuple[Facts, bool]:
    engine = Engine(opened(policy))
    probe = context.probe
    for step in probe.steps()[: context.index]:
        decide(engine, sent_of(step, probe))
    sent = sent_of(probe.steps()[context.index], probe)
    facts = engine.facts(sent.datagram, sent.at_ns)
    return facts, decide(engine, sent).decision.reason != "default"
