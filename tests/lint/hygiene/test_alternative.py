"""What a condition lists, taken apart: together the parts are the whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.errors import Place
from firewall.lint.hygiene.alternative import alternatives
from firewall.ruleset.expression import Condition, Field, Matches
from firewall.ruleset.literal import ExpressionError
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.regex import compile_regex


def parse(text: str) -> Condition:
    return parse_expression(text, sets={}, place=Place("test"))


@pytest.mark.parametrize(
    ("when", "listed"),
    [
        ('sip.Method in {"A", "B"}', ['"A"', '"B"']),
        ('sip.Method == "A" or sip.To', ['sip.Method == "A"', "sip.To"]),
        ('sip.r-uri.user matches "^(00|900)"', ['sip.r-uri.user matches "^00"', 'sip.r-uri.user matches "^900"']),
        ('sip.To matches "a|b[|]c"', ['sip.To matches "a"', 'sip.To matches "b[|]c"']),
        ('sip.To and sip.To matches "x(?:a|)y"', ['sip.To matches "xay"', 'sip.To matches "xy"']),
        ('sip.To matches "((a|b)c|d)"', ['sip.To matches "(a|b)c"', 'sip.To matches "d"']),
        ('sip.To matches "^(00|900)+"', []),
        ('sip.To matches "(?i)a|b"', []),
        (r'sip.To matches r"a\|b"', []),
        ('sip.To matches "abc"', []),
    ],
)
def test_the_parts_are_those_that_are_written(when: str, listed: list[str]) -> None:
    assert [text for text, _ in alternatives(parse(when))] == listed


_PIECES = st.sampled_from(
    ["a", "b", "|", "(", "(?:", ")", "[ab]", "[|)]", "\\|", "\\(", "^", "$", "*", "+", "{2}", "."]
)


@given(st.lists(_PIECES, max_size=12).map("".join), st.lists(st.text("ab|()", max_size=5), min_size=5, max_size=20))
def test_the_branches_of_a_regex_match_together_what_it_matches(regex: str, texts: list[str]) -> None:
    try:
        compiled = compile_regex(regex)
    except ExpressionError:
        return
    conditions = [each for _, each in alternatives(Matches(Field("sip.To"), regex))]
    branches = [compile_regex(each.regex) for each in conditions if isinstance(each, Matches)]
    for text in texts if branches else []:
        found = any(each.search(text.encode()) is not None for each in branches)
        assert found == (compiled.search(text.encode()) is not None)
