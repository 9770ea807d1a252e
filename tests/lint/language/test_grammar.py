import re

import pytest

from firewall.lint.language import grammar
from firewall.ruleset.regex import compile_regex


def _is_whole(regex: str, text: bytes) -> bool:
    return compile_regex(f"(?-i:{_without_repeated_names(regex)})").fullmatch(text) is not None


def _without_repeated_names(regex: str) -> str:
    """RE2 takes a group's name once; what is read by a group does not matter here."""
    return re.sub(r"\(\?P<\w+>", "(", regex)


@pytest.mark.parametrize("maximum", [9, 10, 70, 255, 65535, 2**31 - 1, 2**32 - 1])
def test_numbers_go_up_to_their_maximum(maximum: int) -> None:
    near = [0, 1, maximum // 2, maximum - 1, maximum, maximum + 1, maximum * 10]
    regex = grammar.number_up_to(maximum)
    assert [_is_whole(regex, str(number).encode()) for number in near] == [number <= maximum for number in near]
    assert not _is_whole(grammar.positive_up_to(maximum), b"0")
    assert not _is_whole(regex, b"01")


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        (grammar.REQUEST_LINE, b"INVITE sips:+1-911;phone-context=x:pw@[2001:db8::1]:5061;lr?a=b SIP/2.0\n"),
        (grammar.REQUEST_LINE, b"INVITE 911 SIP/2.0\n"),
        (grammar.STATUS_LINE, b"SIP/2.0 200 OK\n"),
        (grammar.FROM_OR_TO, b'"Smith, \\"J\\"" <sip:a@b>;x="y;z";tag=1;q\n'),
        (grammar.FROM_OR_TO, b"urn:service:sos;tag=1\n"),
        (grammar.FROM_OR_TO, b"<sip:urn:service:sos@h> ;x=y\t; tag=1\n"),
        (grammar.CONTACTS, b"<sip:a@b> ; expires=3 , <sip:c@d>\n"),
        (grammar.VIAS, b"SIP/2.0/UDP  h ;branch=b ; rport ,SIP/2.0/UDP\tg\n"),
        (grammar.CSEQ, b"1   INVITE\n"),
        (grammar.CONTENT_TYPE, b"application/sdp ; charset=utf-8\n"),
        (grammar.FROM_OR_TO, b'"a\\\t" <sip:a@b>\t; x = "y" ;Tag=1 ; q\n'),
        (grammar.CONTACTS, b"<sip:a@b> ,\t<sip:c@d> ; expires = 5\n"),
        (grammar.VIAS, b"SIP / 2.0 / TLS\t[::1] : 5061 ; Branch = b ,SIP/2.0/UDP  h;RPORT=5\n"),
        (grammar.CSEQ, b"0009\t INVITE\n"),
        (grammar.CONTENT_TYPE, b'multipart / mixed ; boundary = "b c"\n'),
        (grammar.CONTACTS, b"*\n"),
        (grammar.CONTACTS, b"<sip:a@b>, Bob <sip:c@d>;q=0.5\nsip:e@f;expires=1\n"),
        (grammar.VIAS, b"SIP/2.0/TLS [::1]:5061;rport;branch=b, SIP/2.0/UDP h;ttl=255\nSIP/2.0/TCP x\n"),
        (grammar.CREDENTIALS, b'Digest username="a,b",realm=c, opaque="d"\nBasic YQ==\n'),
        (
            grammar.SDP,
            b"v=0\no=- 1 1 IN IP4 h\ns=-\nt=0 0\nm=audio 9 RTP/AVP 0\nc=IN IP4 224.2.1.1/127\na=rtpmap:0 x\n",
        ),
        (grammar.RETRY_AFTER, b"18000 (in a meeting);duration=60\n"),
    ],
)
def test_what_the_standards_show_is_in_the_grammar(regex: str, text: bytes) -> None:
    assert _is_whole(regex, text)


@pytest.mark.parametrize(
    ("regex", "text"),
    [
        (grammar.REQUEST_LINE, b"INVITE sip:a@b@c SIP/2.0\nx\n"),
        (grammar.FROM_OR_TO, b"<sip:a@b\n"),
        (grammar.VIAS, b""),
        (grammar.TEXT_HEADER, b" blank\n"),
        (grammar.SDP, b"s=-\n"),
    ],
)
def test_what_is_not_well_formed_is_not(regex: str, text: bytes) -> None:
    assert not _is_whole(regex, text)
