import pytest

from firewall.lint.proof.codec import told_apart
from tests.lint.policies import codes, condition, lint, rule


@pytest.mark.parametrize(
    ("when", "names"),
    [
        ('media.codec == "opus"', ("pcmu", "opus")),
        ('media.codec == "OPUS"', ("pcmu",)),
        ('media.codec matches "^g7"', ("pcmu", "g722")),
        ("len(media.codec) > 20", ("pcmu", "x" * 21)),
        ('media.codec == "no name"', ("pcmu",)),
        ("media.kind", ("pcmu",)),
    ],
)
def test_one_encoding_stands_for_all_that_a_condition_does_not_tell_apart(when: str, names: tuple[str, ...]) -> None:
    found = told_apart([condition(when)])  # type: ignore[list-item]
    assert (found[0], [len(name) for name in found]) == (names[0], [len(name) for name in names])


@pytest.mark.parametrize(
    "when", ['media.codec matches "^g7"', 'media.codec matches "^(x-|evs$)"', 'media.codec[0:3] == "amr"']
)
def test_an_encoding_that_a_regex_or_a_slice_picks_is_found(when: str) -> None:
    assert codes(lint(rule(when))) == {("SOS116", "guilty")}


@pytest.mark.parametrize("when", ['media.codec == "PCMU"', 'media.codec contains "AMR"', 'media.codec == "pc mu"'])
def test_an_encoding_that_no_packet_has_is_not(when: str) -> None:
    assert lint(rule(when)).result == "proved"
