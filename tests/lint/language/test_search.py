import random
from itertools import product

import pytest

from firewall.lint.language.automaton import holds_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.carrier import places
from firewall.lint.language.predicate import automaton
from firewall.lint.language.search import Bound, Question, find
from firewall.ruleset.expression import (
    Atom,
    Call,
    Comparison,
    Contains,
    Exists,
    Field,
    Matches,
    Membership,
    Range,
    Slice,
    base_field,
)

_X = Field("sip.header", "x-small")
_WORDS = [bytes(letters) for size in range(4) for letters in product(b"ab", repeat=size)]
_MESSAGES = [(), *((word,) for word in _WORDS), *product(_WORDS, repeat=2)]
"""Every message with at most two values of a header, of at most three letters each."""
_ATOMS: list[Atom] = [
    Exists(_X),
    *(Comparison(_X, "==", text) for text in ("a", "ab", "")),
    *(Comparison(_X, comparator, "ab") for comparator in ("<", ">=")),
    *(Contains(_X, text) for text in ("b", "ab", "aa")),
    *(Matches(_X, regex) for regex in ("^a", "b$", "^(ab?)*$", "^$", "a.b")),
    *(Comparison(Call("len", _X), comparator, 2) for comparator in ("<", "==", ">")),
    Membership(_X, ("bb", Range("aab", "abb"))),
    Comparison(Slice(_X, -1, 1), "==", "a"),
    Exists(Slice(_X, 1, 2)),
    Comparison(Call("upper", _X), "==", "BA"),
]


def _question(some: list[Atom], none: list[Atom]) -> Question:
    place = places(base_field((*some, *none)[0].operand))[0]

    def bounds(atoms: list[Atom]) -> frozenset[Bound]:
        return frozenset(Bound(atom, place.groups) for atom in atoms)

    return Question(place.carrier, bounds(some), bounds(none))


def _is_met(values: tuple[bytes, ...], some: list[Atom], none: list[Atom]) -> bool:
    seen = {atom for atom in (*some, *none) if any(holds_of(automaton(atom), value) for value in values)}
    return seen.issuperset(some) and seen.isdisjoint(none)


@pytest.mark.parametrize("seed", range(12))
def test_there_is_an_answer_wherever_trying_every_small_message_finds_one(seed: int) -> None:
    rnd = random.Random(seed)
    for _ in range(15):
        some = rnd.sample(_ATOMS, rnd.randint(0, 3))
        none = [atom for atom in rnd.sample(_ATOMS, rnd.randint(1, 3)) if atom not in some]
        if not (some or none):
            continue
        text = find(_question(some, none))
        if text is not None:
            assert _is_met(tuple(text.split(b"\n")[:-1]), some, none)
        else:
            assert not any(_is_met(values, some, none) for values in _MESSAGES)


def test_a_slice_far_from_the_end_is_found_without_trying_what_lies_behind_it() -> None:
    to = Field("sip.to.addr")
    text = find(_question([Comparison(Slice(to, -22, 2), "==", "ab")], []))
    assert text is not None
    assert b"ab" in text


def test_one_value_that_meets_all_comes_before_one_for_each() -> None:
    text = find(_question([Contains(Field("sip.User-Agent"), "ab"), Contains(Field("sip.User-Agent"), "cd")], []))
    assert text is not None
    assert text.count(b"\n") == 1


def test_two_values_are_given_where_one_cannot_be_both() -> None:
    user = Field("sip.contact.user")
    text = find(_question([Comparison(user, "==", "a"), Comparison(user, "==", "b")], []))
    assert text is not None
    assert b"a@" in text
    assert b"b@" in text


def test_a_parameter_that_counts_once_is_not_written_twice_in_a_hop() -> None:
    ttl = Field("sip.Via.ttl")
    text = find(_question([Comparison(ttl, "==", "1"), Comparison(ttl, "==", "2")], []))
    assert text is not None
    assert len(text.replace(b",", b"\n").split()) > 3


def test_values_are_counted() -> None:
    via = Field("sip.Via")
    text = find(_question([Comparison(Call("count", via), ">", 2)], []))
    assert text is not None
    assert text.count(b"\n") == 3
    assert find(_question([Comparison(Call("count", via), ">", 70)], [])) is None


def test_a_search_that_would_be_endless_is_given_up() -> None:
    regexes = [Matches(Field("sip.User-Agent"), f"{letter}.{{40}}{letter}.{{30}}[^x]$") for letter in "abcd"]
    with pytest.raises(UnmodelledError, match="too many states"):
        find(_question([*regexes], [Matches(Field("sip.User-Agent"), "(a|b).{12}[cd].{9}q")]))


@pytest.mark.parametrize(
    ("name", "atoms"),
    [
        ("r-uri", [Matches(Field("sip.r-uri"), "^.{900}x")]),
        ("To", [Matches(Field("sip.To"), "x.{400}y")]),
        ("Via", [Matches(Field("sip.Via"), "^.{500,1000}$")]),
        ("r-uri", [Comparison(Slice(Field("sip.r-uri"), 900, 4), "==", "xxxx")]),
        ("Subject", [Matches(Field("sip.Subject"), "(.{30}x){20}"), Matches(Field("sip.Subject"), "^.{640}z")]),
    ],
)
def test_a_text_that_is_long_because_a_condition_counts_is_found(name: str, atoms: list[Atom]) -> None:
    text = find(_question(atoms, []))
    assert text is not None, name
    assert len(text) > 400


def test_what_was_too_hard_once_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    question = _question([Comparison(Call("len", Field("sip.Via")), "<", 0)], [Matches(Field("sip.Via"), "a(.{11})b")])
    monkeypatch.setattr("firewall.lint.language.search.MAX_STATES", 10)
    with pytest.raises(UnmodelledError, match="too many states"):
        find(question)
    monkeypatch.undo()
    with pytest.raises(UnmodelledError, match="too many states"):
        find(question)
