"""Asks the formula in a context, and turns each model into a message until one is what the question was about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar, assert_never

from firewall.lint.form import ODD_CARRIERS
from firewall.lint.language.carrier import is_read_from, places, reads_method
from firewall.lint.language.settle import Conflict, Literal, TooHard, satisfiable
from firewall.lint.proof.context import Context
from firewall.lint.proof.encoding import EPHEMERAL_PORT, Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.hosts import between, to_anyone
from firewall.lint.proof.line import PORTS
from firewall.lint.proof.witness import Staged, TooSmall, of_psap, read_as, stage
from firewall.net.address import IPV4_FIRST, address_number
from firewall.net.datagram import Datagram
from firewall.net.signalling import is_signalling
from firewall.ruleset.evaluate import Predicate, compile_condition
from firewall.ruleset.expression import Atom, base_field
from firewall.ruleset.facts import Facts
from firewall.ruleset.policy import Policy

Found = TypeVar("Found")

MAX_FRAME_BYTES = 65_535
"""The largest message of the model, with its Ethernet, IP and UDP headers."""
_IPV6_MORE_BYTES = 20
"""An IPv6 header is so much longer than one of IPv4 (RFC 8200 §3)."""
_TOO_LARGE = Facts(Datagram("192.0.2.1", 5060, "192.0.2.2", 5060, b""), malformed="message_too_large")
"""The one reason that no datagram shows: only a stream carries a message over the size limit."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A question without an answer: why, and the model that neither is a message nor can be told not to be one."""

    reason: str
    model: Model


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question of a proof that was not answered: in which context, about which rule, and why."""

    context: Context
    rule: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Excluded:
    """A message that never gets there: what comes before it in its call is blocked whenever these literals hold."""

    literals: tuple[int, ...]


class Asker:
    """Puts questions to one encoding. What it learns of impossible messages stays, for later questions.

    So many models of one question may turn out to be no message (``max_tries``), and so many messages not to be what
    the formula says (``max_misses``), before it counts as undecided.
    """

    max_tries = max_misses = 200

    def __init__(self, encoding: Encoding, policy: Policy) -> None:
        """Ask about messages between the zones of ``policy``."""
        self.encoding = encoding
        self._policy = policy
        self._zones = {zone.name: zone for zone in policy.zones}
        self._predicates: dict[Atom, Predicate] = {}
        self._selectors: dict[Context, int] = {}
        self._assumed: dict[Context, list[int]] = {}
        self._given: dict[tuple[frozenset[str], int], tuple[Atom, ...]] = {}
        # What is learned of a carrier's texts is true where these follow the grammar.
        self._grammatical = {name: encoding.formula.new() for name in sorted(ODD_CARRIERS)}
        self._beside_method = (0, False)
        self.questions = 0

    def is_possible(self, context: Context, goal: Sequence[int]) -> bool:
        """Tell whether, as far as the formula knows, a message of the context meets the goal."""
        self.questions += 1
        return self.encoding.formula.is_possible([*self.assumed(context), *goal])

    def beyond(self, context: Context, goal: Sequence[int], more: Mapping[int, str] | None = None) -> str | None:
        """Return the fields of which only examples are shown (``more``, too) where others might meet the goal."""
        free = {**(more or {}), **self._unshown(context)}
        assumed = [each for each in self.assumed(context) if abs(each) not in free]
        if not free or not self.encoding.formula.is_possible([*assumed, *goal]):
            return None
        return " or ".join(dict.fromkeys(free.values()))

    def _unshown(self, context: Context) -> dict[int, str]:
        """Return the literals about what only examples are shown of among the contexts, with the fields.

        What else may come with an anomaly, and how long, by which transport what is no message may be.
        """
        found: dict[int, str] = {}
        if context.facts.message is None:
            found = dict.fromkeys((abs(each) for each in self._as_it_stands(context)), "frame.len, udp, tcp")
        for (_, atom), literal in self.encoding.own.items():
            name = base_field(atom.operand).name
            if (name == "sip.anomaly" and context.facts.message is not None) or (
                name == "malformed.reason" and context.facts.message is None and self.holds(atom, _TOO_LARGE)
            ):
                found[literal] = name
        return found

    def example(self, context: Context, goal: Sequence[int]) -> Model | None:
        """Return what the formula knows of one message that meets the goal, its texts not looked at."""
        self.questions += 1
        return self.encoding.formula.solve([*self.assumed(context), *goal])

    def ask(
        self, context: Context, goal: Sequence[int], accept: Callable[[Staged], Found | None]
    ) -> Found | Undecided | None:
        """Return what ``accept`` makes of a message that meets the goal; None when there is no such message."""
        return self._ask(context, goal, lambda staged, _: accept(staged))

    def _ask(
        self, context: Context, goal: Sequence[int], judge: Callable[[Staged, Model], Found | Excluded | None]
    ) -> Found | Undecided | None:
        formula = self.encoding.formula
        assumptions = [*self.assumed(context), *goal]
        self.questions += 1
        if not formula.is_possible(assumptions):
            return None
        self._prefer(context)
        plain = self._plain(context)
        undecided: Undecided | None = None
        model: Model | None = None
        misses = 0
        for _ in range(self.max_tries):
            model = self._plainest(assumptions, plain)
            if model is None or misses > self.max_misses:
                return undecided
            text = self._text(context, model)
            staged = stage(self.encoding, context, model, list(text))
            match staged:
                case Staged():
                    found = judge(staged, model)
                    if isinstance(found, Excluded):
                        self._forbid(context, found.literals)
                    elif found is not None:
                        return found
                    else:
                        misses += 1
                        undecided = undecided or Undecided("the engine does not do what the rules seem to say", model)
                        self._forbid(context, self._picture(model, text))
                case Conflict(core):
                    self._learn(context, core, text)
                case TooHard(literals, reason):
                    undecided = undecided or Undecided(reason, model)
                    self._forbid(context, [text[literal] for literal in literals if literal in text])
                case TooSmall(frame_bytes, is_certain):
                    if not is_certain:
                        undecided = undecided or Undecided("a shorter message than lint can write", model)
                    self._lengthen(context, frame_bytes, model, text, is_certain=is_certain)
                case _:
                    assert_never(staged)
        return undecided or (Undecided(f"no message found in {self.max_tries} attempts", model) if model else None)

    def assumed(self, context: Context) -> list[int]:
        """Return the literals of all that a context fixes."""
        known = self._assumed.get(context)
        if known is None:
            grammatical = [literal for name, literal in self._grammatical.items() if name not in context.beyond]
            known = self._assumed[context] = [
                *self._own(context), *self._ends(context), *grammatical, self._selector(context)
            ]  # fmt: skip
        return known

    def signature(self, context: Context) -> tuple[object, ...]:
        """Return what tells a context from another in this formula: two with one signature cannot differ."""
        step, facts = context.step, context.facts
        message = facts.message
        return (
            tuple(self._own(context)),
            step.role,
            step.sender,
            context.follows,
            context.held,
            context.beyond,
            context.language,
            context.is_fixed,
            context.is_tied,
            context.pair,
            tuple(self.holds(atom, facts) for atom in self._given_by(context)),
            message is not None and bool(message.body),
            message is not None and message.to_tag is not None,
            message is not None and message.start_line.startswith("SIP/"),
            message.cseq_method if message is not None and self._reads_beside_method() else None,
        )

    def _reads_beside_method(self) -> bool:
        """Tell whether an atom reads the method with what is free beside it, as CSeq: it may hold with one only."""
        if self._beside_method[0] != len(self.encoding.text):
            fields = {base_field(atom.operand) for atom in self.encoding.text}
            beside = any(reads_method(each) for each in fields if each.name not in ("sip.Method", "sip.CSeq.method"))
            self._beside_method = (len(self.encoding.text), beside)
        return self._beside_method[1]

    def _given_by(self, context: Context) -> tuple[Atom, ...]:
        """Return the atoms about the text that read what a context holds of it: the method, and the held carriers."""
        key = (context.held, len(self.encoding.text))
        known = self._given.get(key)
        if known is None:
            read = {atom: base_field(atom.operand) for atom in self.encoding.text}
            known = self._given[key] = tuple(
                atom for atom, field in read.items() if reads_method(field) or is_read_from(field, context.held)
            )
        return known

    def holds(self, atom: Atom, facts: Facts) -> bool:
        """Tell whether an atom is true of a message: the one evaluator's word."""
        predicate = self._predicates.get(atom)
        if predicate is None:
            predicate = self._predicates[atom] = compile_condition(atom)
        return predicate(facts)

    def _own(self, context: Context) -> list[int]:
        own = [
            self._said(atom, literal, facts)
            for view, facts in self._views(context)
            for (of_view, atom), literal in self.encoding.own.items()
            if of_view == view and read_as(atom, context) is None
        ]
        if context.is_fixed:
            own += self._text_of(context)
        return list(dict.fromkeys(own))

    def _views(self, context: Context) -> list[tuple[int, Facts]]:
        """Return what each policy sees of a context's plain message, with the number of its view."""
        return [(self.encoding.view(self._policy), context.facts)]

    def _text_of(self, context: Context) -> list[int]:
        return [self._said(atom, literal, context.facts) for atom, literal in self.encoding.text.items()]

    def _said(self, atom: Atom, literal: int, facts: Facts) -> int:
        return literal if self.holds(atom, facts) else -literal

    def _ends(self, context: Context) -> list[int]:
        encoding, lines = self.encoding, self.encoding.lines
        sender, receiver = context.pair.ends(context.step.sender)
        if context.to_anyone:
            ends = [*to_anyone(encoding, self._zones, sender, receiver), *self._any_ports(context)]
            return [*ends, *(self._as_it_stands(context) if context.is_fixed else self._bounded())]
        ends = list(between(encoding, self._zones, sender, receiver))
        if context.is_tied:
            ends += [lines["src"].at(address_number(sender.ip)), lines["dst"].at(address_number(receiver.ip))]
        size = [self._size_as_it_stands(context)] if context.is_fixed else self._bounded()
        return [*ends, *self._ports(context), *size]

    def _bounded(self) -> list[int]:
        return [self.encoding.lines["frame_len"].not_above(MAX_FRAME_BYTES)]

    def _as_it_stands(self, context: Context) -> list[int]:
        """Return the literals of a datagram that is sent as it stands."""
        return [-self.encoding.is_tcp, self._size_as_it_stands(context)]

    def _size_as_it_stands(self, context: Context) -> int:
        encoding, lines = self.encoding, self.encoding.lines
        size, is_ipv4 = context.facts.datagram.frame_len, lines["src"].within(IPV4_FIRST, IPV4_FIRST + 2**32 - 1)
        if ":" in context.facts.datagram.src_ip:
            size -= _IPV6_MORE_BYTES
        short = encoding.formula.all_of([is_ipv4, lines["frame_len"].at(size)])
        long = encoding.formula.all_of([-is_ipv4, lines["frame_len"].at(size + _IPV6_MORE_BYTES)])
        return encoding.formula.any_of([short, long])

    def _ports(self, context: Context) -> Iterator[int]:
        """Yield what the ports are: the caller's any, the PSAP's where it listens.

        What the PSAP asks may come from another port, to one where the caller listens; so may all of a TCP connection.
        """
        lines, formula, opens = self.encoding.lines, self.encoding.formula, self.encoding.psap_opens
        theirs, ours = (lines[name] for name in (PORTS if context.step.sender == "caller" else PORTS[::-1]))
        their_listening, listening = (
            formula.any_of(line.within(port, port) for port in sorted(self._policy.signalling_ports))
            for line in (theirs, ours)
        )
        yield theirs.at_least(1)
        opened = formula.all_of([opens, their_listening, ours.at_least(EPHEMERAL_PORT)])
        yield formula.any_of([formula.all_of([-opens, listening]), opened])
        if not of_psap(context.step):
            yield formula.any_of([-opens, self.encoding.is_tcp])

    def _any_ports(self, context: Context) -> Iterator[int]:
        """Yield that both ports are any; what does not begin as SIP does is known by one (``signalling.py``)."""
        lines, payload = self.encoding.lines, context.facts.datagram.payload
        yield from (-self.encoding.psap_opens, *(lines[name].at_least(1) for name in PORTS))
        if not is_signalling(0, 0, payload, frozenset()):
            ports = sorted(self._policy.signalling_ports)
            yield self.encoding.formula.any_of(lines[name].within(port, port) for name in PORTS for port in ports)

    def _selector(self, context: Context) -> int:
        known = self._selectors.get(context)
        if known is None:
            known = self._selectors[context] = self.encoding.formula.new()
        return known

    def _text(self, context: Context, model: Model) -> dict[Literal, int]:
        """Return the texts' atoms as a model has them, each with the formula's literal that says so."""
        if context.is_fixed:
            return {}
        view = self.encoding.view(self._policy)
        own = [
            (read_as(atom, context), literal)
            for (of_view, atom), literal in self.encoding.own.items()
            if of_view == view
        ]
        return {
            Literal(atom, model.holds(literal)): literal if model.holds(literal) else -literal
            for atom, literal in (*self.encoding.text.items(), *own)
            if atom is not None
        }

    def _prefer(self, context: Context) -> None:
        """Let models stay near the text of the context's plainest message."""
        self.encoding.formula.prefer(self._text_of(context))

    def _plain(self, context: Context) -> list[int]:
        """Return the literals that the packet is the plainest one in everything else."""
        lines, datagram = self.encoding.lines, context.facts.datagram
        return [
            lines["src"].at(address_number(datagram.src_ip)),
            lines["dst"].at(address_number(datagram.dst_ip)),
            lines["sport"].at(datagram.src_port),
            lines["dport"].at(datagram.dst_port),
            lines["frame_len"].at(datagram.frame_len),
            -self.encoding.is_tcp,
            -self.encoding.psap_opens,
            self.encoding.instants[0][1],
        ]

    def _plainest(self, assumptions: Sequence[int], plain: Sequence[int]) -> Model | None:
        """Return a model with as many plain things as the question leaves, None where the question has none."""
        formula, wanted = self.encoding.formula, list(plain)
        while True:
            model = formula.solve([*assumptions, *wanted])
            if model is not None or not wanted:
                return model
            core = set(formula.core())
            against = [literal for literal in wanted if literal in core]
            if not against:
                return None
            wanted.remove(against[0])

    def _picture(self, model: Model, text: dict[Literal, int]) -> list[int]:
        lines = self.encoding.lines.values()
        return [*text.values(), *(line.at(line.piece(model)[0]) for line in lines)]

    def _learn(self, context: Context, core: tuple[Literal, ...], text: dict[Literal, int]) -> None:
        """Remember what cannot be together: in every context, where no message at all meets it."""
        together = [text[literal] for literal in core if literal in text]
        # What the context adds to a core (its language) holds in this context only, whatever it is about.
        if len(together) == len(core) and self._is_about_text(core) and satisfiable(core) is False:
            carriers = _carriers_of(core)
            if carriers.isdisjoint(context.beyond):
                grammatical = [literal for name, literal in self._grammatical.items() if name in carriers]
                self.encoding.formula.add([*self._unless(core), *(-literal for literal in (*grammatical, *together))])
                return
        self._forbid(context, together)

    def _unless(self, _: tuple[Literal, ...]) -> Sequence[int]:
        """Return literals that let all of this be together after all."""
        return ()

    def _is_about_text(self, core: tuple[Literal, ...]) -> bool:
        return all(literal.condition in self.encoding.text for literal in core)

    def _forbid(self, context: Context, together: Sequence[int]) -> None:
        self.encoding.formula.add([-self._selector(context), *(-literal for literal in together)])

    def _lengthen(
        self, context: Context, frame_bytes: int, model: Model, text: Mapping[Literal, int], *, is_certain: bool
    ) -> None:
        """Demand longer messages of a context: of all, or of those with these texts."""
        line = self.encoding.lines["frame_len"]
        if is_certain:
            self.encoding.formula.add([-self._selector(context), line.not_below(frame_bytes)])
        else:
            self._forbid(context, [*text.values(), line.at(line.piece(model)[0])])


def _carriers_of(core: Sequence[Literal]) -> frozenset[str]:
    """Return which of the carriers that may be odd literals are about: all where one is about the whole message."""
    found: set[str] = set()
    for literal in core:
        read = places(base_field(literal.condition.operand))
        found |= {place.carrier.name for place in read} if read else ODD_CARRIERS
    return ODD_CARRIERS & found
