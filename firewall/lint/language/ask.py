"""What is asked of one carrier, and by which literals: the text that answers, or the literals that allow none."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from firewall.lint.language.bounds import (
    MAX_BODY_BYTES,
    MAX_HEADER_LINE_BYTES,
    MAX_REQUEST_URI_BYTES,
    MAX_VALUES,
    UnmodelledError,
)
from firewall.lint.language.carrier import LINE, REQUEST_LINE, SDP, Carrier, Group
from firewall.lint.language.core import needed
from firewall.lint.language.jury import Literal
from firewall.lint.language.predicate import is_longer_than
from firewall.lint.language.search import Bound, Question, find
from firewall.ruleset.expression import Call, Comparison, Field

_MOST_MINIMISED = 40
_NONE: frozenset[Bound] = frozenset()
_FEW_LINES = Bound(Comparison(Call("count", Field("sip")), "<=", MAX_VALUES), (Group(LINE),))
_SHORT_LINE = Bound(Comparison(Call("len", Field("sip")), ">", MAX_HEADER_LINE_BYTES), (Group(LINE),))
_SHORT_URI = Bound(Comparison(Call("len", Field("sip.r-uri")), ">", MAX_REQUEST_URI_BYTES), (Group("uri"),))


class NoAnswerError(Exception):
    """No text can meet what is asked; with the literals that allow none."""

    def __init__(self, core: tuple[Literal, ...]) -> None:
        super().__init__()
        self.core = core


@dataclass(slots=True)
class Ask:
    """Conditions at a carrier, each with the literal it comes from, and what is held there besides."""

    carrier: Carrier
    held_some: frozenset[Bound] = _NONE
    held_none: frozenset[Bound] = _NONE
    some: dict[Bound, Literal] = field(default_factory=dict)
    none: dict[Bound, Literal] = field(default_factory=dict)

    @property
    def literals(self) -> tuple[Literal, ...]:
        """The literals that ask."""
        return tuple(dict.fromkeys((*self.some.values(), *self.none.values())))

    def question(self, extra_some: frozenset[Bound] = _NONE) -> Question:
        """Return all that is asked as one question."""
        return Question(self.carrier, self.held_some.union(self.some, extra_some), self.held_none.union(self.none))

    def answer(self, extra_some: frozenset[Bound] = _NONE) -> bytes | None:
        """Return a short text within the model's bounds, None where there is none."""
        return answer(self.question(extra_some))

    def core(self, extra_some: frozenset[Bound] = _NONE) -> tuple[Literal, ...]:
        """Return literals, few of them, that together allow no text. Only to be asked where there is no answer."""
        if len(self.literals) > _MOST_MINIMISED:
            return self.literals
        return tuple(needed(self.literals, lambda few: answer_or_unknown(self._only(few).question(extra_some)) is None))

    def _only(self, literals: Iterable[Literal]) -> "Ask":
        kept = frozenset(literals)
        return Ask(
            self.carrier,
            self.held_some,
            self.held_none,
            {bound: literal for bound, literal in self.some.items() if literal in kept},
            {bound: literal for bound, literal in self.none.items() if literal in kept},
        )


def answer_or_unknown(question: Question) -> bytes | None:
    """Return the answer to a question; the empty text where it cannot be found within the budget."""
    try:
        return answer(question)
    except UnmodelledError:
        return b""


def answer(question: Question) -> bytes | None:
    """Return a short text within the model's bounds that answers a question, None where there is none."""
    if any(_is_too_long(bound, question.carrier) for bound in question.some):
        return None
    text = find(question)
    if text is None or question.carrier is SDP:
        return text
    if question.carrier is REQUEST_LINE and len(text) > MAX_REQUEST_URI_BYTES:
        return find(replace(question, none=question.none | {_SHORT_URI}))
    if len(text) > MAX_HEADER_LINE_BYTES or text.count(b"\n") > MAX_VALUES:
        return find(replace(question, some=question.some | {_FEW_LINES}, none=question.none | {_SHORT_LINE}))
    return text


def _is_too_long(bound: Bound, carrier: Carrier) -> bool:
    """Tell whether a condition asks for a value longer than its carrier can be."""
    is_of_uri = carrier is REQUEST_LINE and bound.groups[0].name not in (LINE, "method")
    longest = MAX_BODY_BYTES if carrier is SDP else MAX_REQUEST_URI_BYTES if is_of_uri else MAX_HEADER_LINE_BYTES
    return is_longer_than(longest, bound.atom)
