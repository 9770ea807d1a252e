"""The texts one field can have: whether a text meets some conditions and not others, over all byte strings.

A real field has fewer values than that, so what is impossible here is impossible in every message, also an odd one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, product

from firewall.lint.language.automaton import CERTAIN, DEAD, Automaton, holds_of, text_to
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.core import needed
from firewall.lint.language.predicate import Demand, automaton, demands
from firewall.lint.language.regex import read_regex, short_text
from firewall.ruleset.expression import Atom, Comparison, Field, Matches, Membership, SetMembers
from firewall.ruleset.literal import text_bytes
from firewall.ruleset.regex import compile_regex

MAX_STATES = 3000
"""Steps of one search; a question that needs more stays open."""
_MAX_LISTED = 20_000
_MAX_WAYS = 8

# A found text is made of bytes that people type, where there is a choice.
_TYPED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.@:-_"
_BYTES = _TYPED + bytes(byte for byte in (*range(0x21, 0x7F), *range(0x21), *range(0x7F, 256)) if byte not in _TYPED)


@dataclass(frozen=True, slots=True)
class Said:
    """One condition on a field, whether it holds, and the formula's literal that says so."""

    atom: Atom
    holds: bool
    literal: int


def text_meeting(some: Sequence[Atom], none: Sequence[Atom]) -> bytes | None:
    """Return a text that each of ``some`` holds of and none of ``none``; None when there is no such text.

    Raises:
        UnmodelledError: a regex or another form has no automaton, or the search was given up.
    """
    return _text_meeting(tuple(some), tuple(none))


@lru_cache(maxsize=32_768)
def _text_meeting(some: tuple[Atom, ...], none: tuple[Atom, ...]) -> bytes | None:
    listed = next(((each, texts) for each in some if (texts := listed_texts(each)) is not None), None)
    if listed is not None and len(listed[1]) <= _MAX_LISTED:
        others = [each for each in some if each is not listed[0]]
        sets = [texts for each in none if (texts := listed_texts(each)) is not None]
        rest = [each for each in none if listed_texts(each) is None]
        left = listed[1].difference(*sets) if sets else listed[1]
        for text in sorted(left):
            if all(_holds(each, text) for each in others) and not any(_holds(each, text) for each in rest):
                return text_bytes(text)
        return None
    return _searched([automaton(each) for each in some], [automaton(each) for each in none])


@lru_cache(maxsize=65_536)
def text_matching(regex: str) -> bytes | None:
    """Return a text that a regex fits; None when there is none.

    Raises:
        UnmodelledError: the regex has no automaton, or the search was given up.
    """
    likely = short_text(read_regex(regex))
    if compile_regex(regex).search(likely) is not None:
        return likely
    return text_meeting([Matches(Field("sip"), regex)], [])


@lru_cache(maxsize=16_384)
def listed_texts(atom: Atom) -> frozenset[str] | None:
    """Return the texts of which an atom names every one that it holds of; None where it is no such list."""
    if not isinstance(atom.operand, Field):
        return None
    match atom:
        case Comparison(_, "==", str() as text):
            return frozenset((text,))
        case Membership(_, items):
            texts: set[str] = set()
            for item in items:
                match item:
                    case str():
                        texts.add(item)
                    case SetMembers(_, frozenset() as members):
                        texts |= members
                    case _:
                        return None
            return frozenset(texts)
        case _:
            return None


def conflict(said: Sequence[Said], *, is_single: bool) -> list[int] | None:
    """Return literals that no message can have together, as few as are easily found; None when there are none known.

    A field with several values meets each positive condition by a value of its own, so only one of those can be part
    of a conflict; all of them can where the field ``is_single``.
    """
    try:
        return _conflict(said, is_single=is_single)
    except UnmodelledError:
        return None


def _conflict(said: Sequence[Said], *, is_single: bool) -> list[int] | None:
    plain: list[tuple[Said, Demand]] = []
    forked: list[tuple[Said, tuple[Demand, ...]]] = []
    for each in said:
        ways = demands(each.atom, holds=each.holds)
        if len(ways) == 1:
            plain.append((each, ways[0]))
        else:
            forked.append((each, ways))
    while 2 ** len(forked) > _MAX_WAYS:
        forked.pop()
    core: dict[int, None] = {}
    for chosen in product(*(ways for _, ways in forked)):
        demanded = [*plain, *((each, way) for (each, _), way in zip(forked, chosen, strict=True))]
        some = [(each.literal, atom) for each, demand in demanded for atom in demand.some]
        none = [(each.literal, atom) for each, demand in demanded for atom in demand.none]
        found = _single_conflict(some, none) if is_single else _any_conflict(some, none)
        if found is None:
            return None
        core.update(dict.fromkeys(found))
    return list(core)


_Named = list[tuple[int, Atom]]


def _any_conflict(some: _Named, none: _Named) -> list[int] | None:
    for literal, atom in some:
        try:
            found = _single_conflict([(literal, atom)], none)
        except UnmodelledError:
            continue
        if found is not None:
            return found
    return None


def _single_conflict(some: _Named, none: _Named) -> list[int] | None:
    if not some:
        return None
    for few_some, few_none in _small_questions(some, none):
        try:
            if _excludes(few_some, few_none):
                return [literal for literal, _ in (*few_some, *few_none)]
        except UnmodelledError:
            continue
    if len(some) + len(none) <= 2 or not _excludes(some, none):
        return None
    few_some = needed(some, lambda few: bool(few) and _excludes(few, none))
    few_none = needed(none, lambda few: _excludes(few_some, few))
    return [literal for literal, _ in (*few_some, *few_none)]


def _excludes(some: _Named, none: _Named) -> bool:
    """Tell whether no text meets all of ``some`` and nothing of ``none``."""
    return text_meeting([atom for _, atom in some], [atom for _, atom in none]) is None


def _small_questions(some: _Named, none: _Named) -> Iterator[tuple[_Named, _Named]]:
    for each in some:
        yield [each], []
        for other in none:
            yield [each], [other]
    for first, second in combinations(some, 2):
        yield [first, second], []


def _holds(atom: Atom, text: str) -> bool:
    listed = listed_texts(atom)
    return text in listed if listed is not None else holds_of(automaton(atom), text_bytes(text))


def _searched(some: Sequence[Automaton], none: Sequence[Automaton]) -> bytes | None:
    """Walk all automata together, breadth first: the text found is one of the shortest."""
    automata = [*some, *none]
    wanted = len(some)
    letters = _letters(automata)
    start = tuple(each.start for each in automata)
    before: dict[tuple[object, ...], tuple[tuple[object, ...], int] | None] = {start: None}
    pending = [start]
    for states in pending:
        if all(a.accepts(s) for a, s in zip(some, states, strict=False)) and not any(
            a.accepts(s) for a, s in zip(none, states[wanted:], strict=True)
        ):
            return text_to(states, before)
        for byte in letters:
            after = tuple(each.step(state, byte) for each, state in zip(automata, states, strict=True))
            if after in before or DEAD in after[:wanted] or CERTAIN in after[wanted:]:
                continue
            before[after] = (states, byte)
            pending.append(after)
        if len(before) > MAX_STATES:
            raise UnmodelledError("too many states")
    return None


def _letters(automata: Sequence[Automaton]) -> list[int]:
    """Return one byte of each kind that all automata treat alike."""
    found: dict[tuple[int, ...], int] = {}
    for byte, *classes in zip(_BYTES, *(_BYTES.translate(each.classes) for each in automata), strict=True):
        found.setdefault(tuple(classes), byte)
    return list(found.values())
