"""Where a description wants its media."""

import pytest

from firewall.sip.media_endpoint import MAX_CANDIDATES, endpoints, formats, plain_address
from firewall.sip.sdp import MediaDescription, parse_sdp


def medium(*lines: str) -> MediaDescription:
    (found,) = parse_sdp("\r\n".join(("c=IN IP4 192.0.2.1", *lines)).encode()).media
    return found


@pytest.mark.parametrize(
    ("lines", "rtp", "rtcp"),
    [
        (("m=audio 4000 RTP/AVP 0",), 4000, 4001),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:5000"), 4000, 5000),
        (("m=audio 4000 RTP/AVP 0", "a=rtcp:4000"), 4000, None),
        (("m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=rtcp-mux"), 4000, 4001),
        (("m=audio 65535 RTP/AVP 0",), 65535, None),
        (("m=audio 0 RTP/AVP 0",), None, None),
        (("m=audio 4000 TCP/RTP/AVP 0",), None, None),
        (("m=image 4000 udptl t38",), None, None),
    ],
)
def test_rtp_and_rtcp_of_a_medium(lines: tuple[str, ...], rtp: int | None, rtcp: int | None) -> None:
    found = medium(*lines)
    assert [port for _, port in endpoints(found, "rtp")] == ([rtp] if rtp else [])
    assert [port for _, port in endpoints(found, "rtcp")] == ([rtcp] if rtcp else [])
    assert endpoints(found, "rtcp", is_muxed=True) == ()


def test_candidates_are_of_their_component_bounded_and_udp() -> None:
    lines = [f"a=candidate:{n} {1 + n % 2} UDP 1 192.0.2.{n} 5000 typ host" for n in range(40)]
    lines.append("a=candidate:9 1 tcp 1 192.0.2.250 9 typ host")
    found = endpoints(medium("m=audio 4000 RTP/AVP 0", *lines), "rtp")
    assert found[:2] == (("192.0.2.1", 4000), ("192.0.2.0", 5000))
    assert len(found) == 1 + MAX_CANDIDATES


def test_alternatives_to_the_address_are_of_the_other_family_with_ports_of_their_own() -> None:
    """RFC 6947 §4.1: who has IPv4 and IPv6 names both, and whoever answers takes one."""
    lines = [
        "a=altc:1 IP6 2001:DB8::1 45678",
        "a=altc:2 IP4 192.0.2.1 4000/5555",
        "a=altc:3 IP4 x",
        "a=altc:4 IP4 :: 99999",
    ]
    found = medium("m=audio 4000 RTP/AVP 0", *lines)
    assert endpoints(found, "rtp") == (("192.0.2.1", 4000), ("2001:db8::1", 45678))
    assert endpoints(found, "rtcp") == (("192.0.2.1", 4001), ("2001:db8::1", 45679), ("192.0.2.1", 5555))
    assert endpoints(found, "rtcp", is_muxed=True) == ()


def test_an_address_is_written_as_the_kernel_writes_it() -> None:
    (found,) = parse_sdp(b"c=IN IP6 2001:DB8:0:0::0001\r\nm=audio 4000 RTP/AVP 0").media
    assert endpoints(found, "rtp") == (("2001:db8::1", 4000),)
    (mapped,) = parse_sdp(b"c=IN IP6 ::ffff:192.0.2.1\r\nm=audio 4000 RTP/AVP 0").media
    assert endpoints(mapped, "rtp") == (("192.0.2.1", 4000),), "of a socket for both: its packets are IPv4"


def test_formats_know_their_names_and_clock_rates() -> None:
    found = formats(medium("m=audio 4000 RTP/AVP 0 9 97 x 300", "a=rtpmap:97 opus/48000/2"))
    assert found.payload_types == {0, 9, 97}
    assert found.codecs == ("pcmu", "g722", "opus")
    assert dict(found.clock_rates) == {0: 8000, 9: 8000, 97: 48000}


@pytest.mark.parametrize("text", ["0.0.0.0", "::", "0::0", "host.example", "fe80::1%eth0", "192.0.2.300", ""])  # noqa: S104
def test_an_address_that_no_packet_can_go_to_is_not_plain(text: str) -> None:
    assert plain_address(text) is None
    assert plain_address("2001:DB8:0:0::0001") == "2001:db8::1"
