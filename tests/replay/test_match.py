"""The frames an expression matches, with tshark as the second opinion."""

from pathlib import Path

import pytest

from firewall.errors import Place
from firewall.net.capture_record import Cut
from firewall.replay.match import match_expressions
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.parse import parse_expression
from tests.net.packets import CALLER, START_NS, ethernet, ipv4, ipv6, pcap, segment, tcp, udp
from tests.oracle.sharkd import frames_shown
from tests.oracle.wireshark import wireshark_frames
from tests.replay.calls import ORDINARY, call, forth, invite, message

ARP = ethernet(b"\0\1\x08\0\6\4\0\1" + bytes(20), ethertype=0x0806)
BIG = ipv4(udp(invite("big") + b" " * 3000), CALLER)
FRAGMENTS = [
    ipv4(BIG[20:][at : at + 1480], CALLER, identification=5, offset=at, more=at + 1480 < len(BIG) - 20)
    for at in range(0, len(BIG) - 20, 1480)
]
FRAMES = [
    ARP,
    *(ethernet(packet) for _, packet in call("e1") + call("o1", target=ORDINARY, user="alice")),
    ethernet(ipv6(udp(invite("six")))),
    ethernet(ipv4(tcp(b"not looked into", 40000, 5060), protocol=6), tags=(0x8100,)),
    ethernet(ipv4(b"\x08\0\0\0\0\1\0\1ping", protocol=1)),
    *(ethernet(packet) for packet in FRAGMENTS),
    ethernet(ipv4(udp(b"\r\n\r\n"))),
    ethernet(ipv4(udp(b"dns?", 53, 53))),
]
EXPRESSIONS = [
    'sip.Method == "INVITE"',
    'sip.Method in {"ACK", "BYE"}',
    "sip.Status-Code == 200",
    "sip.Status-Code >= 100 and sip.Status-Code < 200",
    "sip",
    "not sip",
    "rtp",
    "rtp.seq == 2",
    "frame.len > 400",
    "frame.len == 34",
    "ip.src == 192.0.2.7",
    "ip.addr == 198.51.100.0/24",
    "not ip.src == 192.0.2.7",
    "ip.src != 192.0.2.7",
    "ip",
    "ipv6",
    "ipv6.dst == 2001:db8:2::/64",
    "udp",
    "udp.port == 5060",
    "udp.srcport == 40000 or udp.dstport == 53",
    "tcp.port == 5060",
    "tcp",
    'sip.r-uri contains "urn:service:sos"',
    'sip.from.user == "alice"',
    'sip.Call-ID matches "^E1"',
    "sip.CSeq.seq == 2",
    'sip.Method == "INVITE" && !(sip.from.user == "alice") && frame.len < 1000',
]


def frames_matched(path: Path, expression: str) -> list[int]:
    condition = parse_expression(expression, sets={}, place=Place("EXPR", 1, 1))
    (report,) = match_expressions(str(path), [compile_condition(condition)])
    return report.frames


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("match") / "mixed.pcap"
    path.write_bytes(pcap([(START_NS + number * 10_000_000, frame) for number, frame in enumerate(FRAMES)]))
    return path


@pytest.fixture(scope="module")
def theirs(capture: Path) -> dict[str, list[int]]:
    """The frames that each expression matches in Wireshark."""
    return dict(zip(EXPRESSIONS, wireshark_frames(capture.read_bytes(), EXPRESSIONS), strict=True))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_tshark_matches_the_same_frames(capture: Path, expression: str, theirs: dict[str, list[int]]) -> None:
    assert frames_matched(capture, expression) == theirs[expression]


def test_the_state_of_a_dialog_is_what_its_messages_made_it(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(call(), link_type=101))
    assert frames_matched(tmp_path / "a.pcap", 'dialog.state == "confirmed"') == [4, 13]
    assert frames_matched(tmp_path / "a.pcap", 'dialog.state == "early"') == [3]


