"""From a model of the formula to a call that is really sent through the engine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import msgspec

from firewall.engine.record import SipDecision
from firewall.errors import SipSyntaxError
from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.finding import Sent
from firewall.lint.language.carrier import OF_BODY, reads_method
from firewall.lint.language.draft import Line, read_draft
from firewall.lint.language.jury import facts_of, holds_of_message
from firewall.lint.language.settle import Conflict, Literal, Settled, TooHard, settle
from firewall.lint.probe import MILLISECOND_NS, Blocked, Probe, Questioner, decide, sent_of
from firewall.lint.proof.context import CALLER, Context
from firewall.lint.proof.encoding import Encoding
from firewall.lint.proof.formula import Model
from firewall.lint.proof.shorten import least_bytes, shortened
from firewall.lint.proof.target import service_field
from firewall.lint.script import Step
from firewall.net.address import address_number, address_text
from firewall.net.datagram import Datagram, Transport
from firewall.ruleset.expression import Atom, Call, Comparison, Field, Operand, Slice, base_field
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.policy import Guard
from firewall.sip.message import Message, Request, parse_message

_PADDING = b"X-Padding: "
_PADDING_LEAST_BYTES = len(b"\r\n" + _PADDING) + 1
_PADDING_LINE_BYTES = 4000


@dataclass(frozen=True, slots=True)
class TooSmall:
    """The message is not made as short as the model has it: its frame has at least so many bytes.

    ``is_certain``: no message of its kind could be so short.
    """

    frame_bytes: int
    is_certain: bool


@dataclass(frozen=True, slots=True)
class Carriage:
    """How a call's messages are carried, from and to which ports where these are not those that the text names.

    ``psap_port``: whence its PSAP asks where that is not where it listens. Over TCP that is the connection of the whole
    call, whoever asks.
    """

    transport: Transport
    caller_port: int | None
    psap_port: int | None

    def sent(self, step: Step, probe: Probe) -> Sent:
        """Return a step as the datagram that the firewall receives."""
        caller, psap = probe.pair.caller, probe.pair.psap
        if self.caller_port is not None:
            caller = replace(caller, port=self.caller_port)
        if self.psap_port is not None and (self.transport == "TCP" or of_psap(step)):
            psap = replace(psap, port=self.psap_port)
        sent = sent_of(step, replace(probe, pair=Pair(caller, psap)))
        return replace(sent, datagram=msgspec.structs.replace(sent.datagram, transport=self.transport))


def of_psap(step: Step) -> bool:
    """Tell whether the PSAP asks in a message's transaction: a request of its own, or the answer to one."""
    return (step.sender == "caller") is step.payload.startswith(b"SIP/2.0 ")


@dataclass(frozen=True, slots=True)
class Staged:
    """A call of a context, its messages as the firewall receives them; the last is the one in question.

    ``rest`` are the messages of the flow that come after it.
    """

    probe: Probe
    steps: tuple[Step, ...]
    sent: tuple[Sent, ...]
    rest: tuple[Step, ...]
    carriage: Carriage

    def whole(self) -> "Staged":
        """Return the call to its end."""
        sent = tuple(self.carriage.sent(each, self.probe) for each in self.rest)
        return replace(self, steps=self.steps + self.rest, sent=self.sent + sent, rest=())


def alike(whole: Staged, index: int, atoms: Iterable[Atom]) -> Staged:
    """Return a whole call whose sender writes all its messages as the one with this number, as far as atoms tell.

    What he is called by, and his device's name, stand in each. A message that cannot be like it stays as it is.
    """
    shown, sender = facts_of(whole.steps[index].payload), whole.steps[index].sender
    if shown is None or shown.message is None:
        return whole
    from_tag = shown.message.from_tag
    literals = [
        Literal(atom, holds_of_message(atom, shown)) for atom in atoms if not reads_method(base_field(atom.operand))
    ]
    steps = []
    for step in whole.steps:
        facts = facts_of(step.payload)
        payload = step.payload
        if facts is not None and facts.message is not None and step.sender == sender:
            # From, To and Call-ID belong to the dialog; who sent none begins no session by such a message.
            held = frozenset() if facts.message.from_tag == from_tag else frozenset({"from", "to"})
            settled = settle(payload, literals, held if facts.message.body else held | OF_BODY)
            payload = settled.payload if isinstance(settled, Settled) else payload
        steps.append(replace(step, payload=payload))
    sent = tuple(whole.carriage.sent(each, whole.probe) for each in steps)
    return replace(whole, steps=tuple(steps), sent=sent)


