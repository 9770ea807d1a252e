"""What is known of a message that a snapshot length cut: counted and matched as by tshark, never decided."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from firewall.errors import Place
from firewall.replay.match import match_expressions
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.parse import parse_expression
from tests.net.packets import ethernet, ipv4, pcap, segment, udp
from tests.oracle.expressions import WIRESHARK_FIELDS
from tests.oracle.foreign import authenticated, udplite
from tests.oracle.sharkd import frames_shown
from tests.oracle.wireshark import wireshark_frames
from tests.replay.calls import RULES_CALLS, back, forth, invite, make_policy, message
from tests.replay.replayed import replay_capture
from tests.replay.test_match import frames_matched

RINGING = message("SIP/2.0 180 Ringing", "1 INVITE", call_id="c1", to_tag="b")
OVER_UDP = [forth(invite("c1")), back(RINGING), ipv4(udp(b"\x80" * 300, 7000, 7002))]
# On other ports tshark also shows the headers.
ODD_PORTS = ipv4(udp(invite("c2"), 9999, 9998))
OVER_TCP = [segment(invite("c3"), 1), segment(RINGING, 1 + len(invite("c3"))), segment(b"x" * 300, 900_000)]
FIELDS = (
    *("sip", "sip.Method", 'sip.Method == "INVITE"', "sip.Status-Code == 180", "sip.r-uri.host", "sip.Request-Line"),
    *("sip.Call-ID", "sip.Via", "sip.CSeq.method", "sdp", "udp.port == 5060", "tcp.port == 5060", "frame.len > 200"),
    *("sip.msg_hdr", 'sip contains "Via: SIP/2.0"', 'sip contains "m=audio"'),
)


@pytest.fixture(scope="module", params=[60, 76, 77, 78, 80, 120, 200, 330])
def capture(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cut") / "a.pcap"
    path.write_bytes(pcap([ethernet(packet) for packet in OVER_UDP + OVER_TCP], snap_bytes=request.param))
    return path


@pytest.fixture(scope="module")
def theirs(capture: Path) -> dict[str, list[int]]:
    """The frames that each expression matches in Wireshark."""
    return dict(zip(FIELDS, wireshark_frames(capture.read_bytes(), list(FIELDS)), strict=True))


@pytest.mark.parametrize("expression", FIELDS)
def test_an_expression_matches_the_cut_frames_that_it_matches_in_tshark(
    capture: Path, expression: str, theirs: dict[str, list[int]]
) -> None:
    assert frames_matched(capture, expression) == theirs[expression]


def test_cut_messages_are_counted_as_by_tshark_and_not_decided(capture: Path, tmp_path: Path) -> None:
    result = replay_capture([str(capture)], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    theirs = len(frames_shown(capture, "sip.Method || sip.Status-Code"))
    assert found.sip_messages == theirs
    assert len(result.decisions) == found.sip_messages - found.cut_messages


def test_a_cut_message_is_told_by_its_start_line(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(packet) for packet in [*OVER_UDP, ODD_PORTS]], snap_bytes=120))
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    told = [loss.reason.partition("; ")[2] for loss in found.unreadable]
    start_line = invite("c1").partition(b"\r\n")[0].decode()
    assert told == [f"not decided: {start_line}", "not decided: SIP/2.0 180 Ringing", "", f"not decided: {start_line}"]


def test_a_message_whose_packet_says_it_is_longer_is_counted_like_a_cut_one(tmp_path: Path) -> None:
    """Damaged lengths: tshark reads what is there; a kernel would discard the packet, so nothing is decided."""
    datagram = bytearray(udp(invite("c4")))
    datagram[4:6] = (len(datagram) + 40).to_bytes(2, "big")
    whole = bytearray(forth(invite("c5")))
    whole[2:4] = (len(whole) + 40).to_bytes(2, "big")
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(ipv4(bytes(datagram))), ethernet(bytes(whole))]))
    result = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS))
    (found,) = result.report.captures
    assert (found.sip_messages, found.cut_messages, len(result.decisions)) == (2, 2, 0)
    assert [loss.packet for loss in found.unreadable] == [1, 2]
    assert len(frames_shown(path, "sip.Method")) == 2
    assert frames_matched(path, 'sip.Method == "INVITE"') == [1, 2]


def test_a_first_fragment_that_was_cut_is_counted_by_what_it_begins(tmp_path: Path) -> None:
    body = udp(invite("c6") * 4)
    parts = [ipv4(body[:1000], identification=9, more=True), ipv4(body[1000:], identification=9, offset=1000)]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(part) for part in parts], snap_bytes=300))
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    assert len(frames_shown(path, "sip.Method")) == 1
    assert (found.sip_messages, found.cut_messages) == (1, 1)


def test_a_cut_segment_that_is_sent_again_is_counted_once(tmp_path: Path) -> None:
    """As by tshark, which yet reads one again that was acknowledged before (a spurious retransmission)."""
    first, second = invite("c8"), message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="c9")
    sent = [
        *(segment(first, 1), segment(first, 1), segment(second, 1 + len(first)), segment(first, 1)),
        *(segment(second, 1, ports=(1025, 9998)), segment(second, 1, ports=(1025, 9998))),
        segment(second, 1, ports=(1026, 5060)),
        segment(b"", 1, acknowledges=1 + len(second), ports=(1026, 5060), back=True),
        segment(second, 1, ports=(1026, 5060)),
    ]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(packet) for packet in sent], snap_bytes=200))
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    theirs = frames_shown(path, "sip.Method")
    assert (theirs, found.sip_messages, found.cut_messages) == ([1, 3, 5, 7, 9], 4, 4)
    assert [loss.packet for loss in found.unreadable] == [1, 2, 3, 4, 5, 6, 7, 9]
    assert frames_matched(path, "sip.Method") == theirs[:-1]


def cut_everywhere(
    payloads: list[bytes], packet: Callable[[bytes, int], bytes], sizes: Callable[[bytes], list[int]]
) -> bytes:
    """A capture of messages cut after so many of their bytes, each frame with a number of its own."""
    frames: list[tuple[bytes, int]] = []
    for payload in payloads:
        for size in sizes(payload):
            frame = ethernet(packet(payload, len(frames)))
            frames.append((frame[: len(frame) - len(payload) + size], len(frame)))
    head = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)
    return head + b"".join(
        struct.pack("<IIII", 1_767_225_600 + number, 0, len(frame), whole) + frame
        for number, (frame, whole) in enumerate(frames)
    )


PACKETS: dict[str, Callable[[bytes, int], bytes]] = {
    "UDP": lambda payload, _: forth(payload),
    "UDP, other ports": lambda payload, _: ipv4(udp(payload, 9999, 9998)),
    "UDP-Lite": lambda payload, _: ipv4(udplite(payload), protocol=136),
    "behind an Authentication Header": lambda payload, _: ipv4(authenticated(udp(payload)), protocol=51),
    "IP in IP": lambda payload, _: ipv4(forth(payload), "203.0.113.1", "203.0.113.2", protocol=4),
    "TCP": lambda payload, number: segment(payload, 1, ports=(20_000 + number, 5060)),
    "TCP, other ports": lambda payload, number: segment(payload, 1, ports=(20_000 + number, 9998)),
}
# By Wireshark 4.0: the first one at all, the second one of UDP-Lite.
NEVER_SHOWN = {"sip.r-uri.param", "udp"}
MESSAGES = [invite("c7"), RINGING, b"SIP/2.0 404 Not Found\nVia: SIP/2.0/UDP h\n\n"]


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_cut_at_any_byte_it_is_counted_as_by_tshark(packet: Callable[[bytes, int], bytes], tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(cut_everywhere(MESSAGES, packet, lambda payload: list(range(1, len(payload)))))
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    assert found.sip_messages == len(frames_shown(path, "sip.Method || sip.Status-Code"))


def line_ends(payload: bytes) -> list[int]:
    return [size for size in range(len(payload)) if payload[:size].endswith(b"\n")]


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_cut_behind_a_line_it_has_the_fields_that_it_has_in_tshark(
    packet: Callable[[bytes, int], bytes], tmp_path: Path
) -> None:
    """Inside a line the two read of a broken value what they can, which is not always the same."""
    capture = cut_everywhere(MESSAGES, packet, line_ends)
    path = tmp_path / "a.pcap"
    path.write_bytes(capture)
    names = [name for name in WIRESHARK_FIELDS if name not in NEVER_SHOWN]
    predicates = [compile_condition(parse_expression(name, sets={}, place=Place("EXPR"))) for name in names]
    ours = {name: report.frames for name, report in zip(names, match_expressions(str(path), predicates), strict=True)}
    assert ours == dict(zip(names, wireshark_frames(capture, names), strict=True))


@pytest.mark.parametrize("whole", [invite("c6"), RINGING], ids=["request", "response"])
def test_a_datagram_of_a_wrong_length_is_read_as_by_tshark_wherever_it_ends(whole: bytes, tmp_path: Path) -> None:
    ends = range(9, whole.index(b"\r\n") + 40)
    packets = [ipv4(udp(whole[:end], length=8 + len(whole))) for end in ends]
    packets += [ipv4(udp(whole))[: 28 + end] for end in ends]
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([ethernet(packet) for packet in packets]))
    fields = ["sip", "sip.Method", "sip.Status-Code", "sip.Request-Line", "sip.Via", "sip.Via.branch"]
    theirs = wireshark_frames(path.read_bytes(), fields)
    assert [frames_matched(path, field) for field in fields] == theirs
    (found,) = replay_capture([str(path)], make_policy(tmp_path, RULES_CALLS)).report.captures
    assert found.sip_messages == len(theirs[0])
