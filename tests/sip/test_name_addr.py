"""From, To, Contact, Route values: RFC 3261 §20.10."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.name_addr import NameAddr, _parse_unusual, parse_name_addr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            '"A. G. Bell" <sip:agb@bell.example>;tag=a48s',
            NameAddr("A. G. Bell", "sip:agb@bell.example", {"tag": "a48s"}),
        ),
        (
            "Anonymous <sip:c8oqz84zk7z@p.example>;tag=hyh8",
            NameAddr("Anonymous", "sip:c8oqz84zk7z@p.example", {"tag": "hyh8"}),
        ),
        ("sip:+12125551212@phone.example;tag=887s", NameAddr(None, "sip:+12125551212@phone.example", {"tag": "887s"})),
        ("<sip:a@b;lr>;q=0.7", NameAddr(None, "sip:a@b;lr", {"q": "0.7"})),
        ("urn:service:sos", NameAddr(None, "urn:service:sos", {})),
        ('"x < y \\" z" <sip:a@b>', NameAddr('x < y " z', "sip:a@b", {})),
        ("<sip:unclosed", NameAddr(None, "sip:unclosed", {})),
        ("", NameAddr(None, "", {})),
    ],
)
def test_a_value_is_split(text: str, expected: NameAddr) -> None:
    assert parse_name_addr(text) == expected


@given(st.text(max_size=80))
def test_any_text_is_read(text: str) -> None:
    assert parse_name_addr(text) == _parse_unusual(text)


@given(
    st.lists(
        st.sampled_from(
            [
                '"',
                "\\",
                "<",
                ">",
                ";",
                "=",
                " ",
                "\n",
                "\xa0",
                "a",
                "\u00e9",
                '"A b" ',
                "<sip:a@b>",
                ";tag=",
                ";Tag=",
                "t-1",
                ",",
            ]
        ),
        max_size=9,
    ).map("".join)
)
def test_the_usual_form_is_read_as_any_other(text: str) -> None:
    assert parse_name_addr(text) == _parse_unusual(text)


@given(
    st.none() | st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), min_size=1, max_size=12),
    st.text("abc@:;=?,.", min_size=1, max_size=12),
    st.dictionaries(
        st.text("abc-", min_size=1, max_size=4), st.none() | st.text("xyz;,<>", min_size=1, max_size=4), max_size=3
    ),
)
def test_the_parts_of_an_address_come_back(name: str | None, uri: str, params: dict[str, str | None]) -> None:
    quoted = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '" ' if name else ""
    text = f"{quoted}<{uri}>" + "".join(f";{key}" + (f'="{value}"' if value else "") for key, value in params.items())
    read = parse_name_addr(text)
    assert (read.display_name, read.uri, read.params) == (name, uri, params)
