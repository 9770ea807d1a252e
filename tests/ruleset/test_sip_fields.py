"""Every field of the table that Wireshark has, has Wireshark's values."""

import time

import pytest

from firewall.net.address import address_text
from firewall.net.datagram import Datagram
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS
from firewall.sip.message import parse_message
from tests.ruleset.captured import facts, sip, tshark

NAMES = [spec.name for spec in FIELDS.values() if not spec.own and spec.type != "protocol"]
# What this capture shows of the differences that docs/fields.md lists: field -> our values, by frame.
READ_BY_US_ALONE = {(1, "sip.r-uri.param"): ["user=phone"]}


def wireshark_values(folder: str) -> list[dict[str, list[str]]]:
    arguments = ["-T", "fields", "-E", "separator=\x01", "-E", "aggregator=\x02", "-E", "occurrence=a"]
    for name in NAMES:
        arguments += ["-e", name]
    rows = [line.split("\x01") for line in tshark(folder, *arguments).rstrip("\n").split("\n")]
    return [{n: cell.split("\x02") if cell else [] for n, cell in zip(NAMES, row, strict=True)} for row in rows]


def our_values(about: Facts, name: str) -> list[str]:
    spec = FIELDS[name]
    shown = []
    for value in spec.read(about):
        if spec.type == "address" and isinstance(value, int):
            shown.append(address_text(value))
        else:
            text = str(int(value)) if isinstance(value, int) else value
            shown.append(text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))
    return shown


def test_every_field_reads_what_wireshark_reads(tmp_path: object) -> None:
    wireshark = wireshark_values(str(tmp_path))
    assert len(wireshark) == len(facts())
    differences = {
        (number, name): (ours, theirs[name])
        for number, (about, theirs) in enumerate(zip(facts(), wireshark, strict=True), start=1)
        for name in NAMES
        if (ours := our_values(about, name)) != theirs[name] and READ_BY_US_ALONE.get((number, name)) != ours
    }
    assert differences == {}


def test_the_capture_has_a_value_for_most_kinds_of_field(tmp_path: object) -> None:
    seen = {name for row in wireshark_values(str(tmp_path)) for name, values in row.items() if values}
    assert len(seen) > 90


def about(payload: bytes) -> Facts:
    return Facts(Datagram("192.0.2.10", 5060, "198.51.100.1", 5060, payload), parse_message(payload))


@pytest.mark.parametrize(
    ("field", "payload", "values"),
    [
        ("sip.r-uri.user", sip("INVITE SIP:Bob@Example.COM SIP/2.0"), ["Bob"]),
        ("sip.r-uri.user", sip("INVITE tel:911 SIP/2.0"), []),
        ("sip.from.user", sip(frm="<sip:al:secret@x>;tag=1"), ["al"]),
        ("sip.from.user", sip(frm="<sip:a@x>;tag=1"), ["a"]),
        ("sip.from.tag", sip(frm="<sip:a@x>;TAG=up"), ["up"]),
        ("sip.pai.addr", sip(more="P-Asserted-Identity: <sip:a@x>, <tel:+1>\n"), ["sip:a@x", "tel:+1"]),
        ("sip.Expires", sip(more="Expires: soon\n"), []),
        ("sip.Retry-After", sip(more="Retry-After: 18000;duration=3600\n"), ["18000"]),
        ("sip.Subject", sip(more="Subject: a\n  b\n"), ["a b"]),
        ("sip.contact.uri", sip(more="Contact: *\n"), []),
        ("sip.auth.username", sip(more='Authorization: Digest username="a, b", realm="r"\n'), ['"a, b"']),
        ("sip.auth.username", sip(more='Authorization: Digest username="a", username="b"\n'), ['"a"', '"b"']),
        ("sip.auth.scheme", sip(more="Authorization: \n"), []),
        ("sip.Via.received", sip(more='Via: SIP/2.0/UDP h;received=1;x=";received=2";RECEIVED=3\n'), ["1", "3"]),
        ("sip.Via.rport", sip(more="Via: SIP/2.0/UDP h;rport;rport=5, SIP/2.0/UDP h;rport=\n"), ["rport", "5", ""]),
        ("sip.Via.sent-by.port", sip(more="Via: SIP/2.0/UDP [::1]\n :5070\n"), ["5060", "5070"]),
        ("sip.Via.sent-by.port", sip(more="Via: nonsense\n"), ["5060"]),
        ("sip.Content-Length", sip(more="Max-Forwards: 99999999999999\n"), ["0"]),
        ("sip.Max-Forwards", sip(more="Max-Forwards: 99999999999999\n"), ["4294967295"]),
    ],
)
def test_what_wireshark_overlooks_is_read(field: str, payload: bytes, values: list[str]) -> None:
    assert our_values(about(payload), field) == values


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (b"OPTIONS sip:x SIP/2.0\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
        (b"OPTIONS sip:x SIP/2.0\nA: b\n\nC", "A: b\n\nC"),
        (b"OPTIONS sip:x SIP/2.0\rA: b\r\r", "A: b\r\r"),
        (b"OPTIONS sip:x SIP/2.0\r\n", ""),
    ],
)
def test_the_headers_as_a_whole_begin_behind_any_line_end(payload: bytes, value: str) -> None:
    assert FIELDS["sip.msg_hdr"].read(about(payload)) == (value,)


@pytest.mark.parametrize(
    "blanks", ["\x0b" * 2_000, "a" + " " * 25_000 + "b", '"a" ' + "\xa0" * 2_000 + '"', ";" * 25_000]
)
def test_no_value_of_a_header_takes_more_than_linear_time(blanks: str) -> None:
    """A regex that tries blanks again and again would take minutes, in which no call passes."""
    names = ("From", "To", "Contact", "Route", "P-Asserted-Identity", "Via", "Authorization", "CSeq", "Expires")
    for name in names:
        facts = about(f"INVITE sip:bob@example.com SIP/2.0\r\n{name}: x{blanks}\r\n{name}: {blanks}\r\n\r\n".encode())
        begun_s = time.process_time()
        for spec in FIELDS.values():
            spec.read(facts)
        assert time.process_time() - begun_s < 2


@pytest.mark.parametrize(
    ("name", "display_info"),
    [
        ('Anna "Ann" Maria ', 'Anna "Ann" Maria '),
        ('"Bo" B. ', '"Bo"'),
        ('"D""E"', '"D"'),
        ('"Mr. J. User ', '"Mr. J. User '),
    ],
)
def test_quotes_in_a_display_name_do_not_hide_the_address(name: str, display_info: str) -> None:
    read = about(b"INVITE sip:a@b SIP/2.0\r\nFrom: " + name.encode() + b"<sip:al@example.com>;tag=1\r\n\r\n")
    fields = ("display.info", "addr", "user", "host", "tag")
    assert [FIELDS[f"sip.from.{each}"].read(read) for each in fields] == [
        (value,) for value in (display_info, "sip:al@example.com", "al", "example.com", "1")
    ]
