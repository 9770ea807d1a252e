"""Bodies: RFC 5621, RFC 2046 §5.1."""

from hypothesis import given
from hypothesis import strategies as st

from firewall.sip.body import body_parts
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
