"""The head of a message, its lines and what stands in them: RFC 3261 §7.3.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip import head as head_module
from firewall.sip.head import read_head, split_head
from firewall.sip.headers import canonical_name

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
    assert len(head_module._canonical_names) <= 4096


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_head_ends_at_the_first_empty_line(line_end: bytes) -> None:
    head, head_bytes, rest = split_head(b"BYE a SIP/2.0\nTo: b\n" + line_end + b"v=0\r\n\r\nFrom: c")
    assert (head.headers, head_bytes) == ([("To", "b")], b"BYE a SIP/2.0\nTo: b")
    assert rest is not None
    assert rest.endswith(b"v=0\r\n\r\nFrom: c")
