"""The table of fields as a whole."""

import subprocess
from functools import cache
from typing import Final

import pytest

from firewall.net.datagram import Datagram
from firewall.ruleset.expression import Field
from firewall.ruleset.facts import Facts
from firewall.ruleset.fields import FIELDS, HEADER_FIELD, field_advice, one_reader_of, reader_of
from tests.ruleset.captured import facts

# Wireshark's type names and ours.
TYPES: Final = {
    "FT_STRING": "text",
    "FT_UINT8": "number",
    "FT_UINT16": "number",
    "FT_UINT32": "number",
    "FT_BOOLEAN": "flag",
    "FT_IPv4": "address",
    "FT_IPv6": "address",
}


@cache
def wireshark_table() -> tuple[dict[str, str], set[str]]:
    done = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, timeout=60, check=True)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {row[2]: row[3] for row in rows if row[0] == "F"}, {row[2] for row in rows if row[0] == "P"}


def test_names_and_types_are_wiresharks_except_for_our_own() -> None:
    theirs, protocols = wireshark_table()
    for spec in FIELDS.values():
        if spec.own:
            assert spec.name not in theirs
        elif spec.type == "protocol":
            assert spec.name in protocols
        else:
            assert TYPES[theirs[spec.name]] == spec.type, spec.name


def test_every_header_field_of_wireshark_is_there() -> None:
    theirs, _ = wireshark_table()
    headers = {name for name in theirs if name.startswith("sip.") and name.count(".") == 1 and name[4].isupper()}
    assert headers - set(FIELDS) == set()


def test_every_reader_gives_values_of_its_type() -> None:
    for name, spec in FIELDS.items():
        kinds = (str,) if spec.type in ("text", "protocol") else (int,)
        for about in facts():
            values = spec.read(about)
            assert isinstance(values, tuple), name
            assert all(isinstance(value, kinds) for value in values), name
            assert spec.maximum is None or all(0 <= int(value) <= spec.maximum for value in values), name


@pytest.mark.parametrize("name", [name for name, spec in FIELDS.items() if spec.one is not None])
def test_the_one_value_of_a_field_is_the_only_one_it_has(name: str) -> None:
    one = one_reader_of(Field(name))
    assert one is not None
    for about in (*facts(), Facts(Datagram("", 0, "", 0, b""))):
        value = one(about)
        assert FIELDS[name].read(about) == (() if value is None else (value,))


def test_a_header_is_read_by_any_name() -> None:
    assert reader_of(Field(HEADER_FIELD, "x-weird"))(facts()[0]) == ("hello", "second")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("sip.method", "sip.Method"), ("sip.Metod", "sip.Method"), ("SIP.FROM.USER", "sip.from.user"),
     ("ip.source", "ip.src"), ("emergencey", "emergency"), ("sip.user-agent", "sip.User-Agent")],
)  # fmt: skip
def test_a_wrong_name_gets_the_name_that_was_meant(wrong: str, right: str) -> None:
    assert field_advice(wrong) == f'did you mean "{right}"?'


def test_a_name_like_no_other_gets_the_page_of_all() -> None:
    assert field_advice("qqqq") == "docs/fields.md lists all fields"
