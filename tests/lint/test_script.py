from firewall.lint.endpoint import Endpoint, Pair
from firewall.lint.form import Style
from firewall.lint.script import Script
from firewall.sip.message import parse_message
from tests.lint.forms import STYLES

PAIR = Pair(Endpoint("192.0.2.10"), Endpoint("2001:db8:2::10"))


def invite(style: Style) -> bytes:
    script = Script(PAIR, "k")
    dialog = script.dialog("caller", "sip:911@{host}", "<sip:911@{host}>", style)
    script.request(dialog, "caller", "INVITE", "initial", begins=True)
    return script.steps[0].payload


def style(name: str) -> Style:
    return next(style for style in STYLES if style.name == name)


def test_the_called_host_stands_in_the_uris_in_brackets_when_it_is_ipv6() -> None:
    assert invite(Style()).startswith(b"INVITE sip:911@[2001:db8:2::10] SIP/2.0\r\n")


def test_a_style_without_branch_has_none() -> None:
    assert parse_message(invite(style("no branch in Via"))).via_branch is None


def test_cseq_is_spelled_as_the_style_wants_and_read_all_the_same() -> None:
    payload = invite(style("Cseq spelled so"))
    assert b"\r\nCseq: 1 INVITE\r\n" in payload
    assert parse_message(payload).cseq_number == 1


def test_compact_headers_are_written_and_mean_the_same() -> None:
    payload = invite(style("compact headers"))
    assert b"\r\nf: <sip:" in payload
    assert b"\r\nFrom:" not in payload
    assert parse_message(payload).from_tag == "fk"


def test_a_folded_header_goes_over_two_lines() -> None:
    payload = invite(style("folded header"))
    assert b"\r\n ;tag=fk\r\n" in payload
    assert parse_message(payload).from_tag == "fk"


def test_the_same_key_gives_the_same_bytes() -> None:
    assert invite(Style()) == invite(Style())
