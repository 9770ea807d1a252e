from firewall.lint.language.draft import read_draft
from tests.lint.language.messages import TEMPLATE

_FOLDED = b"OPTIONS sip:a SIP/2.0\r\nf: <sip:b>\r\n ;tag=1\r\nX-A: 1\r\nVIA: v\r\nx-a: 2\r\n\r\nbody"


def test_a_message_taken_apart_is_put_together_as_it_was() -> None:
    for payload in (TEMPLATE, _FOLDED, _FOLDED.replace(b"\r\n", b"\n")):
        assert read_draft(payload).payload == payload


def test_new_values_stand_where_the_old_ones_did_under_the_name_they_had() -> None:
    draft = read_draft(_FOLDED).with_values("from", "From", [b"<sip:c>"])
    assert draft.payload.split(b"\r\n")[1:3] == [b"f: <sip:c>", b"X-A: 1"]
    assert draft.with_values("x-a", "X-A", [b"3"]).payload.count(b"X-A: 3") == 1
    assert draft.with_values("x-a", "X-A", []).values("x-a") == 0


def test_a_header_it_did_not_have_stands_before_what_describes_the_body() -> None:
    lines = read_draft(TEMPLATE).with_values("subject", "Subject", [b"a", b"b"]).payload.split(b"\r\n")
    assert lines.index(b"Subject: a") + 2 == lines.index(b"Content-Type: application/sdp")


def test_one_header_alone_is_still_a_message() -> None:
    assert read_draft(_FOLDED).only("x-a").payload == b"OPTIONS sip:a SIP/2.0\r\nX-A: 1\r\nx-a: 2\r\n\r\n"


def test_a_message_whose_lines_end_with_lf_keeps_them() -> None:
    draft = read_draft(_FOLDED.replace(b"\r\n", b"\n")).with_values("x-a", "X-A", [b"3"])
    assert draft.payload == b"OPTIONS sip:a SIP/2.0\nf: <sip:b>\n ;tag=1\nX-A: 3\nVIA: v\n\nbody"