def stage(
    encoding: Encoding, context: Context, model: Model, text: Sequence[Literal]
) -> Staged | Conflict | TooHard | TooSmall:
    """Write the call that a model stands for, the message in question so that the literals are true of it."""
    pair, carriage = _carried(encoding, context, model)
    probe = Probe(context.flow, context.form, pair, 0, "proof")
    every = probe.steps()
    step = every[context.index]
    payload = step.payload
    if not context.is_fixed:
        language = [*context.language, Literal(Comparison(Field("sip.CSeq.method"), "==", _cseq_method(context)), True)]
        literals, held = [*text, *language], _held_of_dialog(context)
        settled = settle(step.payload, literals, context.held, held)
        if not isinstance(settled, Settled):
            return settled
        packet = carriage.sent(replace(step, payload=settled.payload), probe).datagram
        sized = _sized(encoding.lines["frame_len"].piece(model), packet, literals, context.held | held)
        if isinstance(sized, TooSmall):
            return sized
        payload = sized
    names = _names(context, step.payload, payload)
    named = [_renamed(each, names) for each in (every[: context.index], every[context.index + 1 :])]
    steps = (*named[0], replace(step, payload=payload, label=relabelled(step.label, payload)))
    begins_ns = encoding.instant_ns(model) - step.at_ms * MILLISECOND_NS
    probe = replace(probe, at_ns=begins_ns)
    return Staged(probe, steps, tuple(carriage.sent(each, probe) for each in steps), tuple(named[1]), carriage)


def relabelled(label: str, payload: bytes) -> str:
    """Return what a message is called now: a response by the status it has, where that is another than its label's.

    A request that the rules cannot tell from that response says nothing of its status.
    """
    was, _, rest = label.partition(" ")
    if not was.isdigit() or not payload.startswith(b"SIP/"):
        return label
    status = payload.split(b" ", 2)[1].decode("ascii", "replace")
    return label if status == was else f"{status} {rest[rest.index('(') :]}"


def _cseq_method(context: Context) -> str:
    message = context.facts.message
    return (message.cseq_method if message is not None else None) or ""


def _held_of_dialog(context: Context) -> frozenset[str]:
    """Only the method stays, and that a first request has no To tag: the names of the call are changed in all of it."""
    message = context.facts.message
    begins = message is not None and message.to_tag is None
    return frozenset({"method", "to-tag"}) if begins else frozenset({"method"})


def run(staged: Staged, questioner: Questioner, guard: Guard = "off") -> Blocked | SipDecision:
    """Send a staged call through a fresh engine: the first message that is lost, or the decision on the last.

    With ``guard: enforce`` the earlier messages pass whatever the rules say, so that the last one is judged.
    """
    engine = questioner.engine(guard)
    decision: SipDecision | None = None
    for index, each in enumerate(staged.sent):
        decision = decide(engine, each)
        is_last = index == len(staged.sent) - 1
        if decision.decision.verdict != "allow" and (is_last or decision.decision.enforced):
            return Blocked(staged.probe, staged.steps[index], decision, staged.sent[: index + 1])
    assert decision is not None  # noqa: S101 - a flow has at least one message
    return decision


def read_as(atom: Atom, context: Context) -> Atom | None:
    """Return how an atom of our own is read off the message's text in this context, None where it is given.

    The service asked for is the URN in lower case, where that is what makes the call an emergency (RFC 5031 §4.2).
    """
    if base_field(atom.operand).name != "emergency.service" or not context.language:
        return None
    field = service_field(context.language[0])
    return read_as_service(atom, field) if field is not None else None


def read_as_service(atom: Atom, urn: Field) -> Atom:
    """Return an atom about the emergency service as one about the URN that asks for it, in lower case."""
    return replace(atom, operand=_reading(atom.operand, urn))


def _reading(operand: Operand, urn: Field) -> Operand:
    match operand:
        case Field():
            return Call("lower", urn)
        case Slice(inner, start, length):
            return Slice(_reading(inner, urn), start, length)
        case Call(function, inner):
            return Call(function, _reading(inner, urn))


