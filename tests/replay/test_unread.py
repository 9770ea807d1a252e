"""SIP over what is not read is told, once for a capture."""

from firewall.net.capture_record import CaptureRecord
from firewall.replay.reader import CaptureReader
from firewall.replay.report import CaptureReport
from tests.net.packets import START_NS, ethernet, segment

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
    assert told(hello, hello) == [(1, "SIP over TLS is not read; this frame is the first")]


def test_a_websocket_that_will_carry_sip_is_told_once() -> None:
    upgrade = segment(UPGRADE % b"chat, sip", 1, ports=(40000, 80))
    assert told(upgrade, upgrade) == [(1, "SIP over WebSocket is not read; this frame is the first")]


def test_other_tls_and_other_websockets_are_nothing_to_tell() -> None:
    assert (
        told(segment(CLIENT_HELLO, 1, ports=(40000, 443)), segment(UPGRADE % b"mqtt, sipper", 1, ports=(40001, 80)))
        == []
    )
