"""Nodes are read strictly: known keys, right kinds."""

import pytest

from firewall.errors import PolicyError, shown
from firewall.ruleset.kind import NAME, TEXT, Key, Keys, Section, choice, integer, items, list_of, scalar, suggestion
from firewall.ruleset.yaml_nodes import Mapping, Node, read_yaml

KEYS: Keys = {"a": Key("", NAME), "b": Key("", NAME)}


def node(written: str) -> Node:
    root = read_yaml(written.encode(), file="p.yaml")
    assert isinstance(root, Mapping)
    return root.entries[0][1]


def refusal(read: object, written: str) -> str:
    assert callable(read)
    with pytest.raises(PolicyError) as caught:
        read(node(written), "x")
    return str(caught.value).removeprefix("p.yaml:")


@pytest.mark.parametrize(
    ("read", "written", "error"),
    [
        (scalar, "x: [1]", "1:4: error: x must be a single value, not a list"),
        (scalar, "x: {a: b}", "1:4: error: x must be a single value, not a mapping"),
        (scalar, "x:", "1:3: error: x is empty; give it a value or remove it"),
        (scalar, "x: ''", "1:4: error: x is empty; give it a value or remove it"),
        (scalar, "x: ~", "1:4: error: x is empty; give it a value or remove it"),
        (items, "x: a", '1:4: error: x must be a list, not "a"; write [a]'),
        (items, "x: {a: b}", "1:4: error: x must be a list, not a mapping; begin each item with a dash"),
        (
            NAME.read,
            "x: a b",
            '1:4: error: "a b" cannot be a name; use letters, digits, - _ and ., 128 at most, no - or . first',
        ),
        (choice(("allow", "drop")).read, "x: alow", '1:4: error: x cannot be "alow"; did you mean "allow"?'),
        (choice(("allow", "drop")).read, "x: 7", '1:4: error: x cannot be "7"; there are allow, drop'),
        (integer(1, 9).read, "x: 10", '1:4: error: x must be a number from 1 to 9, not "10"'),
        (integer(1, 9).read, "x: -1", '1:4: error: x must be a number from 1 to 9, not "-1"'),
        (integer(1, 9).read, "x: ٣", '1:4: error: x must be a number from 1 to 9, not "٣"'),
    ],
)
def test_a_wrong_node_is_refused_with_its_place(read: object, written: str, error: str) -> None:
    assert refusal(read, written) == error


def test_a_long_list_of_what_there_is_is_cut() -> None:
    said = suggestion("carrier", [f"psap{number}" for number in range(300)])
    assert said.startswith("there are psap0, psap1, ")
    assert said.endswith(", psap10, …")
    assert suggestion("z", list("abcdefghijkl")) == "there are a, b, c, d, e, f, g, h, i, j, k, l"


def test_right_nodes_are_read() -> None:
    assert scalar(node("x: 007"), "x").text == "007"
    assert NAME.read(node("x: quiet-night"), "x") == "quiet-night"
    assert integer(300, 699).read(node("x: '503'"), "x") == 503
    assert items(node("x:"), "x") == ()
    assert [item.text for item in list_of(TEXT, some="").read(node("x: [a, b]"), "x")] == ["a", "b"]


def test_a_section_knows_its_keys() -> None:
    section = Section(node("x: {a: 1}"), "the thing", KEYS)
    assert "a" in section
    assert section.get("b") is None
    assert section.values(a="called") == {"called": "1"}
    with pytest.raises(PolicyError, match='1:5: error: unknown key "c" in the thing; did you mean "ca"'):
        Section(node("x: {c: 1}"), "the thing", {"ca": KEYS["a"], **KEYS})
    with pytest.raises(PolicyError, match='1:4: error: the thing has no "b"; add b:'):
        Section(node("x: {a: 1}"), "the thing", {"b": Key("", NAME, is_required=True), "a": KEYS["a"]})
    with pytest.raises(PolicyError, match="the thing must be a mapping of keys, not a list"):
        Section(node("x: [1]"), "the thing", KEYS)


def test_what_is_shown_fits_one_line() -> None:
    assert shown("a\nb" + "c" * 100) == "a·b" + "c" * 54 + "…"
    assert suggestion("zzz", ["one"]) == "there is one"
    assert suggestion("zzz", []) == "there are none"
