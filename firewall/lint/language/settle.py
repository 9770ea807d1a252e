"""Whether conditions on the texts of a message can hold together, and the message of which they do.

The answer is exact: ``Settled`` was read back by the packet path's reader and evaluator, ``Conflict`` is a proof that
no message of the model (``bounds.py``, ``grammar.py``) meets the conditions of its core. What could not be decided is
``TooHard``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

from firewall.lint.language.ask import Ask, NoAnswerError, answer_or_unknown
from firewall.lint.language.body import CARRIERS, with_body
from firewall.lint.language.bounds import MAX_MESSAGE_BYTES, MAX_PLACEMENTS, MAX_ROUNDS, UnmodelledError
from firewall.lint.language.carrier import LINE, REQUEST_LINE, SDP, Carrier, Group
from firewall.lint.language.draft import Draft
from firewall.lint.language.jury import Jury, Literal, facts_of
from firewall.lint.language.options import Option, banned_everywhere, options_of
from firewall.lint.language.search import Bound
from firewall.lint.language.template import DIALOG_HELD, Template
from firewall.ruleset.expression import Atom, Contains, Exists, Field
from firewall.ruleset.literal import text_bytes

__all__ = ["Atom", "Conflict", "Literal", "Settled", "TooHard", "satisfiable", "settle"]


@dataclass(frozen=True, slots=True)
class Settled:
    """The edited message: every literal holds of it."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Conflict:
    """Literals that no message of the model can meet together; hardly one of them could be left out."""

    core: tuple[Literal, ...]


@dataclass(frozen=True, slots=True)
class TooHard:
    """Undecided: a form that is not modelled or a budget that was used up, in a few words."""

    literals: tuple[Literal, ...]
    reason: str


Answer = Settled | Conflict | TooHard


def settle(
    template: bytes,
    literals: Sequence[Literal],
    held: frozenset[str] = frozenset(),
    dialog_held: frozenset[str] = DIALOG_HELD,
) -> Answer:
    """Return the template, changed as little as it must be, so that all literals hold of it.

    What makes the message one of its dialog and transaction stays (``dialog_held``), and so do the carriers in
    ``held``: ``r-uri``, ``status``, ``sdp``, ``body`` or a header's name.
    """
    return _settle(template, literals, held | dialog_held)


def satisfiable(literals: Sequence[Literal]) -> bool | None:
    """Tell whether any message of the model, request or response, meets all literals; None where it is too hard."""
    is_undecided = False
    for template in (_REQUEST, _RESPONSE):
        match _settle(template, literals, frozenset()):
            case Settled():
                return True
            case TooHard():
                is_undecided = True
            case Conflict():
                pass
    return None if is_undecided else False


_OF_EVERY_MESSAGE = (Field("sip"), Field("sip.msg_hdr"))
_REQUEST = (
    b"INVITE sip:x@sosgate.example SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:x@sosgate.example>;tag=1\r\nTo: <sip:x@sosgate.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)
_RESPONSE = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-1\r\n"
    b"From: <sip:x@sosgate.example>;tag=1\r\nTo: <sip:x@sosgate.example>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def _settle(payload: bytes, literals: Sequence[Literal], held: frozenset[str]) -> Answer:
    template = Template(payload, held)
    jury = Jury(literals)
    failing = jury.failing(template.facts)
    active: dict[Literal, None] = {}
    for _ in range(MAX_ROUNDS):
        if not failing:
            return Settled(payload)
        if all(literal in active for literal in failing):
            unavoidable = [literal for literal in failing if _is_unavoidable(template, literal)]
            if unavoidable:
                return Conflict((unavoidable[0],))
            if not template.is_kept:
                return TooHard(tuple(failing), "no way to edit the message for them is modelled")
            # What was kept may be read otherwise beside what is new, as an IPv6 address without its brackets.
            template.is_kept = False
        active |= dict.fromkeys(failing)
        answer = _edited(template, tuple(active))
        if not isinstance(answer, Draft):
            return answer
        payload = answer.payload
        facts = facts_of(payload)
        if facts is None or len(payload) > MAX_MESSAGE_BYTES:
            return TooHard(tuple(active), "the message would be too large")
        failing = jury.failing(facts)
    return TooHard(tuple(failing), "too many conditions that depend on each other")


def _is_unavoidable(template: Template, literal: Literal) -> bool:
    """Tell whether the message must not have what every message has, or contain what those of its dialog contain."""
    if literal.holds or literal.condition.operand not in _OF_EVERY_MESSAGE:
        return False
    match literal.condition:
        case Exists():
            return True
        case Contains(_, text):
            return any(text_bytes(text) in each for each in template.skeleton)
        case _:
            return False


def _edited(template: Template, literals: tuple[Literal, ...]) -> Draft | Conflict | TooHard:
    """Try every way to make the literals true together."""
    ways: list[tuple[Option, ...]] = []
    for literal in literals:
        try:
            possible = tuple(option for each in options_of(literal) for option in _unheld(template, each))
        except UnmodelledError as unmodelled:
            return TooHard((literal,), str(unmodelled))
        if not possible:
            return Conflict((literal,))
        ways.append(possible)
    core: dict[Literal, None] = {}
    hard: str | None = None
    for count, chosen in enumerate(product(*ways)):
        if count >= MAX_PLACEMENTS:
            return TooHard(literals, "too many headers where a value could stand")
        try:
            return _placed(template, list(zip(literals, chosen, strict=True)))
        except UnmodelledError as unmodelled:
            hard = hard or str(unmodelled)
        except NoAnswerError as none:
            ways_chosen = zip(literals, chosen, strict=True)
            if any(not each.is_exact and each.parts and literal in none.core for literal, each in ways_chosen):
                hard = hard or "a text that could stand anywhere in the message"
            core |= dict.fromkeys(none.core)
    return TooHard(literals, hard) if hard is not None else Conflict(tuple(core))


def _unheld(template: Template, option: Option) -> Iterable[Option]:
    """The option without what fixed carriers already give; nothing where they forbid it."""
    parts = []
    for part in option.parts:
        if not template.is_fixed(part.carrier):
            parts.append(part)
        elif template.holds_at(part.carrier, part.bound) is not part.is_some:
            return
    yield Option(tuple(parts), option.is_exact)


def _placed(template: Template, chosen: Sequence[tuple[Literal, Option]]) -> Draft:
    """Return the draft in which each literal holds in the way chosen for it."""
    asks: dict[str, Ask] = {}
    for literal, option in chosen:
        for part in option.parts:
            ask = _ask(template, asks, part.carrier)
            (ask.some if part.is_some else ask.none)[part.bound] = literal
    banned = banned_everywhere(literal for literal, _ in chosen)
    draft = template.draft
    for ask in asks.values():
        for literal in banned:
            if ask.carrier is not REQUEST_LINE and ask.carrier is not SDP:
                ask.none.setdefault(Bound(literal.condition, (Group(LINE),)), literal)
        if ask.carrier not in CARRIERS:
            draft = template.written(draft, ask.carrier, _answer(template, ask))
    return with_body(template, draft, *(_ask(template, asks, carrier) for carrier in CARRIERS))


def _ask(template: Template, asks: dict[str, Ask], carrier: Carrier) -> Ask:
    ask = asks.get(carrier.name)
    if ask is None:
        ask = asks[carrier.name] = Ask(carrier, *template.held_at(carrier))
    return ask


def _answer(template: Template, ask: Ask) -> bytes:
    near = template.near(ask.question())
    text = answer_or_unknown(near) if near is not None else None
    if not text:
        text = ask.answer()
    if text is None:
        raise NoAnswerError(ask.core())
    return text
