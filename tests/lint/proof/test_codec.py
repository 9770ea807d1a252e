import pytest

from firewall.lint.proof.codec import lists_told_apart
from tests.lint.policies import codes, condition, lint, rule


@pytest.mark.parametrize(
    ("when", "lists"),
    [
        ('media.codec == "opus"', ["pcmu", "opus"]),
        ('media.codec == "OPUS"', ["pcmu"]),
        ('media.codec matches "^g7"', ["pcmu", "g722"]),
        ('media.codec == "no name"', ["pcmu"]),
        ("count(media.codec) > 2", ["pcmu", "pcmu pcma g722"]),
        ("media.kind", ["pcmu"]),
    ],
)
def test_one_list_stands_for_all_that_a_condition_does_not_tell_apart(when: str, lists: list[str]) -> None:
    assert [" ".join(codecs) for codecs in lists_told_apart([condition(when)])] == lists  # type: ignore[list-item]


def test_a_name_is_as_long_as_a_condition_asks_for() -> None:
    ((plain,), (long,)) = lists_told_apart([condition("len(media.codec) > 20")])  # type: ignore[list-item]
    assert (plain, len(long)) == ("pcmu", 21)


def test_two_encodings_that_a_call_agrees_on_meet_two_conditions() -> None:
    asked = [condition(f'media.codec == "{name}"') for name in ("g729", "opus")]
    assert set(lists_told_apart(asked)) == {("pcmu",), ("g729",), ("opus",), ("g729", "opus")}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "when", ['media.codec matches "^g7"', 'media.codec matches "^(x-|evs$)"', 'media.codec[0:3] == "amr"']
)
def test_an_encoding_that_a_regex_or_a_slice_picks_is_found(when: str) -> None:
    assert codes(lint(rule(when))) == {("SOS116", "guilty")}


@pytest.mark.parametrize("when", ['media.codec == "PCMU"', 'media.codec contains "AMR"', 'media.codec == "pc mu"'])
def test_an_encoding_that_no_packet_has_is_not(when: str) -> None:
    assert lint(rule(when)).result == "proved"


def test_an_encoding_that_only_several_conditions_together_pick_is_found() -> None:
    assert codes(lint(rule('media.codec matches "^x-" and not media.codec == "x-"'))) == {("SOS116", "guilty")}


def test_what_no_automaton_tells_of_an_encoding_is_undecided() -> None:
    report = lint(rule('media.codec matches "(a|b).{12}c.{13}d"'))
    assert report.result == "undecided"
