"""Bodies: RFC 5621, RFC 2046 §5.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.body import body_parts, contents_of_type
from firewall.sip.message import parse_message
from tests.messages import SDP, request

NESTED = (
    "--outer\r\nContent-Type: application/sdp\r\n\r\n" + SDP + "\r\n--outer\r\n"
    'Content-Type: multipart/mixed; boundary="in ner"\r\n\r\n'
    "--in ner\r\nContent-Type: application/pidf+xml\r\nContent-ID: <loc@x>\r\n\r\n<presence/>\r\n--in ner--\r\n"
    "--outer--\r\n"
)


def test_one_body_is_one_part() -> None:
    (part,) = body_parts(parse_message(request(headers=("Content-Type: application/sdp",), body=SDP)))
    assert (part.content_type, part.content) == ("application/sdp", SDP.encode())


@pytest.mark.parametrize("written", ["Application/SDP", "application / sdp", "application/ sdp ; charset=utf-8"])
def test_a_media_type_may_be_written_in_any_case_and_with_blanks(written: str) -> None:
    """RFC 3261 §25.1: ``m-type SLASH m-subtype``, and SLASH may have blanks around it."""
    message = parse_message(request(headers=(f"Content-Type: {written}",), body=SDP))
    assert contents_of_type(message, "application/sdp") == [SDP.encode()]


@pytest.mark.parametrize(
    ("headers", "body", "content_type"),
    [
        ((), SDP, "application/sdp"),
        (("Content-Type:",), SDP, "application/sdp"),
        ((), f"\r\n{SDP}", ""),
        (("Content-Type: text/plain",), SDP, "text/plain"),
    ],
)
def test_a_body_without_a_type_is_a_description_where_it_begins_like_one(
    headers: tuple[str, ...], body: str, content_type: str
) -> None:
    (part,) = body_parts(parse_message(request(headers=headers, body=body)))
    assert (part.content_type, part.content) == (content_type, body.encode())


def test_no_body_has_no_part() -> None:
    assert body_parts(parse_message(request())) == ()


def test_nested_multipart_bodies_are_flattened() -> None:
    parts = body_parts(parse_message(request(headers=("c: multipart/mixed;boundary=outer",), body=NESTED)))
    assert [(part.content_type, part.content_id) for part in parts] == [
        ("application/sdp", None),
        ("application/pidf+xml", "loc@x"),
    ]
    assert parts[1].content == b"<presence/>"


def test_depth_is_bounded() -> None:
    body = "x"
    for level in range(40):
        body = f"--b{level}\r\nContent-Type: multipart/mixed;boundary=b{level - 1}\r\n\r\n{body}\r\n--b{level}--"
    assert len(body_parts(parse_message(request(headers=("c: multipart/mixed;boundary=b39",), body=body)))) == 1


@given(st.binary(max_size=300))
def test_any_body_gives_parts(body: bytes) -> None:
    raw = b"INVITE sip:a@b SIP/2.0\r\nc: multipart/mixed;boundary=b\r\n\r\n" + body
    body_parts(parse_message(raw))


def parts_of(body: bytes, content_type: str = "multipart/mixed;boundary=b") -> list[tuple[str, bytes]]:
    raw = f"INVITE sip:a@b SIP/2.0\r\nContent-Type: {content_type}\r\n\r\n".encode() + body
    return [(part.content_type, part.content) for part in body_parts(parse_message(raw))]


SDP_PART = b"--b\r\nContent-Type: application/sdp\r\n\r\nv=0"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (SDP_PART + b"\r\n--b--", "multipart/mixed;boundary=b"),
        (SDP_PART + b"\r\n--b--", 'MULTIPART/Mixed; charset=x; Boundary="b"'),
        (SDP_PART.replace(b"b", b"b c") + b"\r\n--b c--", 'multipart/mixed; boundary="b c"'),
        (
            b"preamble\r\n--bb\r\n" + SDP_PART + b"\r\n--b--\r\nepilogue\r\n--b\r\n\r\nno part",
            "multipart/mixed;boundary=b",
        ),
        (SDP_PART.replace(b"--b\r", b"--b  \t\r") + b"\r\n--b--", "multipart/mixed;boundary=b"),
        (SDP_PART, "multipart/mixed;boundary=b"),
        (SDP_PART.replace(b"\r\n", b"\n") + b"\n--b--", "multipart/mixed;boundary=b"),
        (SDP_PART.replace(b"Content-Type: ", b"c :\r\n ") + b"\r\n--b--", "multipart/mixed;boundary=b"),
    ],
)
def test_a_part_is_found_however_it_is_wrapped(body: bytes, content_type: str) -> None:
    """RFC 2046 §5.1: preamble, epilogue, padding, quoting, a missing end, line feeds alone, folded headers."""
    assert parts_of(body, content_type) == [("application/sdp", b"v=0")]


def test_line_ends_inside_a_part_are_left_alone() -> None:
    assert parts_of(b"--b\r\n\r\n\r\na\nb\r\n\r\n\r\n--b--") == [("text/plain", b"\r\na\nb\r\n\r\n")]


def test_a_delimiter_stands_at_the_beginning_of_a_line_and_alone() -> None:
    assert parts_of(b"--b\r\n\r\nx --b\r\n--bc\r\n--b--") == [("text/plain", b"x --b\r\n--bc")]


def test_an_inner_multipart_without_an_end_ends_with_the_outer_part() -> None:
    inner = b"--b\r\nContent-Type: multipart/alternative;boundary=i\r\n\r\n--i\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--"
    assert parts_of(inner) == [("text/plain", b"one"), ("text/plain", b"two")]


@pytest.mark.parametrize(
    "content_type", ["multipart/mixed", "multipart/mixed;boundary=other", "multipart/mixed;boundary="]
)
def test_a_multipart_body_that_cannot_be_cut_is_one_part(content_type: str) -> None:
    assert parts_of(SDP_PART, content_type) == [("multipart/mixed", SDP_PART)]


def test_the_number_of_parts_is_bounded() -> None:
    assert len(parts_of(b"--b\r\n\r\nx\r\n" * 500)) == 64


@given(st.lists(st.binary(max_size=30).filter(lambda content: b"--b" not in content), min_size=1, max_size=6))
def test_what_was_wrapped_comes_out_byte_for_byte(contents: list[bytes]) -> None:
    body = b"".join(b"--b\r\nContent-Type: a/b\r\n\r\n" + content + b"\r\n" for content in contents) + b"--b--\r\n"
    assert parts_of(body) == [("a/b", content) for content in contents]


@pytest.mark.parametrize(
    "content_type", ["application/sdp", "Application/SDP; x=y", " application/sdp", "text/plain", ""]
)
@pytest.mark.parametrize("body", [b"", b"v=0", SDP_PART, SDP_PART + b"\r\n" + SDP_PART + b"\r\n--b--"])
@pytest.mark.parametrize("outer", ["{}", "multipart/mixed;boundary=b"])
def test_contents_are_those_of_the_parts_of_their_type(content_type: str, body: bytes, outer: str) -> None:
    raw = f"INVITE sip:a@b SIP/2.0\r\nContent-Type: {outer.format(content_type)}\r\n\r\n".encode() + body
    message = parse_message(raw)
    of_type = [part.content for part in body_parts(message) if part.content_type == "application/sdp"]
    assert contents_of_type(message, "application/sdp") == of_type
