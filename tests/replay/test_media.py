"""Which UDP is negotiated media."""

import pytest

from firewall.net.datagram import Datagram
from firewall.replay import media
from firewall.replay.media import MediaEndpoints
from firewall.sip.message import parse_message
from tests.net.packets import CALLER, CALLER6, PSAP
from tests.replay.calls import CALLER_MEDIA, SOS, invite, message, sdp


def test_packets_from_and_to_an_announced_address_are_media() -> None:
    endpoints = MediaEndpoints()
    endpoints.learn(parse_message(invite()))
    assert endpoints.carries(Datagram(PSAP, 9, CALLER, CALLER_MEDIA, b""))
    assert endpoints.carries(Datagram(CALLER, CALLER_MEDIA, PSAP, 9, b""))
    assert not endpoints.carries(Datagram(CALLER, CALLER_MEDIA + 1, PSAP, 9, b""))


def test_the_candidates_of_a_browser_count() -> None:
    """RFC 8829 §5.2.1: its c= names 0.0.0.0 and port 9."""
    written = sdp("0.0.0.0", 9) + b"a=candidate:1 1 udp 1 " + CALLER.encode() + b" 4000 typ host\r\n"  # noqa: S104
    endpoints = MediaEndpoints()
    endpoints.learn(parse_message(message(f"INVITE {SOS} SIP/2.0", "1 INVITE", call_id="m", body=written)))
    assert endpoints.carries(Datagram(PSAP, 9, CALLER, 4000, b""))


def test_a_description_inside_a_multipart_body_counts() -> None:
    body = b"--x\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x\r\nContent-Type: application/sdp\r\n\r\n"
    body += sdp(CALLER, 4000) + b"\r\n--x--\r\n"
    whole = message(f"INVITE {SOS} SIP/2.0", "1 INVITE", call_id="m", body=body)
    endpoints = MediaEndpoints()
    endpoints.learn(parse_message(whole.replace(b"application/sdp", b'multipart/mixed;boundary="x"', 1)))
    assert endpoints.carries(Datagram(PSAP, 9, CALLER, 4000, b""))


def test_a_description_without_a_content_type_counts() -> None:
    endpoints = MediaEndpoints()
    endpoints.learn(parse_message(invite().replace(b"Content-Type: application/sdp\r\n", b"")))
    assert endpoints.carries(Datagram(PSAP, 9, CALLER, CALLER_MEDIA, b""))


@pytest.mark.parametrize(
    ("description", "address"),
    [
        (sdp(CALLER, 0), CALLER),
        (sdp("phone.example", 4000), CALLER),
        (b"not\nm=a description", CALLER),
    ],
)
def test_a_rejected_stream_a_host_name_and_nonsense_announce_nothing(description: bytes, address: str) -> None:
    endpoints = MediaEndpoints()
    endpoints.learn(parse_message(message(f"INVITE {SOS} SIP/2.0", "1 INVITE", call_id="m", body=description)))
    assert not endpoints.carries(Datagram(PSAP, 9, address, 4000, b""))
    assert not endpoints.carries(Datagram(PSAP, 9, address, 0, b""))


def test_an_ipv6_address_counts_however_it_is_written() -> None:
    endpoints = MediaEndpoints()
    written = sdp("2001:0DB8:0001:0:0:0:0:0007", 4000).replace(b"IP4", b"IP6")
    endpoints.learn(parse_message(message(f"INVITE {SOS} SIP/2.0", "1 INVITE", call_id="m", body=written)))
    assert endpoints.carries(Datagram("2001:db8:2::2", 9, CALLER6, 4000, b""))


def test_of_too_many_ends_and_flows_the_first_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_MAX_ENDPOINTS", 2)
    endpoints, ports = MediaEndpoints(), (4000, 4002, 4004)
    packets = [Datagram(PSAP, 9, CALLER, port, b"") for port in ports]
    for port, packet in zip(ports, packets, strict=True):
        description = sdp(CALLER, port)
        endpoints.learn(parse_message(message(f"INVITE {SOS} SIP/2.0", "1 INVITE", call_id="m", body=description)))
        assert not endpoints.is_copy(packet, (1, False), 0)
    assert [endpoints.carries(packet) for packet in packets] == [False, True, True]
    # One that is forgotten is followed where it is seen next, and the second is forgotten for it.
    assert [endpoints.is_copy(packet, (2, True), 1) for packet in packets[::-1]] == [True, True, False]