def _carried(encoding: Encoding, context: Context, model: Model) -> tuple[Pair, Carriage]:
    """Return the ends of a model's call, each at the port where it is reached, and how its messages are carried."""
    lines = encoding.lines
    plain = context.pair
    sender, receiver = plain.ends(context.step.sender)
    source = _endpoint(sender, lines["src"].piece(model), lines["sport"].piece(model))
    source = replace(source, interface=encoding.interface(model))
    destination = _endpoint(receiver, lines["dst"].piece(model), lines["dport"].piece(model))
    caller, psap = Pair(source, destination).ends(context.step.sender)
    caller_port = psap_port = None
    if context.is_fixed:  # its text stays, and the port in it
        caller, caller_port = replace(caller, port=plain.caller.port), caller.port
    if model.holds(encoding.psap_opens):
        psap, psap_port = replace(psap, port=plain.psap.port), psap.port
    return Pair(caller, psap), Carriage(encoding.transport(model), caller_port, psap_port)


def _endpoint(plain: Endpoint, address: tuple[int, int], port: tuple[int, int]) -> Endpoint:
    return replace(endpoint_in(plain, address), port=plain.port if port[0] <= plain.port <= port[1] else port[0])


def endpoint_in(plain: Endpoint, address: tuple[int, int]) -> Endpoint:
    """Return the end with an address of this piece of the line, its own where that lies in it."""
    is_inside = address[0] <= address_number(plain.ip) <= address[1]
    return plain if is_inside else replace(plain, ip=address_text(_host_in(address)))


def _host_in(piece: tuple[int, int]) -> int:
    first, last = piece
    return first + 10 if first + 10 <= last else first


def _sized(
    piece: tuple[int, int], packet: Datagram, literals: Sequence[Literal], held: frozenset[str]
) -> bytes | TooSmall:
    """Give the message a frame as long as the model has it: without what it need not say, or padded."""
    first, last = piece
    around, payload = packet.frame_len - len(packet.payload), packet.payload
    if packet.frame_len > last or 0 < first - packet.frame_len < _PADDING_LEAST_BYTES:
        payload = shortened(payload, literals, held)
    if around + len(payload) > last:
        least = around + least_bytes(parse_message(payload))
        return TooSmall(least, is_certain=least > last)
    return _padded(payload, first - around - len(payload))


def _padded(payload: bytes, missing: int) -> bytes:
    """Lengthen a message by so many bytes, or a few more where these make no line, in a header nobody reads."""
    draft = read_draft(payload)
    least = len(draft.line_end) + len(_PADDING) + 1
    while missing > 0:
        size = min(max(missing, least), _PADDING_LINE_BYTES)
        if 0 < missing - size < least:
            size -= least
        line = Line("x-padding", "X-Padding", _PADDING.ljust(size - len(draft.line_end), b"x"))
        draft = replace(draft, lines=(*draft.lines, line))
        missing -= size
    return draft.payload


def _renamed(others: Sequence[Step], names: Sequence[tuple[bytes, bytes]]) -> list[Step]:
    """Give the other messages of the call the names that the message in question has now."""
    renamed = []
    for step in others:
        payload = step.payload
        for old, new in names:
            payload = payload.replace(old, new)
        renamed.append(replace(step, payload=payload))
    return renamed


def _names(context: Context, before: bytes, after: bytes) -> list[tuple[bytes, bytes]]:
    """Return what the message is called by in the rest of the call, as it was and as it is now."""
    is_callback = context.language == CALLER
    return [
        (text_bytes(old), text_bytes(new))
        for old, new in zip(*(_identifiers(payload, is_callback) for payload in (before, after)), strict=True)
        if old and new is not None and old != new
    ]


def _identifiers(payload: bytes, is_callback: bool) -> tuple[str | None, ...]:
    try:
        message: Message = parse_message(payload)
    except SipSyntaxError:
        return (None,) * 5
    called = f"<{message.request_uri}>" if is_callback and isinstance(message, Request) else None
    branch = f";branch={message.via_branch}" if message.via_branch is not None else ""  # without it (RFC 2543), too
    return message.call_id, message.from_tag, message.to_tag, branch, called
