"""Names and values of headers: RFC 3261 §7.3."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip import headers as headers_module
from firewall.sip.headers import (
    canonical_name,
    identifier,
    parse_params,
    read_head,
    split_outside,
    split_values,
    unquote,
)
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


TOKENS = st.text("abcXYZ019-.!%*_+`'~", min_size=1, max_size=12)
VALUES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=20).map(
    lambda text: text.strip(" \t")
)


@given(
    st.lists(st.tuples(TOKENS, VALUES), max_size=8),
    st.sampled_from(["\r\n", "\n"]),
    st.sampled_from([":", ": ", " :", "\t:\t", ":\r\n ", ": \n\t "]),
)
def test_headers_come_back_as_they_were_written(headers: list[tuple[str, str]], line_end: str, colon: str) -> None:
    lines = ["BYE sip:a@b SIP/2.0", *(f"{name}{colon}{value}" for name, value in headers)]
    for _ in range(2):  # the second time every name is known
        head = read_head(line_end.join(lines).encode())
        assert head.headers == headers
        assert head.first.keys() == {canonical_name(name) for name, _ in headers}
        assert not head.has_empty_line


def test_the_values_of_a_header_that_stands_twice_are_in_wire_order() -> None:
    head = read_head(b"BYE a SIP/2.0\r\nVia: 1\r\nTo: b\r\nv: 2\r\nVIA: 3")
    assert (head.values("via"), head.values("to"), head.values("from")) == (("1", "2", "3"), ("b",), ())
    assert (head.first["via"], head.repeated.keys()) == ("1", {"via"})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head(data: bytes) -> None:
    head = read_head(data)
    assert sum(len(head.values(name)) for name in head.first) == len(head.headers)
    assert all(head.values(name)[0] == value for name, value in head.first.items())


def test_a_flood_of_names_does_not_grow_what_is_remembered_without_end() -> None:
    for number in range(10_000):
        assert read_head(b"BYE a SIP/2.0\r\nX-%d: y" % number).headers == [(f"X-{number}", "y")]
    assert len(headers_module._canonical_names) <= 4096


def test_what_a_message_is_known_by_is_never_long_and_stays_its_own() -> None:
    ordinary = "a" * MAX_IDENTIFIER
    assert (identifier(None), identifier("x"), identifier(ordinary)) == (None, "x", ordinary)
    long = [ordinary + end for end in ("1", "2", "\udcff", "\U0001f691" * 15_000)]
    known_by = [identifier(text) for text in long]
    assert len(set(known_by)) == len(long)
    assert all(text is not None and len(text) == 233 and text.isascii() for text in known_by)
