"""What conditions say about facts that no capture holds; test_grammar.py asks Wireshark about the rest."""

import timeit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewall.net.address import Network, address_number
from firewall.net.datagram import Datagram
from firewall.ruleset.evaluate import ascii_lower, ascii_upper, byte_length, compile_condition, slice_bytes
from firewall.ruleset.expression import (
    Comparison,
    Condition,
    Contains,
    Field,
    Matches,
    Membership,
    Not,
    SetMembers,
    methods_of,
)
from firewall.ruleset.facts import EmergencyMark, Facts
from firewall.ruleset.network_set import merged
from firewall.ruleset.parse import parse_expression
from firewall.sip.message import Request, parse_message
from tests.messages import request
from tests.ruleset.captured import facts
from tests.ruleset.strategies import PLACE, SETS, conditions

NO_SIP = Facts(Datagram("192.0.2.1", 4000, "198.51.100.1", 5060, b"\0\1"), malformed="not_sip")
RTP = Facts(
    Datagram("192.0.2.1", 4000, "198.51.100.1", 4002, bytes([0x80, 0x88, 0, 7, 0, 0, 0, 9, 0, 0, 0, 5]) + b"x" * 160),
    media_negotiated=True,
)
CALL = Facts(
    Datagram("203.0.113.7", 5060, "198.51.100.1", 5060, request()),
    parse_message(request(headers=("X-Weird: a", "x-weird: b", "k: 100rel"))),
    zone_src="carrier",
    emergency=EmergencyMark("call", "urn:service:sos", ("number 911",)),
    dialog_state="early",
)


def holds(expression: str, about: Facts) -> bool:
    return compile_condition(parse_expression(expression, sets=SETS, place=PLACE))(about)


@pytest.mark.parametrize(
    "expression",
    [
        "emergency",
        "emergency == true",
        "not emergency == 0",
        'emergency.class == "call"',
        'emergency.service == "urn:service:sos"',
        'zone.src == "carrier"',
        "not zone.dst",
        'not zone.dst == "psap"',
        'not zone.dst != "psap"',
        'dialog.state == "early"',
        'dialog.state in {"early", "confirmed"}',
        "not media.negotiated",
        "not malformed",
        "not malformed.reason",
        "net.src in $blocked",
        "net.src == 203.0.113.0/24",
        "net.addr == 198.51.100.1",
        'sip.header["X-Weird"] == "b"',
        'sip.header["X-WEIRD"] != "c"',
        'count(sip.header["x-weird"]) == 2',
        'sip.header["Supported"] == "100rel"',
        'not sip.header["Absent"]',
        "udp and not tcp and frame and ip",
        "not rtp",
    ],
)
def test_an_emergency_call_is_seen_as_what_it_is(expression: str) -> None:
    assert holds(expression, CALL)


@pytest.mark.parametrize(
    "expression",
    ["malformed", 'malformed.reason == "not_sip"', "not sip", "not sip.Method", 'not sip.Method != "X"', "not sdp",
     "not emergency", "net.src == 192.0.2.1", "udp.dstport == 5060", "not emergency.class", "not sip.anomaly"],
)  # fmt: skip
def test_a_datagram_that_is_no_message_has_only_its_packet_fields(expression: str) -> None:
    assert holds(expression, NO_SIP)


@pytest.mark.parametrize(
    "expression",
    ["rtp", "media.negotiated", "rtp.version == 2", "rtp.p_type == 8", "rtp.seq == 7", "rtp.timestamp == 9",
     "rtp.ssrc == 0x5", "rtp.marker", "rtp.marker == true", "rtp.marker != 0", "not sip", "not malformed"],
)  # fmt: skip
def test_negotiated_media_has_rtp_fields(expression: str) -> None:
    assert holds(expression, RTP)


def test_a_flag_of_wireshark_alone_asks_for_presence() -> None:
    unmarked = Facts(
        Datagram("192.0.2.1", 4000, "198.51.100.1", 4002, bytes([0x80, 8]) + bytes(10)), media_negotiated=True
    )
    assert holds("rtp.marker", unmarked)
    assert not holds("rtp.marker == 1", unmarked)
    assert not holds("rtp.marker", CALL)
    assert not holds("rtp.marker != 1", CALL)


