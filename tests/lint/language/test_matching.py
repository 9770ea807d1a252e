import pytest

from firewall.lint.language.automaton import CERTAIN, DEAD, holds_of
from firewall.lint.language.bounds import UnmodelledError
from firewall.lint.language.matching import Matching


def test_a_regex_that_is_found_stays_found() -> None:
    automaton = Matching("ab")
    state = automaton.start
    for byte in b"xab":
        state = automaton.step(state, byte)
    assert automaton.step(state, ord("x")) == CERTAIN


def test_an_anchored_regex_is_lost_at_the_first_wrong_byte() -> None:
    automaton = Matching("^ab")
    assert automaton.step(automaton.start, ord("b")) == DEAD


@pytest.mark.parametrize(
    ("regex", "text", "holds"),
    [("(?m)^b$", b"a\nb\nc", True), ("^b$", b"a\nb", False), (r"\Bb", b"ab", True), (r"\Bb", b"a b", False)],
)
def test_assertions_see_what_stands_before_and_behind(regex: str, text: bytes, holds: bool) -> None:
    assert holds_of(Matching(regex), text) is holds


def test_bytes_that_no_part_tells_apart_are_one_class() -> None:
    classes = Matching("[a-c]x").classes
    assert classes[ord("a")] == classes[ord("B")] != classes[ord("x")]
    assert classes[ord("y")] == classes[ord("!")]


def test_a_repetition_too_large_to_write_out_is_not_answered() -> None:
    with pytest.raises(UnmodelledError, match="repeats too much"):
        Matching("(?:a{500}){900}")
