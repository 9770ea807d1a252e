"""Kinds of a text of which rules tell one from another; those of methods: anybody may send one of no standard."""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial

from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.predicate import counts, demands
from firewall.lint.language.settle import Literal
from firewall.lint.language.value import text_meeting
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.expression import Atom, Comparison, Field, Matches, Membership, base_field
from firewall.ruleset.facts import Facts
from firewall.sip.message import parse_message
from firewall.sip.start_line import TOKEN

MAX_KINDS = 128
"""Of so many kinds of services, or of methods, calls are asked about."""

OWN_WAYS = ("INVITE", "ACK", "CANCEL", "REGISTER")
"""Methods that the engine treats in a way of their own (RFC 3261 §9, §10, §13); it cannot tell the others apart."""
METHODS = (
    *("BYE", "OPTIONS", "MESSAGE", "PRACK", "UPDATE"),
    *("SUBSCRIBE", "NOTIFY", "REFER", "INFO", "PUBLISH", "X-ORDINARY"),
)
"""Others, those that show a condition best: the registered ones."""

_METHOD = Field("sip.Method")
_TOKEN = Matches(_METHOD, f"^(?:{TOKEN.pattern})$")
_OWN = Membership(_METHOD, OWN_WAYS)


class UntoldError(Exception):
    """Which kinds the rules tell apart is not known. The message says why."""


def told_apart(
    what: str,
    asked: Sequence[Atom],
    known: Sequence[str],
    facts_with: Callable[[str], Facts],
    made: Callable[[Sequence[Literal]], str | None],
) -> list[str]:
    """Part texts by one condition after the other; return one of each part, a known one where there is.

    ``made`` returns another text of which these literals are true, None where there is none.

    Raises:
        UntoldError: the parts are too many, or ``made`` cannot tell.
    """
    tests = {atom: compile_condition(atom) for atom in asked}

    def meets(text: str, literals: Sequence[Literal]) -> bool:
        facts = facts_with(text)
        return all(tests[each.condition](facts) == each.holds for each in literals)

    parts: list[tuple[str, tuple[Literal, ...]]] = [(known[0], ())]
    for atom in tests:
        split = []
        for text, literals in parts:
            holds = tests[atom](facts_with(text))
            here, there = ((*literals, Literal(atom, truth)) for truth in (holds, not holds))
            split.append((text, here))
            is_one = any(map(_is_one_text, literals))
            other = None if is_one else next((each for each in known if meets(each, there)), None) or made(there)
            if other is not None:
                split.append((other, there))
        parts = split
        if len(parts) > MAX_KINDS:
            raise UntoldError(f"the rules tell more than {MAX_KINDS} {what} apart")
    return [text for text, _ in parts]


def _is_one_text(literal: Literal) -> bool:
    """Tell whether a condition leaves one text only, so that no other could part it."""
    atom = literal.condition
    is_equality = isinstance(atom, Comparison) and isinstance(atom.operand, Field) and atom.comparator == "=="
    return literal.holds and is_equality


def methods_told_apart(conditions: Iterable[Atom]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return methods, one of each kind that the engine or these conditions tell apart; and why not all of them."""
    about = [atom for atom in conditions if base_field(atom.operand).name in ("sip.Method", "sip.CSeq.method")]
    asked = [atom for atom in about if not counts(atom)]
    try:
        made = partial(text_with, [_TOKEN], [_OWN])
        return (*OWN_WAYS, *told_apart("methods", asked, METHODS, _request_with, made)), ()
    except UntoldError as error:
        return (*OWN_WAYS, *METHODS), (str(error),)


def text_with(always: Sequence[Atom], never: Sequence[Atom], literals: Sequence[Literal]) -> str | None:
    """Return a text of which these conditions hold always and never, and of which the literals are true; None for none.

    Raises:
        UntoldError: a condition cannot be told of a text.
    """
    # There is one text only: a request has one method, and its CSeq repeats it.
    ways = [demands(each.condition, holds=each.holds)[0] for each in literals]
    some, none = ([atom for way in ways for atom in getattr(way, name)] for name in ("some", "none"))
    try:
        found = text_meeting([*always, *some], [*never, *none])
    except UnmodelledError as error:
        raise UntoldError(str(error)) from None
    return found.decode() if found is not None else None


@lru_cache(maxsize=256)
def _request_with(method: str) -> Facts:
    payload = f"{method} sip:1000@psap.example SIP/2.0\r\nCSeq: 1 {method}\r\n\r\n".encode()
    return Facts(Datagram("192.0.2.10", 5060, "198.51.100.20", 5060, payload), parse_message(payload))
