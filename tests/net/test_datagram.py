"""The frame length that a datagram stands for."""

import pytest

from firewall.net.datagram import Datagram
from tests.net.packets import CALLER, CALLER6, PSAP, PSAP6, ethernet, ipv4, ipv6, udp


@pytest.mark.parametrize(
    ("src", "dst", "frame"),
    [(CALLER, PSAP, ethernet(ipv4(udp(b"hi")))), (CALLER6, PSAP6, ethernet(ipv6(udp(b"hi"))))],
)
def test_a_datagram_without_a_frame_has_the_length_of_the_ethernet_frame_it_makes(
    src: str, dst: str, frame: bytes
) -> None:
    assert Datagram(src, 5060, dst, 5060, b"hi").frame_len == len(frame)


def test_a_datagram_from_a_capture_has_its_frames_length() -> None:
    assert Datagram(CALLER, 5060, PSAP, 5060, b"hi", frame_bytes=64).frame_len == 64
