"""Where a frame was seen, from whatever its capture tells."""

from firewall.net.capture_record import CaptureRecord
from firewall.net.vantage import LINUX_SLL, LINUX_SLL2, vantage
from tests.net.packets import ethernet, ipv4, linux_sll, linux_sll2, record, udp

PACKET = ipv4(udp(b"x"))


def test_cooked_v1_tells_the_direction_but_no_interface() -> None:
    assert vantage(record(linux_sll(PACKET, outgoing=True), link_type=LINUX_SLL)) == (0, True)
    assert vantage(record(linux_sll(PACKET, outgoing=False), link_type=LINUX_SLL)) == (0, False)


def test_cooked_v2_tells_the_direction_and_the_kernels_interface_index() -> None:
    assert vantage(record(linux_sll2(PACKET, interface=7, outgoing=True), link_type=LINUX_SLL2)) == (7, True)
    assert vantage(record(linux_sll2(PACKET, interface=3, outgoing=False), link_type=LINUX_SLL2)) == (3, False)


def test_ethernet_tells_what_the_file_tells() -> None:
    assert vantage(record(ethernet(PACKET))) == (0, None)
    assert vantage(CaptureRecord(1, 0, 1, ethernet(PACKET), 60, "f1", 4, outgoing=True)) == (4, True)


def test_a_cooked_frame_too_short_for_its_header_tells_nothing() -> None:
    assert vantage(record(b"\0\4", link_type=LINUX_SLL)) == (0, None)
    assert vantage(record(bytes(19), link_type=LINUX_SLL2)) == (0, None)
