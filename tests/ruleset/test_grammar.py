"""Expressions mean what Wireshark's display filters mean: tshark is the oracle."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewall.errors import PolicyError
from firewall.ruleset.expression import Condition
from firewall.ruleset.parse import parse_expression
from firewall.ruleset.text import expression_text
from tests.oracle.wireshark import RefusedError, wireshark_frames
from tests.ruleset.captured import DECODE_AS, capture_file, sosgate_frames
from tests.ruleset.strategies import PLACE, conditions

SAME_MEANING = r"""
sip.Method == "INVITE"
sip.Method eq "INVITE"
sip.Method != "INVITE"
sip.Method ne "INVITE"
not sip.Method == "INVITE"
!sip.Method == "INVITE"
sip.Method == "invite"
sip.Method > "C"
sip.Method <= "INVITE"
sip.Status-Code == 0xc8
sip.Status-Code in {200..299, 400}
sip.Status-Code >= 400
udp.port == 5060
udp.port != 5060
not udp.port == 5060
udp.port > 5061
udp.port <= 5061
udp.port ge 5070
udp.srcport in {5061..5070}
frame.len > 500
sip.Via.branch == "z2"
sip.Via.branch != "z2"
sip.Via.branch != "nowhere"
sip.Subject != "x"
not sip.Subject == "x"
sip.User-Agent contains "Scanner"
sip.User-Agent contains "scanner"
sip.User-Agent contains "é"
sip.User-Agent contains "\xc3\xa9"
sip.User-Agent contains "\xa9"
sip.User-Agent == "Fri\u00e9ndly-Scanner/1.0"
sip.User-Agent matches "scanner"
sip.User-Agent ~ "SCANNER"
sip.User-Agent matches "fri.ndly"
sip.User-Agent matches "fri..ndly"
sip.User-Agent matches r"scanner/\d"
sip.User-Agent matches "scanner/\\d"
sip.User-Agent matches "^(lower|friendly)$"
sip.Method matches ""
len(sip.User-Agent) == 21
len(sip.User-Agent) < 21
sip.Method[0:3] == "INV"
sip.Method[0] == "I"
sip.Method[1-2] == "NV"
sip.Method[-3:3] == "ITE"
sip.Method[-3:] == "ITE"
sip.Method[:3] == "INV"
sip.Method[3:] == "SAGE"
sip.Method[3:] != "SAGE"
sip.Method[3:]
sip.Method[6:] != "x"
sip.Method[3:] == ""
sip.Method[10:3] == ""
sip.Method[10:3]
sip.Method[10:3] <= "a"
sip.Method[1:5] == "YE"
sip.Method[0:3] > "INVITE"
sip.Method[0:3] > "INA"
sip.Method > "INVITEX"
sip.Method[-2--1] == "YE"
sip.Method[5:3] == "E"
sip.Method[5:] == "E"
sip.Method[0:3] != "INV"
sip.Method[0:3] contains "N"
sip.Method[0:3] matches "^inv"
sip.User-Agent[4] == "n"
sip.User-Agent[5] == "n"
lower(sip.Method) == "invite"
upper(sip.from.user) == "BOB"
lower(sip.User-Agent) contains "scanner"
count(sip.Via) == 2
count(sip.Via) == 0
count(sip.Subject) != 1
count(sip.Via.branch) > 1
count(ip.src) == 1
sip.Method in {"INVITE", "BYE"}
sip.Method not in {"INVITE"}
not sip.Method in {"INVITE"}
sip.Method in {"A".."C"}
ip.src == 192.0.2.0/24
ip.src != 192.0.2.0/24
ip.addr == 192.0.2.10
ip.addr != 192.0.2.10
ip.src > 198.51.100.0
ip.src in {192.0.2.0/24, 203.0.113.9}
ip.src in {192.0.2.1..192.0.2.20}
ipv6.src == 2001:db8:1::/64
ipv6.addr == 2001:db8:2::2
ipv6.src in {2001:db8::..2001:db8:1::ff}
sip
sdp
ip
ipv6 or sdp
sip contains "hello"
sip.Content-Length
sip.Content-Length == 0
!sip.Content-Length == 0
sip.Subject
not sip.Subject
not sip.Method == "INVITE" and ip
sip.Method == "INVITE" or ip and ipv6
ip and ipv6 or sip.Method == "INVITE"
sip.Method eq "INVITE" && udp.srcport ge 5060 || ipv6
!(sip.Method == "INVITE" || ipv6)
not not sip.Method == "INVITE"
sip.Method == "INV\x49TE"
sip.Method == "\111NVITE"
sip.Method == r"INVITE"
sip.Method == ""
(sip.Method == "INVITE")and(ip)
sip.Method=="INVITE"
ip.src==192.0.2.10&&udp
sip.Method == "INVITE"and ip
sip.from.port == "5080"
sip.to.tag
sip.msg_hdr contains "m=audio"
sip.Route.uri contains "p2"
sdp.media.port == 40002
sdp.media.media == "video"
sdp.connection_info.address == "233.252.0.1"
""".strip().splitlines()

REFUSED_BY_BOTH = r"""
sip.Method ==
sip.Method == "INVITE" not ip
sip.Method == "INVITE" xor ip
sip.Method in {"INVITE" "BYE"}
sip.Method in {}
sip.Method in {"INVITE",}
sip.Method[0:3] in {"INV"}
sip.nothing == 1
sip.method == "INVITE"
sip.Method == 'INVITE'
sip.Status-Code == "200"
sip.Status-Code == 200.0
udp.srcport == 99999
udp.srcport == 5_060
udp.srcport contains "a"
udp.srcport matches "a"
upper(udp.srcport) == 2
len(lower(sip.Method)) == 6
5060 == udp.srcport
"INV" == sip.Method
ip.src == 2001:db8::1
sip.Method == "a\qb"
sip.Method matches "["
(sip.Method == "INVITE"
sip.Method == "INVITE")
sip.Method == "INVITE
""".strip().splitlines()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("captured"))


def test_every_expression_matches_the_frames_that_wireshark_matches(folder: str) -> None:
    capture = Path(capture_file(folder)).read_bytes()
    expected = wireshark_frames(capture, SAME_MEANING, *DECODE_AS)
    ours = [sosgate_frames(expression) for expression in SAME_MEANING]
    assert dict(zip(SAME_MEANING, ours, strict=True)) == dict(zip(SAME_MEANING, expected, strict=True))


def test_what_wireshark_refuses_is_refused(folder: str) -> None:
    with pytest.raises(RefusedError) as refused:
        wireshark_frames(Path(capture_file(folder)).read_bytes(), REFUSED_BY_BOTH, *DECODE_AS)
    assert refused.value.expressions == REFUSED_BY_BOTH
    accepted = []
    for expression in REFUSED_BY_BOTH:
        try:
            parse_expression(expression, sets={}, place=PLACE)
        except PolicyError:
            continue
        accepted.append(expression)
    assert not accepted


@settings(max_examples=5)
@given(st.lists(conditions(wireshark=True), min_size=8, max_size=16))
def test_any_condition_written_as_text_means_the_same_to_wireshark(folder: str, written: list[Condition]) -> None:
    """Many at once: tshark takes most of its time to start."""
    texts = [expression_text(condition) for condition in written]
    theirs = wireshark_frames(Path(capture_file(folder)).read_bytes(), texts, *DECODE_AS)
    assert [(text, sosgate_frames(text)) for text in texts] == list(zip(texts, theirs, strict=True))
