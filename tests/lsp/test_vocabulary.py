import pytest

from firewall.lsp.vocabulary import meaning, proposals
from firewall.ruleset.schema import (
    EMERGENCY_KEYS,
    EXCEPTION_KEYS,
    LIMIT_KEYS,
    POLICY_KEYS,
    RULE_KEYS,
    SCHEDULE_KEYS,
    SURGE_KEYS,
    ZONE_KEYS,
)

POLICY = """policy: x
zones:
  carrier:
    ~1
  psap: {~2
emergency:
  surge:
    ~3
  ~4
exceptions: {malformed: ~5
rules:
  - name: a
    ~6
    limit: {rate: 30/2s, ~7
    schedule:
      ~8
  - ~9
~10
"""
AT_THE_MARGIN = """policy: x
rules:
- name: a
  ~1
- name: b
  limit:
    ~2
"""


def offered(text: str, place: str) -> set[str]:
    lines = text.split("\n")
    line = next(index for index, each in enumerate(lines) if each.endswith(place))
    column = lines[line].index(place)
    clean = [each.split("~")[0] if "~" in each else each for each in lines]
    return {word for word, _ in proposals(clean, line, column)}


@pytest.mark.parametrize(
    ("text", "place", "keys"),
    [
        (POLICY, "~1", ZONE_KEYS),
        (POLICY, "~2", ZONE_KEYS),
        (POLICY, "~3", SURGE_KEYS),
        (POLICY, "~4", EMERGENCY_KEYS),
        (POLICY, "~6", RULE_KEYS),
        (POLICY, "~7", LIMIT_KEYS),
        (POLICY, "~8", SCHEDULE_KEYS),
        (POLICY, "~9", RULE_KEYS),
        (POLICY, "~10", POLICY_KEYS),
        (AT_THE_MARGIN, "~1", RULE_KEYS),
        (AT_THE_MARGIN, "~2", LIMIT_KEYS),
    ],
)
def test_the_keys_of_the_section_are_proposed(text: str, place: str, keys: dict[str, object]) -> None:
    assert offered(text, place) == set(keys)


@pytest.mark.parametrize(
    ("line", "some"),
    [
        ('    when: sip.Method == "INVITE" and ', {"emergency", "net.src", "sip.r-uri.user"}),
        ("  - {name: a, when: ", {"emergency", "net.src"}),
        ("    action: ", {"allow", "drop", "reject"}),
        ("    mode: ", {"enforce", "shadow"}),
        ("  # sosgate: ignore[SOS204, ", {"SOS205", "SOS206"}),
    ],
)
def test_what_can_stand_there_is_proposed(line: str, some: set[str]) -> None:
    lines = ["rules:", line]
    found = {word for word, _ in proposals(lines, 1, len(line))}
    assert some <= found
    assert ("name" in found) == ("name" in some)


def test_fields_are_proposed_in_every_line_of_a_folded_expression() -> None:
    lines = ["rules:", "  - name: a", "    when: >", '      sip.Method == "INVITE"', "      and "]
    assert "emergency" in {word for word, _ in proposals(lines, 4, 10)}


def test_a_code_that_cannot_be_ignored_is_not_proposed() -> None:
    line = "  # sosgate: ignore["
    found = {word for word, _ in proposals([line], 0, len(line))}
    assert {"SOS110", "SOS204"} <= found
    assert not {"SOS001", "SOS101", "SOS115", "SOS211"} & found


def test_values_of_an_exception_are_proposed_in_a_mapping_on_one_line() -> None:
    assert set(EXCEPTION_KEYS) <= offered("exceptions: {~1", "~1")


@pytest.mark.parametrize(
    ("line", "word", "told"),
    [
        ('    when: sip.r-uri.user == "911"', "r-uri", "**sip.r-uri.user** (text, a field of Wireshark)"),
        ("    when: not emergency", "emergency", "**emergency** (flag, a field of sosgate)"),
        ("    action: drop", "action", "**action**\n\nWhat happens to what matches."),
        ("  # sosgate: ignore[SOS204] x", "SOS204", "**SOS204 default-allow** (warning)"),
        ("emergency:", "emergency", "**emergency**\n\nWhat this network calls an emergency"),
    ],
)
def test_a_word_is_explained(line: str, word: str, told: str) -> None:
    above = ["rules:", "  - name: a"] if line[0] == " " else []
    found = meaning([*above, line], len(above), line.index(word))
    assert found is not None
    assert found.startswith(told)


def test_a_value_is_not_explained() -> None:
    assert meaning(["policy: county-esinet"], 0, 10) is None
    assert meaning([""], 0, 0) is None
