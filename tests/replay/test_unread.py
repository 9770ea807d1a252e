"""SIP over what is not read is told, once for a capture."""

import shlex
import subprocess
from pathlib import Path

import pytest

from firewall.errors import Place
from firewall.net.capture_record import CaptureRecord
from firewall.net.datagram import Datagram
from firewall.net.exported_pdu import EXPORT
from firewall.net.frame import FrameDecoder
from firewall.replay.match import match_expressions
from firewall.replay.reader import CaptureReader
from firewall.replay.report import CaptureReport
from firewall.replay.streams import Arrival
from firewall.ruleset.evaluate import compile_condition
from firewall.ruleset.parse import parse_expression
from tests.net.packets import START_NS, ethernet, frames_of, ipv4, pcap, segment, udp
from tests.net.test_hep import hep
from tests.replay.calls import RULES_CALLS, forth, invite, make_policy, message
from tests.replay.replayed import replay_capture

CLIENT_HELLO = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03" + bytes(196)
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: sip-ws.example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: %s\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def told(*packets: bytes) -> list[tuple[int, str]]:
    reader = CaptureReader(CaptureReport("a.pcap"), frozenset({5060}), frozenset())
    for number, packet in enumerate(packets, 1):
        frame = ethernet(packet)
        assert list(reader.read(CaptureRecord(number, START_NS, 1, frame, len(frame)))) == []
    assert list(reader.finish(START_NS)) == []
    return [(loss.packet, loss.reason) for loss in reader.found.unreadable]


def test_tls_on_the_port_of_sips_is_told_once() -> None:
    hello = segment(CLIENT_HELLO, 1, ports=(40000, 5061))
    assert told(hello, hello) == [(1, f"SIP over TLS is not read; this frame is the first; {EXPORT}")]


def test_a_websocket_that_will_carry_sip_is_told_once() -> None:
    upgrade = segment(UPGRADE % b"chat, sip", 1, ports=(40000, 80))
    assert told(upgrade, upgrade) == [(1, f"SIP over WebSocket is not read; this frame is the first; {EXPORT}")]


@pytest.mark.parametrize("length", [b"\x7d", b"\x7e\x02\x00"])
def test_a_websocket_whose_beginning_the_capture_lacks_is_told_by_the_sip_in_it(length: bytes) -> None:
    frame = segment(b"\x81" + length + invite(), 1, ports=(443, 40000))
    assert told(frame) == [(1, f"SIP over WebSocket is not read; this frame is the first; {EXPORT}")]


def test_a_capture_agent_that_sends_over_tcp_is_told_once() -> None:
    agent = segment(hep(), 1, ports=(40000, 9060))
    assert told(agent, agent) == [(1, f"HEP over TCP is not read; this frame is the first; {EXPORT}")]


def test_other_tls_and_other_websockets_are_nothing_to_tell() -> None:
    assert (
        told(segment(CLIENT_HELLO, 1, ports=(40000, 443)), segment(UPGRADE % b"mqtt, sipper", 1, ports=(40001, 80)))
        == []
    )


@pytest.mark.parametrize(
    "frame",
    [
        ethernet(bytes(14) + forth(invite()), ethertype=0x88E5),
        ethernet(ipv4(udp(bytes(8) + forth(invite()), 40000, 4341))),
        ethernet(ipv4(bytes(8) + forth(invite()), protocol=50)),
        ethernet(forth(b"BELL" + invite()[6:], 7777)),
    ],
    ids=["MACsec", "LISP", "ESP without encryption", "unregistered method on an odd port"],
)
def test_sip_in_what_is_not_read_is_told_once(frame: bytes) -> None:
    reader = CaptureReader(CaptureReport("a.pcap"), frozenset({5060}), frozenset())
    for number in (1, 2):
        found = reader.read(CaptureRecord(number, START_NS, 1, frame, len(frame)))
        assert [each for each in found if isinstance(each, Arrival)] == []
    assert list(reader.finish(START_NS)) == []
    (loss,) = reader.found.unreadable
    assert loss.packet == 1
    what = "SIP in what is not read (SCTP, an unknown tunnel, a port for --sip-port)"
    assert loss.reason == f"{what}: 2 packets, this is the first; {EXPORT}"


def test_what_an_icmp_error_quotes_is_nothing_to_tell() -> None:
    assert told(ipv4(b"\x03\x03" + bytes(6) + forth(invite()), protocol=1)) == []


def export(capture: bytes, folder: Path, layer: str = "OSI layer 7") -> Path:
    """Run what is said to make a capture that is read, or that with another layer."""
    (folder / "IN").write_bytes(capture)
    command = EXPORT[EXPORT.index("tshark") :].replace("OSI layer 7", layer)
    subprocess.run(shlex.split(command), cwd=folder, check=True, capture_output=True)
    return folder / "OUT"


def test_what_is_said_to_make_a_capture_that_is_read_makes_one(tmp_path: Path) -> None:
    read = export(pcap([ethernet(ipv4(udp(bytes(8) + forth(invite()), 40000, 4341)))]), tmp_path)
    (frame,) = frames_of(read.read_bytes())
    found = FrameDecoder().decode(frame)
    assert isinstance(found, Datagram)
    assert found.payload == invite()


def test_each_message_of_a_segment_is_read_once_of_what_wireshark_exports(tmp_path: Path) -> None:
    """It exports the whole segment once for each message."""
    options = message("OPTIONS sip:psap.example SIP/2.0", "1 OPTIONS", call_id="o")
    several = invite() + options + invite("c2")
    packets = (segment(several, 1), segment(options, 1 + len(several)))
    exported = export(pcap([ethernet(packet) for packet in packets]), tmp_path)
    result = replay_capture([str(exported)], make_policy(tmp_path, RULES_CALLS))
    assert [each.sip and each.sip.call_id for each in result.decisions] == ["c1", "o", "c2", "o"]
    condition = compile_condition(parse_expression('sip.Method == "OPTIONS"', sets={}, place=Place("EXPR")))
    assert [report.frames for report in match_expressions(str(exported), [condition])] == [[2, 4]]


@pytest.mark.parametrize("port", [5060, 7777])
def test_what_wireshark_exports_by_port_or_heuristics_is_told(port: int, tmp_path: Path) -> None:
    exported = export(pcap([ethernet(segment(invite(), 1, ports=(40000, port)))]), tmp_path, "OSI layer 4")
    (report,) = replay_capture([str(exported)], make_policy(tmp_path, RULES_CALLS)).report.captures
    what = "SIP in what is not read (SCTP, an unknown tunnel, a port for --sip-port)"
    assert [(loss.packet, loss.reason) for loss in report.unreadable] == [
        (1, f"{what}: 1 packets, this is the first; {EXPORT}")
    ]
    (read,) = frames_of(export(exported.read_bytes(), tmp_path).read_bytes())
    found = FrameDecoder().decode(read)
    assert isinstance(found, Datagram)
    assert found.payload == invite()