def test_an_emergency_is_known_in_every_message_of_its_call(tmp_path: Path) -> None:
    packets = call("o1", target=ORDINARY, user="alice", media_packets=0) + call("e1", begins_s=20, media_packets=0)
    (tmp_path / "a.pcap").write_bytes(pcap(packets, link_type=101))
    assert frames_matched(tmp_path / "a.pcap", "emergency") == [7, 8, 9, 10, 11, 12]


def test_negotiated_media_is_known(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap(call(media_packets=3), link_type=101))
    assert frames_matched(tmp_path / "a.pcap", "media.negotiated") == [5, 6, 7, 8, 9, 10]


def test_frames_cut_by_the_snapshot_length_still_have_their_addresses(tmp_path: Path) -> None:
    (tmp_path / "a.pcap").write_bytes(pcap([ethernet(forth(invite()))] * 2, snap_bytes=60))
    assert frames_matched(tmp_path / "a.pcap", "udp.port == 5060 and ip.src == 192.0.2.7 and frame.len > 60") == [1, 2]


@pytest.mark.parametrize("expression", ["rtp", "rtp.seq == 2", "not rtp and not sip"])
def test_media_cut_by_the_snapshot_length_is_known_as_in_tshark(tmp_path: Path, expression: str) -> None:
    frames = [ethernet(packet) for _, packet in call(media_packets=3)]
    records = [(START_NS + n * 10_000_000, frame) for n, frame in enumerate(frames)]
    data = pcap(records, snap_bytes=max(len(frame) for frame in frames))
    cut = pcap([(at, frame if b"SIP/2.0" in frame else frame[:80]) for at, frame in records])
    (tmp_path / "a.pcap").write_bytes(_with_lengths(cut, data))
    theirs = frames_shown(tmp_path / "a.pcap", expression)
    assert frames_matched(tmp_path / "a.pcap", expression) == theirs


def _with_lengths(cut: bytes, whole: bytes) -> bytes:
    """Return a capture with the original lengths of another one's frames."""
    made, at, other = bytearray(cut), 24, 24
    while at < len(cut):
        made[at + 12 : at + 16] = whole[other + 12 : other + 16]
        at += 16 + int.from_bytes(cut[at + 8 : at + 12], "little")
        other += 16 + int.from_bytes(whole[other + 8 : other + 12], "little")
    return bytes(made)


def test_a_cut_is_reported_beside_the_frames_before_it(tmp_path: Path) -> None:
    data = pcap([ethernet(forth(invite()))] * 2)
    (tmp_path / "a.pcap").write_bytes(data[:-5])
    (report,) = match_expressions(str(tmp_path / "a.pcap"), [lambda _facts: True])
    assert report.frames == [1]
    assert [type(loss) for loss in report.unreadable] == [Cut]


def test_a_segment_that_waited_is_judged_by_its_message_once_that_is_known(tmp_path: Path) -> None:
    size = len(invite())
    bye = message("BYE sip:psap.example SIP/2.0", "2 BYE", call_id="c1", to_tag="b")
    packets = [
        segment(b"", 999, flags="S"),
        segment(bye, 1000 + size),
        segment(invite()[100:], 1100),
        segment(invite()[:100], 1000),
    ]
    (tmp_path / "a.pcap").write_bytes(pcap([ethernet(packet) for packet in packets]))
    assert frames_matched(tmp_path / "a.pcap", "tcp and not sip") == [1, 3]
    assert frames_matched(tmp_path / "a.pcap", 'sip.Method == "BYE"') == [2]
    assert frames_matched(tmp_path / "a.pcap", 'sip.Method == "INVITE"') == [4]


def test_several_expressions_are_judged_in_one_reading(capture: Path) -> None:
    conditions = [compile_condition(parse_expression(text, sets={}, place=Place("EXPR"))) for text in EXPRESSIONS]
    together = [report.frames for report in match_expressions(str(capture), conditions)]
    assert together == [frames_matched(capture, text) for text in EXPRESSIONS]


def test_a_packet_of_an_open_pinhole_has_the_fields_of_media_and_is_part_of_its_emergency_call(capture: Path) -> None:
    audio = frames_matched(capture, 'media.kind == "audio"')
    assert audio == frames_matched(capture, "rtp and emergency")
    assert len(audio) == 16
