"""Names and values of headers: RFC 3261 §7.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.headers import canonical_name, identifier, parse_params, split_outside, split_values, unquote
from firewall.sip.limits import MAX_IDENTIFIER


@pytest.mark.parametrize(("name", "canonical"), [("v", "via"), ("VIA", "via"), ("L", "content-length"), ("X-Y", "x-y")])
def test_names_have_one_form(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


def test_commas_inside_quotes_and_brackets_do_not_split() -> None:
    assert split_values('"a, b" <sip:x,y@z>, <sip:c>,d') == ['"a, b" <sip:x,y@z>', "<sip:c>", "d"]


def test_parameters_are_read_with_lower_case_names_and_without_quotes() -> None:
    assert parse_params('Tag=1;LR;name="a;b";tag=2') == {"tag": "1", "lr": None, "name": "a;b"}


def test_a_quoted_string_loses_its_quotes_and_escapes() -> None:
    assert unquote('"a\\"b\\\\c"') == 'a"b\\c'


@given(st.text(max_size=60), st.sampled_from(",;"))
def test_splitting_loses_no_character_but_blanks_and_separators(text: str, separator: str) -> None:
    kept = "".join(split_outside(text, separator)).replace(separator, "")
    assert "".join(kept.split()) == "".join(text.replace(separator, "").split())


def test_what_a_message_is_known_by_is_never_long_and_stays_its_own() -> None:
    ordinary = "a" * MAX_IDENTIFIER
    assert (identifier(None), identifier("x"), identifier(ordinary)) == (None, "x", ordinary)
    long = [ordinary + end for end in ("1", "2", "\udcff", "\U0001f691" * 15_000)]
    known_by = [identifier(text) for text in long]
    assert len(set(known_by)) == len(long)
    assert all(text is not None and len(text) == 233 and text.isascii() for text in known_by)
