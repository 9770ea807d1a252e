"""URIs: RFC 3261 §19.1, RFC 3966, RFC 8141."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.uri import parse_uri, split_host_port, unescape


def test_a_sip_uri_is_split_into_all_its_parts() -> None:
    uri = parse_uri("SIP:alice:secret@[2001:db8::1]:5070;transport=tcp;lr?subject=hi")
    assert (uri.scheme, uri.user, uri.password, uri.host, uri.port) == ("sip", "alice", "secret", "[2001:db8::1]", 5070)
    assert (uri.params, uri.headers) == ({"transport": "tcp", "lr": None}, "subject=hi")


@pytest.mark.parametrize(
    ("text", "user", "host"),
    [
        ("sip:psap.example", None, "psap.example"),
        ("sip:911@psap.example;user=phone", "911", "psap.example"),
        ("sip:911;phone-context=+1@h;user=phone", "911;phone-context=+1", "h"),
        ("sips:a@b@c", "a@b", "c"),
        ("tel:911;phone-context=+1", "911", None),
        ("tel:+1-617-555-0123", "+1-617-555-0123", None),
    ],
)
def test_user_and_host(text: str, user: str | None, host: str | None) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host) == (user, host)


@pytest.mark.parametrize(
    ("text", "scheme", "opaque"),
    [
        ("urn:service:sos", "urn", "service:sos"),
        ("URN:service:SOS.fire", "urn", "service:SOS.fire"),
        ("911", "", "911"),
        ("", "", ""),
        ("mailto:a@b", "mailto", "a@b"),
    ],
)
def test_what_is_neither_sip_nor_tel_is_opaque(text: str, scheme: str, opaque: str) -> None:
    uri = parse_uri(text)
    assert (uri.scheme, uri.opaque, uri.user) == (scheme, opaque, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h", ("h", None)),
        ("h:5060", ("h", 5060)),
        ("h:x", ("h", None)),
        ("h:70000", ("h", None)),
        ("[::1]:5", ("[::1]", 5)),
        ("[::1] : 5", ("[::1]", 5)),
        ("h : 5", ("h", 5)),
    ],
)
def test_host_and_port(text: str, expected: tuple[str, int | None]) -> None:
    assert split_host_port(text) == expected


def test_escapes_are_resolved_and_broken_ones_stay() -> None:
    assert unescape("%39%31%31%zz%") == "911%zz%"


@given(st.text(max_size=80))
def test_any_text_is_a_uri_of_some_kind(text: str) -> None:
    assert parse_uri(text).text == text.strip()


UNRESERVED = "abcXYZ019-_.!~*'()"
HOSTS = st.sampled_from(["h", "psap.example", "192.0.2.1", "[2001:db8::1]"])


@given(
    st.sampled_from(["sip", "SIPS", "sip"]),
    st.none() | st.text(UNRESERVED + "&=+$,;?/%", min_size=1, max_size=12),
    HOSTS,
    st.none() | st.integers(0, 65535),
    st.dictionaries(
        st.text("abc-", min_size=1, max_size=4), st.none() | st.text("xyz%41", min_size=1, max_size=4), max_size=3
    ),
    st.none() | st.text("abc=&%", max_size=8),
)
def test_the_parts_of_a_sip_uri_come_back(
    scheme: str, user: str | None, host: str, port: int | None, params: dict[str, str | None], headers: str | None
) -> None:
    text = f"{scheme}:" + (f"{user}@" if user else "") + host + (f":{port}" if port is not None else "")
    text += "".join(f";{name}" + (f"={value}" if value else "") for name, value in params.items())
    text += f"?{headers}" if headers is not None else ""
    uri = parse_uri(text)
    assert (uri.scheme, uri.user, uri.host, uri.port) == (scheme.lower(), user, host, port)
    assert (uri.params, uri.headers) == (params, headers)