@given(conditions())
def test_not_is_the_opposite_for_every_message(condition: Condition) -> None:
    is_true, is_false = compile_condition(condition), compile_condition(Not(condition))
    for about in (*facts(), NO_SIP, RTP, CALL):
        assert isinstance(is_true(about), bool)
        assert is_true(about) is not is_false(about)


@given(conditions())
def test_a_condition_about_methods_is_true_of_requests_with_one_of_them_only(condition: Condition) -> None:
    is_true, methods = compile_condition(condition), methods_of(condition)
    for about in (*facts(), NO_SIP, RTP, CALL):
        if is_true(about) and methods is not None:
            assert isinstance(about.message, Request)
            assert about.message.method in methods


addresses = st.integers(0, 2**32 - 1).map(
    lambda number: f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
)


@given(st.lists(st.tuples(addresses, st.integers(8, 32)), min_size=1, max_size=12), st.lists(addresses, max_size=5))
def test_a_set_of_networks_holds_what_one_of_its_networks_holds(
    given_networks: list[tuple[str, int]], others: list[str]
) -> None:
    networks = []
    for text, prefix in given_networks:
        first = address_number(text) >> (32 - prefix) << (32 - prefix)
        networks.append(Network(first, first + (1 << (32 - prefix)) - 1))
    is_member = compile_condition(Membership(Field("net.src"), (SetMembers("s", merged(networks)),)))
    for text in (*(text for text, _ in given_networks), *others):
        expected = any(address_number(text) in network for network in networks)
        assert is_member(Facts(Datagram(text, 1, "192.0.2.1", 2, b""))) is expected


@given(st.binary(max_size=12), st.integers(-14, 14), st.none() | st.integers(1, 14))
def test_a_slice_is_whole_or_empty(data: bytes, start: int, length: int | None) -> None:
    first = start if start >= 0 else len(data) + start
    end = len(data) if length is None else first + length
    whole = 0 <= first < end <= len(data)
    assert slice_bytes(data, start, length) == (data[first:end] if whole else b"")


@given(st.text(max_size=10))
def test_case_is_changed_in_ascii_only(text: str) -> None:
    assert ascii_lower(text) == "".join(char.lower() if char.isascii() else char for char in text)
    assert ascii_upper(text) == "".join(char.upper() if char.isascii() else char for char in text)


def test_length_is_counted_in_bytes() -> None:
    assert byte_length("é") == 2
    assert byte_length("\udcff") == 1


def test_bytes_that_are_no_utf8_can_be_sought_and_matched() -> None:
    message = parse_message(request(headers=()).replace(b"Max-Forwards: 70", b"Subject: a\xff\xe9b"))
    about = Facts(Datagram("192.0.2.1", 1, "198.51.100.1", 2, message.raw), message)
    assert holds(r'sip.Subject == "a\xff\xe9b"', about)
    assert holds(r'sip.Subject contains "\xe9b"', about)
    assert holds(r'sip.Subject matches "^a..b$"', about)
    assert holds("len(sip.Subject) == 4", about)
    assert holds(r'sip.Subject[1] == "\xff"', about)


def test_a_regex_of_hostile_shape_costs_linear_time() -> None:
    message = parse_message(request(headers=(f"Subject: {'a' * 5000}!",)))
    about = Facts(Datagram("192.0.2.1", 1, "198.51.100.1", 2, message.raw), message)
    search = compile_condition(Matches(Field("sip.Subject"), "^(a+)+$"))
    assert not search(about)
    assert min(timeit.repeat(lambda: search(about), number=1, repeat=5)) < 0.1


def test_conditions_on_the_packet_path_take_microseconds() -> None:
    """The bound is wide, for slow machines; tests/bench measures."""
    for condition in (
        Comparison(Field("sip.Method"), "==", "INVITE"),
        Not(Comparison(Field("emergency"), "==", True)),
        Membership(Field("sip.Method"), ("INVITE", "ACK", "BYE")),
        Contains(Field("sip.Method"), "INV"),
    ):
        matches = compile_condition(condition)
        assert min(timeit.repeat(lambda: matches(CALL), number=1000, repeat=5)) / 1000 < 20e-6  # noqa: B023 - called here
